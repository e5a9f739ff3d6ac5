# SPDX-License-Identifier: MIT
"""tongke-capture against a real relay: what it sends, and what it does when something is lost."""

import json
import pathlib
import signal
import tempfile
import unittest

from clients import CAPTURE, CTL, Relay, Running, becomes, brightness, probe, publishes, run
from websocket import WebSocket

BRIGHT, DARK = 150, 60  # the test lesson is on paper, the slate on dark ground
SMALL = ["--size", "320x180", "--bitrate", "300"]


def shows_the_lesson(relay):
    """Soon: a machine that has much to do shows the slate until the source has its first picture."""
    return becomes(lambda light: light > BRIGHT, lambda: brightness(relay.url("math")))


class Capture(unittest.TestCase):
    def setUp(self):
        self.running = []

    def tearDown(self):
        for program in reversed(self.running):
            program.stop(signal.SIGKILL)

    def start(self, make, *words, **more):
        program = make(*words, **more)
        self.running.append(program)
        return program

    def capture(self, relay, *words, lesson="math", **more):
        return self.start(Running, CAPTURE, "--relay", relay.url(lesson), "--keep", "none", *words,
                          **more)

    def file(self, seconds, *options):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "lesson.mp4"
        run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=d={seconds}:s=320x180:r=25",
            "-f", "lavfi", "-i", f"sine=d={seconds}:r=48000", "-c:v", "libx264", "-preset",
            "superfast", "-c:a", "aac", *options, path)
        return path

    def test_the_test_lesson_arrives_with_picture_sound_slides_and_record(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--slides", "test", "--title", "函数的单调性", "--subject",
                               "数学", "--teacher", "王老师")
        publishes(capture, relay)
        publishes(capture, relay, "slides")
        tracks, packets = probe(relay.url("math"), 120)
        self.assertEqual("h264", tracks["video"]["codec_name"])
        self.assertEqual((1280, 720), (tracks["video"]["width"], tracks["video"]["height"]))
        self.assertEqual(0, tracks["video"]["has_b_frames"])
        self.assertEqual(("aac", "LC", "48000"), tuple(
            tracks["audio"][key] for key in ("codec_name", "profile", "sample_rate")))
        self.assertEqual({"video", "audio"}, {p["codec_type"] for p in packets})
        slides, _ = probe(relay.url("math", "slides"))
        self.assertEqual({"video"}, set(slides))
        self.assertTrue(shows_the_lesson(relay))
        self.assertEqual({"title": "函数的单调性", "subject": "数学", "teacher": "王老师"},
                         relay.lesson("math")["info"])
        self.assertEqual({"main", "slides"}, {s["name"] for s in relay.lesson("math")["streams"]})

    def test_it_takes_leave(self):
        for transport in "udp", "tcp":
            with self.subTest(transport):
                relay = self.start(Relay)
                capture = self.capture(relay, "--transport", transport, *SMALL)
                capture.wait_for("main: connected")
                relay.wait_for(f"a sender begins over {transport.upper()}")
                self.assertEqual(0, capture.stop(signal.SIGINT))
                relay.wait_for("a sender leaves .*reason=teardown")

    def test_it_ends_when_the_time_is_over(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--duration", "4", *SMALL)
        self.assertEqual(0, capture.wait())
        if "main: connected" in capture.said():  # a machine with much to do takes longer than that
            relay.wait_for("a sender leaves .*reason=teardown")

    def test_it_ends_when_somebody_ends_the_lesson(self):
        relay = self.start(Relay)
        with tempfile.TemporaryDirectory() as copies:
            capture = self.capture(relay, *SMALL, "--keep", copies, "--deliver-for", "0")
            publishes(capture, relay)
            run(CTL, "--relay", f"http://127.0.0.1:{relay.web}", "lesson", "end", "math")
            self.assertEqual(0, capture.wait())
            copy = next(pathlib.Path(copies).glob("*/lesson.json"))
            self.assertEqual("over", json.loads(copy.read_text())["state"])

    def test_a_relay_that_comes_back_gets_the_lesson_again(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--title", "导数", *SMALL)
        capture.wait_for("main: connected")
        relay.stop(signal.SIGKILL)
        capture.wait_for("not connected: .*next try in 1 s")
        capture.wait_for("not connected: .*next try in 2 s")
        again = self.start(Relay, like=relay)
        capture.wait_for("main: connected")
        self.assertTrue(shows_the_lesson(again))
        self.assertEqual("导数", again.lesson("math")["info"]["title"])

    def test_a_killed_sender_goes_on_with_the_same_lesson(self):
        relay = self.start(Relay)
        first = self.capture(relay, *SMALL)
        begun = relay.wait_for(r"lesson (\w{26}) begins")[1]
        relay.wait_for("a sender begins")
        first.stop(signal.SIGKILL)
        self.capture(relay, *SMALL).wait_for("main: connected")
        relay.wait_for("a sender begins")
        self.assertTrue(shows_the_lesson(relay))
        self.assertEqual(begun, relay.lesson("math")["id"])

    def test_a_lost_source_becomes_a_slate_with_sound_and_comes_back(self):
        camera_relay = self.start(Relay)
        publishes(self.capture(camera_relay, *SMALL, lesson="camera"), camera_relay)
        relay = self.start(Relay)
        capture = self.capture(relay, "--source", camera_relay.url("camera"), *SMALL)
        publishes(capture, relay)

        def look():
            return brightness(relay.url("math"))

        capture.wait_for("passed on as it is", again=True)
        self.assertTrue(becomes(lambda light: light > BRIGHT, look))

        # It only stands still: shorter than what is taken for lost.
        camera_relay.process.send_signal(signal.SIGSTOP)
        capture.wait_for("main: a slate is shown")
        camera_relay.process.send_signal(signal.SIGCONT)
        self.assertTrue(becomes(lambda light: light > BRIGHT, look))

        camera_relay.stop(signal.SIGKILL)
        capture.wait_for("main: picture lost: .*next try in 1 s")
        self.assertTrue(becomes(lambda light: light < DARK, look))
        tracks, packets = probe(relay.url("math"), 200)
        self.assertEqual({"video", "audio"}, {p["codec_type"] for p in packets})
        self.assertEqual("live", relay.lesson("math")["state"])

        self.start(Relay, like=camera_relay)
        capture.wait_for("main: picture is back")
        self.assertTrue(becomes(lambda light: light > BRIGHT, look))
        self.assertEqual(0, capture.stop())

    def test_a_file_is_encoded_anew_and_ends_the_lesson(self):
        relay = self.start(Relay)
        path = self.file(15, "-bf", "2")
        viewer = WebSocket(self.addCleanup, f"ws://127.0.0.1:{relay.web}/live/math")
        capture = self.capture(relay, "--source", path, *SMALL)
        # Who asks when it is there may find it over.
        film = path.with_name("seen.mp4")
        with film.open("wb") as out:
            for _ in range(20):
                out.write(viewer.next_binary())
        tracks, _ = probe(film, 50)
        self.assertEqual(0, tracks["video"]["has_b_frames"])
        capture.wait_for("the file is over")
        self.assertEqual(0, capture.wait())

    def test_a_looping_file_has_no_seam(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--source", self.file(2), "--loop", *SMALL)
        publishes(capture, relay)
        _, packets = probe(relay.url("math"), 400)
        for kind in "video", "audio":
            times = [float(p["pts_time"]) for p in packets if p["codec_type"] == kind
                     and "pts_time" in p]
            steps = [b - a for a, b in zip(times, times[1:])]
            self.assertGreater(times[-1] - times[0], 4)
            self.assertGreater(min(steps), 0, kind)
            # A file opened anew takes longer, at each of two seams; once the machine may.
            self.assertLess(sum(step >= 0.5 for step in steps), 2, kind)
        self.assertNotIn("lost", capture.said())

    def test_a_source_without_sound_gets_silence(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--source", self.file(3, "-an"), "--loop", *SMALL)
        publishes(capture, relay)
        _, packets = probe(relay.url("math"), 400)
        times = [float(p["pts_time"]) for p in packets if p["codec_type"] == "audio"
                 and "pts_time" in p]
        self.assertGreater(times[-1] - times[0], 3)
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 0.5)

    def test_a_file_with_b_frames_is_not_passed_on(self):
        relay = self.start(Relay)
        capture = self.capture(relay, "--source", self.file(3, "-bf", "2"), "--loop", "--copy",
                               "always", *SMALL)
        capture.wait_for("B-frames")
        publishes(capture, relay)
        tracks, _ = probe(relay.url("math"), 50)
        self.assertEqual(0, tracks["video"]["has_b_frames"])

    def test_a_second_sender_is_told_and_waits(self):
        relay = self.start(Relay)
        publishes(self.capture(relay, *SMALL), relay)
        self.capture(relay, *SMALL).wait_for("somebody else is sending this lesson")

    def test_with_a_key_only_a_senders_token_lets_in(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        key = pathlib.Path(folder.name) / "key"
        run(CTL, "key", "new", key)
        relay = self.start(Relay, f"auth.key_file={key}")
        tokens = {}
        for role in "sender", "viewer":
            tokens[role] = run(CTL, "token", "--key", key, "--role", role, "--lesson", "math",
                               ).decode().strip()

        for env, wanted in ({}, "wants a token"), ({"TONGKE_TOKEN": tokens["viewer"]}, "does not"):
            capture = self.capture(relay, *SMALL, env=env)
            capture.wait_for(f"refused: .*{wanted}")
            self.assertEqual(1, capture.wait())
        path = pathlib.Path(folder.name) / "token"
        path.write_text(tokens["sender"] + "\n")
        capture = self.capture(relay, "--token-file", path, *SMALL)
        capture.wait_for("main: connected")
        secret = tokens["sender"].rsplit(".", 1)[1]
        self.assertNotIn(secret, capture.said() + relay.said())
        self.assertNotIn(secret.encode(), pathlib.Path(
            f"/proc/{capture.process.pid}/cmdline").read_bytes())

    def test_nonsense_is_refused_with_a_sentence(self):
        for words in ["--relay", "http://h/x"], ["--relay", "rtsp://h/x", "--source", "/no/file"], []:
            capture = self.start(Running, CAPTURE, *words)
            self.assertEqual(2, capture.wait())
            self.assertTrue(capture.said().startswith("tongke-capture: "), capture.said())

    def test_it_lists_what_the_machine_has(self):
        self.assertIn(b"x264enc", run(CAPTURE, "--list-encoders"))
        self.assertIn(b"--source test", run(CAPTURE, "--list-devices"))
        self.assertRegex(run(CAPTURE, "--version"), rb"^tongke-capture \d+\.\d+")


if __name__ == "__main__":
    unittest.main()
