# SPDX-License-Identifier: MIT
"""A lesson through the relay: what WebSocket and RTSP viewers get, whatever becomes of its sender."""

import signal
import unittest

from rtsp import Rtsp
from tongke import Program, Relay, clip, publish, request, run, temporary
from websocket import BINARY, CLOSE, TEXT, Chunk, WebSocket, boxes, is_init

FAR_BEHIND = 100  # chunks; no buffer of any kernel holds so many of the rich film, nor does 3 s


class Live(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def live(self, path="math", **options):
        return WebSocket(self.addCleanup, self.relay.ws(f"/live/{path}"), **options)

    def events(self):
        socket = WebSocket(self.addCleanup, self.relay.ws("/api/v1/events"))
        return socket, socket.next_json()

    def publish(self, path="math", **options):
        return publish(self.addCleanup, self.relay, path, **options)

    def chunk(self, socket):
        data = socket.next_binary()
        return Chunk(socket.next_binary() if is_init(data) else data)

    def end(self, lesson="math"):
        return request("POST", f"{self.relay.url}/api/v1/lessons/{lesson}/end")


class WebSocketViewer(Live):
    def test_its_messages_in_a_file_are_an_mp4(self):
        self.publish()
        socket, film = self.live(), temporary(self.addCleanup) / "film.mp4"
        with film.open("wb") as out:
            for _ in range(50):
                out.write(socket.next_binary())
        status, out, err = run(["ffprobe", "-v", "warning", "-show_entries",
                                "stream=codec_name,width,height,sample_rate", "-of", "csv=p=0", film])
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(sorted(out.split()), ["aac,48000", "h264,320,180"])
        status, out, err = run(["ffmpeg", "-nostdin", "-v", "warning", "-i", film, "-f", "framecrc", "-"])
        self.assertEqual((status, err), (0, ""))
        self.assertGreater(sum(line.startswith("0,") for line in out.splitlines()), 90)

    def test_state_and_init_come_first(self):
        self.publish()
        self.live().next_binary()
        socket = self.live()
        state, init = socket.next_json(), socket.next_json()
        self.assertEqual((state["type"], state["stream"], state["state"]), ("state", "main", "live"))
        self.assertEqual(state["lesson"]["name"], "math")
        self.assertEqual((init["type"], init["width"], init["height"]), ("init", 320, 180))
        self.assertRegex(init["mime"], r'^video/mp4; codecs="avc1\.[0-9A-F]{6},mp4a\.40\.2"$')
        first, chunk = socket.next()[1], socket.next()[1]
        self.assertEqual([kind for kind, _, _ in boxes(first)], ["ftyp", "moov"])
        self.assertEqual([k for k, _, _ in boxes(chunk) if k not in ("prft", "styp")], ["moof", "mdat"])

    def test_chunks_are_counted_and_timed_without_holes(self):
        self.publish()
        socket = self.live()
        chunks = [self.chunk(socket) for _ in range(40)]
        self.assertEqual([c.number for c in chunks],
                         list(range(chunks[0].number, chunks[0].number + 40)))
        for track in (1, 2):
            times = [c.times[track] for c in chunks if track in c.times]
            self.assertEqual(times, sorted(set(times)))
        self.assertTrue(all(c.captured_ns for c in chunks))

    def test_from_resumes_without_gap_or_doubling(self):
        self.publish()
        socket = self.live()
        got = [self.chunk(socket).number for _ in range(15)]
        socket.close()
        steady = self.live()
        while self.chunk(steady).number < got[-1] + 10:
            pass
        again = self.live(f"math?from={got[-1] + 1}")
        got += [self.chunk(again).number for _ in range(15)]
        self.assertEqual(got, list(range(got[0], got[0] + 30)))

    def test_from_beyond_the_history_begins_with_a_gap(self):
        relay = self.relay = Relay(self.addCleanup, {"history.chunk_s": 2})
        self.publish()
        socket = self.live()
        self.chunk(socket)
        while relay.lesson("math")["streams"][0]["chunk"]["oldest"] < 5:
            socket.next_binary()
        late = self.live("math?from=1")
        gap = late.wait_json(lambda v: v["type"] == "gap")
        chunk = self.chunk(late)
        self.assertEqual((gap["from"], gap["to"]), (1, chunk.number - 1))

    def test_a_socket_waits_for_its_lesson(self):
        socket = self.live()
        self.assertEqual(socket.next_json()["state"], "waiting")
        self.publish()
        self.assertEqual(self.chunk(socket).number, 1)

    def test_reports_are_welcome_and_floods_are_not(self):
        self.publish()
        socket, flood = self.live(), self.live()
        socket.send_json({"type": "report", "played_s": 1.5, "buffer_s": 0.4, "behind_s": 0.9,
                          "dropped": 0})
        flood.send(TEXT, b"x" * 5000)
        self.assertIn(flood.drain(), (1008, 1009))
        self.chunk(socket)

    def test_pings_are_answered(self):
        socket = self.live()
        socket.send(9, b"still there?")
        frame = socket._frame()
        while frame[1] != 10:
            frame = socket._frame()
        self.assertEqual(frame[2], b"still there?")


class Slow(Live):
    def test_a_viewer_that_reads_nothing_harms_only_itself(self):
        self.publish(film=clip(5, bitrate="20M"))
        good = self.live()
        first = self.chunk(good).number
        slow = self.live(receive_bytes=4096)
        numbers = [first] + [self.chunk(good).number for _ in range(FAR_BEHIND)]
        self.assertEqual(numbers, list(range(first, first + len(numbers))))
        self.assertTrue(self.dropped_to_keyframe(slow))
        self.assertGreater(self.relay.metric("ws_chunks_dropped_total"), 0)

    def test_a_viewer_behind_is_seen_by_its_reports_though_its_socket_takes_all(self):
        self.publish()
        good, slow = self.live(), self.live()
        self.init = slow.next_binary()
        for _ in range(10):  # one chunk a second
            self.tell(slow, self.chunk(slow))
            for _ in range(10):
                self.chunk(good)
            if self.relay.metric("ws_fallen_behind_total"):
                break
        self.assertEqual(self.in_state("catching-up"), 1)
        self.assertEqual(self.in_state("live"), 1)
        # It reads all that is under way: the next that it gets is a keyframe.
        newest = None
        while not (newest := self.read_on(slow, newest)) is None:
            self.tell(slow, newest)
            for _ in range(10):
                self.chunk(good)
        self.assertTrue(self.is_key(self.init, slow.next_binary()))
        self.assertGreater(self.relay.metric("ws_chunks_dropped_total"), 0)

    def in_state(self, state):
        return self.relay.metric(f'ws_viewers_by_state{{state="{state}"}}')

    def tell(self, socket, chunk):
        """What a page that has got this chunk would report."""
        socket.send_json({"type": "report", "played_s": chunk.times[1] / 90000, "buffer_s": 0.1})

    def read_on(self, socket, newest):
        """The newest chunk of those that have come, or None when a gap is told."""
        while socket.waiting():
            kind, data = socket.next()
            self.assertNotEqual(kind, CLOSE)
            if kind == TEXT and b'"gap"' in data:
                return None
            newest = Chunk(data) if kind == BINARY else newest
        return newest

    def dropped_to_keyframe(self, socket):
        """Reads on until the loss is told, and asks ffprobe of the chunk after it."""
        init = None
        while True:
            kind, data = socket.next()
            self.assertNotEqual(kind, CLOSE)
            if kind == BINARY and is_init(data):
                init = data
            if kind == TEXT and b'"gap"' in data:
                break
        return self.is_key(init, socket.next_binary())

    def is_key(self, init, chunk):
        film = temporary(self.addCleanup) / "film.mp4"
        film.write_bytes(init + chunk)
        status, out, err = run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                                "packet=flags", "-of", "csv=p=0", film])
        self.assertEqual(status, 0, err)
        return out.startswith("K")


class Sender(Live):
    def kill(self, sender):
        sender.process.send_signal(signal.SIGKILL)
        sender.wait()

    def test_killed_and_back_it_is_the_same_lesson_for_the_same_viewers(self):
        events, _ = self.events()
        sender = self.publish()
        socket = self.live()
        before = self.chunk(socket)
        lesson = self.relay.lesson("math")
        viewer = Program(self.addCleanup, [
            "ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i",
            self.relay.rtsp("math"), "-f", "framecrc", "-flush_packets", "1", "-"])
        viewer.wait_line(r"^0, ")
        self.kill(sender)
        events.wait_json(lambda e: e["type"] == "lesson-changed" and e["lesson"]["state"] == "away")
        self.pass_seconds_of_another_lesson()
        self.publish()
        events.wait_json(lambda e: e["type"] == "lesson-changed" and e["lesson"]["state"] == "live")
        seen = len(viewer.out)

        chunks = [before]
        while not self.is_gap(chunks):
            self.assertLess(len(chunks), 600, "no gap in media time")
            chunks.append(self.chunk(socket))
        chunks += [self.chunk(socket) for _ in range(10)]
        self.assertEqual([c.number for c in chunks],
                         list(range(before.number, before.number + len(chunks))))
        viewer.wait_line(r"^0, ", after=seen + 50)  # its pictures go on in the same process
        again = self.relay.lesson("math")
        self.assertEqual(again["id"], lesson["id"])
        self.assertEqual(again["started"], lesson["started"])
        self.assertEqual(again["viewers"], {"rtp": 1, "ws": 1})

    def pass_seconds_of_another_lesson(self):
        self.publish("other")
        clock = self.live("other")
        first = self.chunk(clock)
        while self.chunk(clock).captured_ns < first.captured_ns + 5 * 10**9:
            pass

    def begin_s(self, chunk):
        """What a killed sender left may be sound alone."""
        return chunk.times[1] / 90000 if 1 in chunk.times else chunk.times[2] / 48000

    def is_gap(self, chunks):
        """Whether the last two chunks lie apart, in media time as by the clock."""
        if len(chunks) < 2:
            return False
        media_s = self.begin_s(chunks[-1]) - self.begin_s(chunks[-2])
        clock_s = (chunks[-1].captured_ns - chunks[-2].captured_ns) / 1e9
        if media_s < 3:
            return False
        self.assertAlmostEqual(media_s, clock_s, delta=0.3)
        return True

    def test_a_second_sender_is_refused_and_the_first_goes_on(self):
        self.publish()
        socket = self.live()
        self.chunk(socket)
        second = self.publish()
        self.assertNotEqual(second.wait(), 0)
        second.wait_log("409")
        state = self.relay.lesson("math")
        self.assertEqual(state["state"], "live")
        self.chunk(socket)

    def test_an_ended_lesson_closes_its_viewers(self):
        sender = self.publish()
        socket = self.live()
        self.chunk(socket)
        answer = self.end()
        self.assertEqual((answer.status, answer.json()["state"]), (200, "ended"))
        state = socket.wait_json(lambda v: v["type"] == "state" and v["state"] == "ended")
        self.assertEqual(state["lesson"]["id"], answer.json()["id"])
        self.assertEqual(socket.drain(), 1000)
        self.assertNotEqual(sender.wait(), 0)
        late = self.live(answer.json()["id"])
        self.assertEqual(late.next_json()["state"], "ended")
        self.assertEqual(late.drain(), 1000)

    def test_the_next_lesson_at_a_name_has_an_id_of_its_own(self):
        self.publish()
        self.chunk(self.live())
        first = self.end().json()["id"]
        socket = self.live()
        self.assertEqual(socket.next_json()["state"], "waiting")
        self.publish()
        self.assertEqual(self.chunk(socket).number, 1)
        self.assertNotEqual(self.relay.lesson("math")["id"], first)

    def test_a_lesson_without_a_sender_ends_by_itself(self):
        self.relay = Relay(self.addCleanup, {"lesson.away_s": 1})
        events, _ = self.events()
        sender = self.publish()
        self.chunk(self.live())
        self.kill(sender)
        events.wait_json(lambda e: e["type"] == "lesson-ended")

    def test_picture_without_sound_is_a_lesson(self):
        Program(self.addCleanup, ["ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1",
                                  "-i", clip(), "-an", "-c", "copy", "-f", "rtsp", "-rtsp_transport",
                                  "tcp", self.relay.rtsp("math/slides")])
        socket = self.live("math/slides")
        self.assertEqual(set(self.chunk(socket).times), {1})
        stream = self.relay.lesson("math")["streams"][0]
        self.assertEqual((stream["name"], stream["audio"]), ("slides", False))


class Events(Live):
    def test_a_lesson_from_its_beginning_to_its_end(self):
        events, snapshot = self.events()
        self.assertEqual((snapshot["type"], snapshot["lessons"]), ("snapshot", []))
        self.assertEqual(snapshot["relay"]["ancestors"], [])
        self.publish()
        begun = events.next_json()
        self.assertEqual((begun["type"], begun["lesson"]["name"]), ("lesson-started", "math"))
        self.chunk(self.live())
        answer = request("PATCH", f"{self.relay.url}/api/v1/lessons/math", {"title": "函数", "grade": "高一"})
        self.assertEqual(answer.status, 200)
        events.wait_json(lambda e: e["type"] == "lesson-changed" and
                         e["lesson"]["info"] == {"title": "函数", "grade": "高一"})
        _, second = self.events()
        self.assertEqual([lesson["id"] for lesson in second["lessons"]], [begun["lesson"]["id"]])
        self.end()
        ended = events.wait_json(lambda e: e["type"] == "lesson-ended")
        self.assertEqual(ended["lesson"]["id"], begun["lesson"]["id"])
        self.assertIsNotNone(ended["lesson"]["ended"])


class Descriptions(Live):
    def test_a_viewer_is_told_of_both_tracks(self):
        self.publish()
        self.chunk(self.live())
        reply = Rtsp(self.addCleanup, self.relay).ask("DESCRIBE", "math")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "application/sdp"))
        self.assertIn("H264/90000", reply.body)
        self.assertIn("sprop-parameter-sets=", reply.body)
        self.assertIn("mpeg4-generic/48000", reply.body)
