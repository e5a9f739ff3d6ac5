# SPDX-License-Identifier: MIT
"""Relays in cascade: a lesson goes from the city through the county to a school."""

import hashlib
import socket
import time
import unittest
from datetime import datetime

from lines import NTP_EPOCH_NS
from rtsp import H264, Rtsp, sdp
from tongke import (Deadline, Recorder, Relay, capture, clip, from_film, publish, request, run,
                    temporary)
from websocket import Chunk, WebSocket, is_init

SHORT = {"lesson.teardown_s": 1}


def free_port():
    """A port that nobody has at this moment, for one that must be named before it is opened."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def logged_s(program, words):
    line = next(line for line in program.err if words in line)
    return datetime.fromisoformat(line.split()[0]).timestamp()


class Cascade(unittest.TestCase):
    def relay(self, name, *upstreams, settings=None):
        urls = " ".join(u if isinstance(u, str) else u.url for u in upstreams)
        return Relay(self.addCleanup, {"relay.name": name, "upstream.relays": urls, **SHORT,
                                       **(settings or {})})

    def levels(self, count=3):
        names = ["city", "county", "school"][:count]
        relays = [self.relay(names[0])]
        for name in names[1:]:
            relays.append(self.relay(name, relays[-1]))
        return relays

    def events(self, relay):
        return WebSocket(self.addCleanup, relay.ws("/api/v1/events"))

    def listed(self, relay, holds=lambda lesson: True):
        """The one lesson in the relay's list, once there is one for which `holds`."""
        events = self.events(relay)
        while True:
            event = events.next_json()
            lessons = event.get("lessons", [event.get("lesson")])
            for lesson in lessons:
                if lesson and holds(lesson):
                    return lesson

    def live(self, relay, path="math"):
        return WebSocket(self.addCleanup, relay.ws(f"/live/{path}"))

    def chunk(self, viewer):
        data = viewer.next_binary()
        return Chunk(viewer.next_binary() if is_init(data) else data)

    def until(self, holds):
        """Other programs' numbers tell nobody when they change, so this looks."""
        deadline = Deadline()
        while self.chunk(self.steady) and not holds():
            self.assertFalse(deadline.over(), "it never came")

    def present(self, seconds):
        """The chunk that the city sends so many seconds from now."""
        at_ns = time.time_ns() + NTP_EPOCH_NS + int((seconds - 1) * 1e9)
        while (chunk := self.chunk(self.steady)).captured_ns < at_ns:
            pass
        return chunk

    def moments(self, relay, viewer, since_ns, enough):
        """When each picture is, by media time and `started`, of chunks captured since then; and when
        the last of them was."""
        began_ns = datetime.fromisoformat(relay.lesson("math")["started"]).timestamp() * 1e9
        chunks = []
        while not chunks or not enough(chunks):
            chunk = self.chunk(viewer)
            chunks += [chunk] if chunk.captured_ns > since_ns and 1 in chunk.times else []
        return ({picture: began_ns + at / 90e-6 for chunk in chunks for at, picture in chunk.timed(1)},
                chunks[-1].captured_ns)

    def same_moments(self, above, relay, viewer, since_ns):
        """`viewer` of `relay` sees what is captured since then when those above do, to 50 ms."""
        here, last_ns = self.moments(relay, viewer, since_ns, lambda chunks: len(chunks) >= 20)
        there, _ = self.moments(above, self.live(above, "math?from=1"), since_ns,
                                lambda chunks: chunks[-1].captured_ns >= last_ns)
        both = set(here) & set(there)
        self.assertGreater(len(both), 20)
        self.assertLess(max(abs(here[picture] - there[picture]) for picture in both), 50e6)


class Levels(Cascade):
    def setUp(self):
        self.city, self.county, self.school = self.levels()
        self.sender = publish(self.addCleanup, self.city, "math",
                              output=["-metadata", "title=函数的单调性"])

    def test_a_lesson_is_the_same_three_levels_down(self):
        above = self.listed(self.city, lambda l: l["streams"] and l["streams"][0].get("mime"))
        below = self.listed(self.school, lambda l: l["streams"] and l["streams"][0].get("mime"))
        for word in ("id", "name", "started", "state", "info"):
            self.assertEqual(above[word], below[word])
        self.assertEqual(above["streams"][0]["mime"], below["streams"][0]["mime"])

    def test_strangers_play_it_at_once(self):
        self.listed(self.school)
        for transport in ("udp", "tcp"):
            status, _, text = run(["ffmpeg", "-nostdin", "-v", "warning", "-rtsp_transport", transport, "-i",
                                   self.school.rtsp("math"), "-t", "3", "-f", "null", "-"])
            self.assertEqual((status, text), (0, ""))

    def both_levels(self):
        """Chunks of the school, and of the city all of the lesson until those are among them: how long
        it takes until the first ones come down is not what is looked at."""
        viewer = self.live(self.school)
        below = [self.chunk(viewer) for _ in range(60)]
        viewer, above = self.live(self.city, "math?from=1"), []
        while not above or above[-1].captured_ns < below[-1].captured_ns + 10**9:
            above.append(self.chunk(viewer))
        begin_ns = below[0].captured_ns - 10**9  # the film begins anew every 20 s
        return [chunk for chunk in above if chunk.captured_ns > begin_ns], below

    def test_chunks_hold_the_same_media_at_every_level(self):
        heard = []
        for chunks in self.both_levels():
            samples = {1: [], 2: []}
            for chunk in chunks:
                for track, some in chunk.samples.items():
                    samples[track] += [hashlib.sha256(one).hexdigest() for one in some]
            heard.append(samples)
        for track in (1, 2):
            # Of a viewer's first picture the messages in front of it (SEI) may be missing.
            above, below = (samples[track][1:] for samples in heard)
            self.assertGreater(len(below), 100)
            begin = above.index(below[0])
            self.assertEqual(above[begin:begin + len(below)], below)

    def test_media_time_is_the_same_at_every_level(self):
        above, below = ({chunk.samples[1][0]: chunk.times[1] for chunk in chunks if 1 in chunk.samples}
                        for chunks in self.both_levels())
        both = set(above) & set(below)
        self.assertGreater(len(both), 5)
        for picture in both:  # a wall clock in RTCP says it to a tick
            self.assertLessEqual(abs(above[picture] - below[picture]), 2)

    def test_each_level_tells_what_it_got(self):
        viewer = self.live(self.school)
        for _ in range(30):
            self.chunk(viewer)
        for relay in (self.city, self.county, self.school):
            got = relay.lesson("math")["streams"][0]["in"]
            self.assertGreater(got["packets"], 30)
            self.assertEqual(got["lost"], 0)
            self.assertGreaterEqual(got["delay_ms"], 0)

    def test_one_copy_goes_down_however_many_want_it(self):
        viewers = [self.live(self.county) for _ in range(5)]
        for viewer in viewers:
            self.chunk(viewer)
        self.steady = viewers[0]
        self.assertEqual(self.county.lesson("math")["viewers"], {"rtp": 0, "ws": 5})
        # A line that fell silent for a second is dialed anew, and the old session may be there still.
        self.until(lambda: self.city.lesson("math")["viewers"] == {"rtp": 1, "ws": 0})

    def test_what_nobody_wants_is_not_fetched(self):
        self.listed(self.school)
        self.assertEqual(self.city.lesson("math")["viewers"], {"rtp": 0, "ws": 0})

    def test_its_end_comes_down(self):
        viewer = self.live(self.school)
        self.chunk(viewer)
        request("POST", f"{self.city.url}/api/v1/lessons/math/end")
        self.assertEqual(viewer.drain(), 1000)
        self.assertEqual(self.listed(self.school, lambda l: l["state"] == "ended")["name"], "math")

    def test_it_is_changed_where_it_begins(self):
        lesson = self.listed(self.school)
        answer = request("PATCH", f"{self.school.url}/api/v1/lessons/math", {"title": "x"})
        self.assertEqual((answer.status, answer.json()["code"]), (409, "conflict"))
        self.assertEqual(request("POST", f"{self.school.url}/api/v1/lessons/math/end").status, 409)
        request("PATCH", f"{self.city.url}/api/v1/lessons/math", {"title": "指数"})
        changed = self.listed(self.school, lambda l: l["info"]["title"] == "指数")
        self.assertEqual(changed["id"], lesson["id"])

    def test_nobody_sends_where_it_is_mirrored(self):
        self.listed(self.county)
        sender = publish(self.addCleanup, self.county, "math")
        self.assertNotEqual(sender.wait(), 0)
        self.assertTrue(any("409" in line for line in sender.err), sender.tail())


class Succession(Cascade):
    """What stands in the list below follows what stands in the one above."""

    def city(self):
        """Nothing that its silent senders do makes it tell of a lesson again."""
        return self.relay("city", settings={"lesson.stall_s": 3600})

    def announce(self, relay, name, lesson_id):
        """A sender that has said what it sends, and sends nothing yet."""
        sender = Rtsp(self.addCleanup, relay)
        body = sdp(f'a=x-tongke-lesson:{{"id":"{lesson_id}"}}', H264)
        sender.ask("ANNOUNCE", name, {"Content-Type": "application/sdp"}, body)
        sender.ask("SETUP", f"{name}/streamid=0",
                   {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"})
        self.assertEqual(sender.ask("RECORD", name).status, 200)
        return sender

    def is_sent(self, lesson):
        """It came while its sender was there: one that says nothing is left after a minute."""
        return any(stream["state"] == "live" for stream in lesson["streams"])

    def test_the_next_lesson_of_a_room_follows_at_once(self):
        city = self.city()
        county = self.relay("county", city)
        first = self.announce(city, "math", "01JDAAAAAAAAAAAAAAAAAAAAAA")
        self.assertEqual(self.listed(county)["id"], "01JDAAAAAAAAAAAAAAAAAAAAAA")
        self.assertEqual(first.ask("TEARDOWN", "math").status, 200)
        self.announce(city, "math", "01JDBBBBBBBBBBBBBBBBBBBBBB")
        self.listed(county, lambda l: l["id"] == "01JDBBBBBBBBBBBBBBBBBBBBBB" and self.is_sent(l))

    def send(self, city):
        return capture(self.addCleanup, city, "math", "--lesson-id", "01JDAAAAAAAAAAAAAAAAAAAAAA",
                       *from_film())

    def test_a_lesson_outlives_the_relay_that_it_comes_from(self):
        city = self.relay("city")
        school = self.relay("school", city)
        sender = self.send(city)
        viewer = self.live(school)
        began = self.chunk(viewer) and school.lesson("math")["started"]
        said = len(school.err)
        city.kill()
        sender.kill()
        again = self.relay("city", settings={"rtsp.port": city.rtsp_port, "web.port": city.http_port})
        school.wait_log("lessons come from upstream relay city", said)
        publish(self.addCleanup, again, "art")
        self.steady = self.live(again, "art")
        newest = self.present(4)  # a lesson that were over would be at its end by now
        self.send(again)
        self.same_moments(again, school, viewer, newest.captured_ns)
        self.assertEqual(school.lesson("math")["started"], began)

    def test_a_lesson_waits_for_room(self):
        city = self.city()
        county = self.relay("county", city, settings={"limits.lessons": 1})
        self.announce(city, "math", "01JDAAAAAAAAAAAAAAAAAAAAAA")
        self.listed(county)
        self.announce(city, "art", "01JDBBBBBBBBBBBBBBBBBBBBBB")
        county.wait_log("not taken over from upstream: .* limits.lessons allows")
        request("POST", f"{city.url}/api/v1/lessons/math/end")
        self.listed(county, lambda l: l["name"] == "art" and self.is_sent(l))


class Rules(Cascade):
    def test_a_lesson_is_fetched_ahead_by_rule(self):
        city = self.relay("city")
        self.relay("county", city, settings={"upstream.ahead": "ma* physics"})
        publish(self.addCleanup, city, "math")
        self.steady = self.live(city)
        self.until(lambda: city.lesson("math")["viewers"]["rtp"] == 1)

    def test_who_comes_again_sees_what_is_now(self):
        city = self.relay("city")
        county = self.relay("county", city)
        publish(self.addCleanup, city, "math")
        self.steady = self.live(city)
        first = self.live(county)
        self.chunk(first)
        first.close()
        self.until(lambda: city.lesson("math")["viewers"]["rtp"] == 0)
        before = self.present(6)  # of the lesson go by
        chunk = self.chunk(self.live(county))
        # However long it is under way: not what went by.
        self.assertGreater(chunk.captured_ns, before.captured_ns - 3 * 10**9)

    def test_over_tcp_too(self):
        city = self.relay("city")
        county = self.relay("county", city, settings={"upstream.transport": "tcp"})
        publish(self.addCleanup, city, "math")
        viewer = self.live(county)
        numbers = [self.chunk(viewer).number for _ in range(30)]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 30)))
        county.wait_log("fetched from upstream over TCP")

    def test_a_recorder_below_records_the_whole_lesson(self):
        city = self.relay("city")
        county = self.relay("county", city)
        recorder = Recorder(self.addCleanup, county.url, temporary(self.addCleanup))
        film = clip(12)
        self.assertEqual(publish(self.addCleanup, city, "math", loop=False, film=film).wait(), 0)
        found = recorder.wait_log(r"recording closed: .* lesson=(\S+)")
        recording = recorder.get(f"/api/v1/recordings/{found[1]}")
        self.assertEqual(recording["gaps"], [])
        # It begins at the city's newest keyframe, one a second: how late it was asked for is the machine's.
        late_s = logged_s(county, "fetched from upstream") - logged_s(city, "a sender begins")
        self.assertGreater(recording["duration_s"], 11.5 - int(late_s + 0.3))
        _, _, complaints = run(["ffmpeg", "-nostdin", "-v", "error", "-i", recorder.url +
                                recording["streams"][0]["download"], "-f", "null", "-"])
        self.assertEqual(complaints, "")


class Loops(Cascade):
    def test_two_relays_that_name_each_other(self):
        port = free_port()
        low = self.relay("low", f"http://127.0.0.1:{port}")
        high = self.relay("high", low, settings={"web.port": port})
        told, deadline = [], Deadline()
        while not told:  # one of them at least: who hears of it first takes nothing more
            self.assertFalse(deadline.over(), low.tail() + high.tail())
            states = [relay.get("/api/v1/relay")["upstreams"][0]["state"] for relay in (low, high)]
            told = [relay for relay, state in zip((low, high), states) if state == "loop"]
        for relay in told:
            relay.wait_log("upstream.relays makes a loop: .* gets its lessons from here")

    def test_a_relay_that_names_itself(self):
        port = free_port()
        relay = self.relay("self", f"http://127.0.0.1:{port}", settings={"web.port": port})
        relay.wait_log("upstream.relays makes a loop")

    def test_what_is_no_url_is_named_at_the_start(self):
        for word in ("city:8080", "rtsp://city", "http://", "http://city/x"):
            with self.assertRaisesRegex(AssertionError, "write http://HOST:PORT"):
                self.relay("county", word)


class Failover(Cascade):
    def test_the_second_upstream_takes_over_and_gives_back(self):
        city = self.relay("city")
        port = free_port()
        first = self.relay("first", city, settings={"web.port": port})
        second = self.relay("second", city)
        school = self.relay("school", first, second, settings={"upstream.return_s": 1})
        publish(self.addCleanup, city, "math")
        self.steady = viewer = self.live(school)
        self.chunk(viewer)
        lesson = school.lesson("math")["id"]
        # The second may have been the one that told of the lesson first.
        self.until(lambda: [relay.lesson("math").get("viewers", {}).get("rtp")
                            for relay in (first, second)] == [1, 0])
        said = len(school.err)
        first.stop()
        school.wait_log(f"fetched from upstream .*peer={second.url}", said)
        self.until(lambda: second.lesson("math")["viewers"]["rtp"] == 1)
        self.same_moments(city, school, viewer, self.chunk(viewer).captured_ns)
        again = self.relay("first", city, settings={"web.port": port})
        self.until(lambda: again.lesson("math").get("viewers", {}).get("rtp") == 1)
        self.same_moments(city, school, viewer, self.chunk(viewer).captured_ns)
        self.assertEqual(school.lesson("math")["id"], lesson)


class Patience(unittest.TestCase):
    def test_a_description_waits_for_the_first_keyframe(self):
        relay = Relay(self.addCleanup)
        publish(self.addCleanup, relay, "math")
        relay.wait_log("a sender begins")
        self.assertEqual(Rtsp(self.addCleanup, relay).ask("DESCRIBE", "math").status, 200)


if __name__ == "__main__":
    unittest.main()
