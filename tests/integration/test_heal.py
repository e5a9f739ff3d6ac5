# SPDX-License-Identifier: MIT
"""What a broken line kept from the library is delivered from the capture's own copy."""

# tools/test: alone, for a camera whose encoder has to wait leaves out what is counted here.

import bisect
import http.server
import itertools
import json
import re
import signal
import threading
import unittest
from fractions import Fraction

from lossy import Line
from tongke import BUILD, Program, Recorder, Relay, request, run, segments, temporary, wait_below
from test_library import chunk_numbers, decode, folder_of, index_lines, wait_chunks
from uplink import Uplink

SMALL = ["--size", "320x180", "--bitrate", "300", "--transport", "tcp"]
PAUSE_S = 0.4  # of pictures, after which they may count as missing
IN_STEP_S = 0.04  # what lips and voice may be apart


SOUND_CHUNKS = 15  # of sound alone: 2 s and more without pictures, which no repair waits for


class Blindfold(Line):
    """An uplink over which, while `on`, no picture gets through."""

    on = False

    def url(self, lesson):
        return f"rtsp://127.0.0.1:{self.port}/{lesson}"

    def take(self, track, index):
        if self.on and track is self.tracks[1]:  # the sound is set up first
            track["sockets"][index].recv(65536)
        else:
            super().take(track, index)


def packets(source, stream):
    """(when it is shown in seconds, size, sum) of each coded picture or piece of sound, in order."""
    status, text, complaints = run(["ffmpeg", "-nostdin", "-v", "error", "-copyts", "-i", source,
                                    "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", "-"])
    if status or complaints:
        raise AssertionError(f"{source}: {complaints}")
    tick = Fraction(re.search(r"#tb 0: (\S+)", text)[1])
    rows = (line.split(",") for line in text.splitlines() if not line.startswith("#"))
    return [(float(int(row[2]) * tick), *row[4:6]) for row in rows]


def kept(copies, lesson, stream):
    """The same of all that the capture encoded."""
    return [packet for segment in sorted((copies / lesson).glob("main-*.mp4"))
            for packet in packets(segment, stream)]


def stands_in(part, whole):
    """What of `whole` is the same as `part`: nothing missing, nothing twice, in order; or nothing."""
    same = [one[1:] for one in part]
    for at in range(len(whole) - len(part) + 1):
        if whole[at][1:] == same[0] and [one[1:] for one in whole[at:at + len(part)]] == same:
            return whole[at:at + len(part)]
    return []


def moved(recorded, original):
    """(when it was captured, by how much it is shown elsewhere) of each."""
    return [(was[0], now[0] - was[0]) for now, was in zip(recorded, original)]


def apart_s(pictures, sound):
    """The most that picture and sound, each as moved() has it, were moved apart."""
    return max(abs(by - pictures[max(bisect.bisect(pictures, (when,)) - 1, 0)][1])
               for when, by in sound)


class Stranger(http.server.ThreadingHTTPServer):
    """A web server that knows nothing, as a proxy in front of a library that is away."""

    def __init__(self, cleanup):
        self.asked = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()
        cleanup(self.server_close)
        cleanup(self.shutdown)


class Heal(unittest.TestCase):
    def setUp(self):
        self.data = temporary(self.addCleanup)
        self.copies = temporary(self.addCleanup)
        self.relay = Relay(self.addCleanup, {"lesson.teardown_s": 1})
        self.uplink = Uplink(self.addCleanup, self.relay.rtsp_port)

    def recorder(self):
        return Recorder(self.addCleanup, self.relay.url, self.data)

    def capture(self, recorder, *words):
        return Program(self.addCleanup, [
            BUILD / "client" / "capture" / "tongke-capture", "--relay", self.uplink.url("math"),
            "--keep", self.copies, "--library", recorder.url, *SMALL, *words])

    def lesson(self):
        return next(self.copies.glob("*/lesson.json")).parent.name

    def check_complete(self, recorder, lesson):
        recording = recorder.get(f"/api/v1/recordings/{lesson}")
        url = f"{recorder.url}/api/v1/recordings/{lesson}/main"
        playlist = recorder.playlist(lesson)
        for way in (playlist, url + "/download.mp4"):
            self.assertEqual(decode(way), "0", way)
        times = {}
        for stream in "v", "a":
            recorded = packets(url + "/download.mp4", stream)
            self.assertGreater(len(recorded), 50)
            original = stands_in(recorded, kept(self.copies, lesson, stream))
            self.assertTrue(original, stream)
            times[stream] = moved(recorded, original)
        # Where the camera's pictures themselves paused, for want of a processor, nothing can be healed.
        paused = sum(later - when > PAUSE_S
                     for (when, _), (later, _) in itertools.pairwise(times["v"]))
        left = [gap for gap in recording["gaps"] if not gap["healed"]]
        self.assertLessEqual(len(left), paused, left)
        if not left:
            self.assertNotIn("DISCONTINUITY", request("GET", playlist).text())
        self.assertLess(apart_s(times["v"], times["a"]), IN_STEP_S)
        return recording

    def test_a_cut_uplink_leaves_no_gap(self):
        recorder = self.recorder()
        capture = self.capture(recorder)
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 50)
        self.uplink.cut()
        capture.wait_log("not connected: .*next try in 1 s")
        self.relay.wait_log("the sender has left")
        self.assertEqual("away", self.relay.lesson("math")["state"])  # what live viewers see
        capture.wait_log("not connected: .*next try in 2 s")
        self.uplink.mend()
        wait_chunks(self.data, recording_id, len(chunk_numbers(self.data, recording_id)) + 45)
        playlist = recorder.playlist(recording_id)
        before = {part: request("GET", part).body for part in segments(playlist)}
        capture.stop()
        self.assertEqual(recording_id, self.lesson())
        recording = self.check_complete(recorder, recording_id)
        self.check_names_mean_what_they_meant(before, segments(playlist))
        healed = [g for g in recording["gaps"] if g["healed"]]
        self.assertEqual({"sender-away"}, {g["reason"] for g in healed})
        self.assertGreater(max(g["to_s"] - g["from_s"] for g in healed), 2)
        self.assertFalse(list(folder_of(self.data, recording_id).glob("*.upload")))

    def test_a_relay_that_was_restarted_leaves_one_timeline(self):
        recorder = self.recorder()
        capture = self.capture(recorder)
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 50)
        self.uplink.cut()
        self.relay.kill()
        capture.wait_log("not connected: .*next try in 2 s")
        self.relay = Relay(self.addCleanup, {"lesson.teardown_s": 1,
                                             "web.port": self.relay.http_port})
        self.uplink.target = self.relay.rtsp_port
        self.uplink.mend()
        wait_chunks(self.data, recording_id, len(chunk_numbers(self.data, recording_id)) + 45)
        capture.stop()
        self.check_complete(recorder, recording_id)
        # Numbers begin anew in it, and times do not: without its index it is the same.
        lines = index_lines(self.data, recording_id)
        (folder_of(self.data, recording_id) / "main.index").unlink()
        recorder.stop()
        status, _, complaints = run([BUILD / "recorder" / "tongke-recorder", "--data", self.data,
                                     "--rebuild-index"])
        self.assertEqual(0, status, complaints)
        self.assertEqual(lines, index_lines(self.data, recording_id))

    def test_lost_pictures_come_back(self):
        self.uplink = Blindfold(self.relay.rtsp_port)
        self.addCleanup(self.uplink.close)
        recorder = self.recorder()
        capture = self.capture(recorder, "--transport", "udp")
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 30)
        self.uplink.on = True

        def alone():
            return [line for line in index_lines(self.data, recording_id) if line[3].endswith("s")]

        self.assertTrue(wait_below(self.data, lambda: len(alone()) >= SOUND_CHUNKS))
        self.uplink.on = False
        url = f"/api/v1/recordings/{recording_id}"
        gaps = wait_below(self.data, lambda: recorder.get(url)["gaps"])
        # A group of pictures in the midst may have been asked for again in time.
        self.assertEqual({"no-picture"}, {gap["reason"] for gap in gaps})
        self.assertLess(gaps[0]["from_s"], int(alone()[0][4]) / 1e9 + 0.1)
        self.assertGreater(gaps[-1]["to_s"] - gaps[0]["from_s"], SOUND_CHUNKS / 10)
        wait_chunks(self.data, recording_id, len(chunk_numbers(self.data, recording_id)) + 25)
        playlist = request("GET", recorder.playlist(recording_id)).text()
        self.assertNotIn("DISCONTINUITY", playlist)  # the sound goes on
        capture.stop()
        recording = self.check_complete(recorder, recording_id)
        healed = [gap for gap in recording["gaps"] if gap["healed"]]
        self.assertIn("missed", [gap["reason"] for gap in healed])
        self.assertLessEqual({gap["reason"] for gap in healed}, {"missed", "no-picture"})

    def check_names_mean_what_they_meant(self, before, after):
        """Of what caches hold nothing is wrong, and what was not changed is found by its name still."""
        self.assertGreaterEqual(len(before.keys() & after), 3)  # the beginning, which was whole
        self.assertTrue(set(after) - before.keys())
        for part, body in before.items():
            answer = request("GET", part)
            self.assertEqual((answer.status, answer.body) if part in after else answer.status,
                             (200, body) if part in after else 404, part)

    def test_a_cut_longer_than_the_relay_waits_is_one_lesson(self):
        relay = Relay(self.addCleanup, {"lesson.teardown_s": 1, "lesson.away_s": 1})
        self.uplink.target = relay.rtsp_port
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        capture = self.capture(recorder)
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 20)
        self.uplink.cut()
        recorder.wait_log(f"recording closed.*{recording_id}")
        after = len(capture.err)
        self.uplink.mend()
        capture.wait_log("main: connected", after)
        wait_chunks(self.data, recording_id, len(chunk_numbers(self.data, recording_id)) + 20)
        self.assertEqual(recording_id, relay.lesson("math")["id"])
        capture.stop()
        self.check_complete(recorder, recording_id)

    def test_a_lesson_that_no_relay_got_is_delivered_whole(self):
        self.uplink.cut()
        recorder = self.recorder()
        capture = self.capture(recorder, "--duration", "5", "--title", "导数")
        self.assertEqual(0, capture.wait())
        recording = self.check_complete(recorder, self.lesson())
        self.assertEqual(("math", "导数"), (recording["name"], recording["info"]["title"]))
        whole = kept(self.copies, self.lesson(), "v")
        self.assertGreater(recording["duration_s"], whole[-1][0] - whole[0][0] - 0.2)

    def test_what_a_wrong_library_refuses_is_kept(self):
        relay = Relay(self.addCleanup)  # without a library; what it does not know it says in words of its own
        self.uplink.cut()
        wrong = [BUILD / "client" / "capture" / "tongke-capture", "--relay", self.uplink.url("math"),
                 "--keep", self.copies, *SMALL, "--deliver-for", "1"]
        proxy = Stranger(self.addCleanup)
        for place in (["--library", proxy.url, "--duration", "5"], ["--web", relay.url, "--deliver"]):
            Program(self.addCleanup, [*wrong, *place]).wait()
            kept_as = json.loads((self.copies / self.lesson() / "lesson.json").read_text())
            self.assertEqual("over", kept_as["state"])
        self.assertTrue(proxy.asked)

    def test_a_killed_capture_goes_on_with_its_lesson(self):
        recorder = self.recorder()
        first = self.capture(recorder)
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 20)
        first.stop(by=signal.SIGKILL, expected=-signal.SIGKILL)
        # A relay that was started again knows nothing of it.
        relay, self.relay = self.relay, None
        relay.kill()
        self.relay = Relay(self.addCleanup, {"lesson.teardown_s": 1, "web.port": relay.http_port})
        self.uplink.target = self.relay.rtsp_port
        count = len(chunk_numbers(self.data, recording_id))
        second = self.capture(recorder)
        second.wait_log(f"the lesson {recording_id} goes on")
        wait_chunks(self.data, recording_id, count + 20)
        self.assertEqual(recording_id, self.relay.lesson("math")["id"])
        second.stop()


if __name__ == "__main__":
    unittest.main()
