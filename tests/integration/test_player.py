# SPDX-License-Identifier: MIT
"""tongke-player against a real relay: it waits, plays, and comes back by itself."""

import contextlib
import pathlib
import signal
import tempfile
import threading
import time
import unittest

from clients import CAPTURE, CTL, PLAYER, Relay, Running, becomes, run
from websocket import WebSocket

SMALL = ["--size", "320x180", "--bitrate", "300"]
UNSEEN = ["--video-sink", "fakevideosink", "--audio-sink", "fakesink"]


class Beside:
    """Reads the lesson's chunks beside the relay, and notes the longest silence."""

    def __init__(self, case, relay):
        self.silent_s = 0.0
        self.socket = WebSocket(case.addCleanup, f"ws://127.0.0.1:{relay.web}/live/math")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        came = time.monotonic()
        with contextlib.suppress(OSError, AssertionError):
            while self.socket.next_binary():
                came, before = time.monotonic(), came
                self.silent_s = max(self.silent_s, came - before)


class Player(unittest.TestCase):
    def setUp(self):
        self.running = []

    def tearDown(self):
        for program in reversed(self.running):
            program.stop(signal.SIGKILL)

    def start(self, make, *words, **more):
        program = make(*words, **more)
        self.running.append(program)
        return program

    def capture(self, relay, *words):
        return self.start(Running, CAPTURE, "--relay", relay.url("math"), "--keep", "none", *SMALL, *words)

    def player(self, relay, *words, **more):
        return self.start(Running, PLAYER, relay.url("math"), *words, **more)

    def test_it_waits_for_the_lesson_and_plays_it(self):
        relay = self.start(Relay)
        player = self.player(relay, *UNSEEN)
        player.wait_for("^state=connecting")
        player.wait_for("^state=waiting")
        self.capture(relay)
        player.wait_for("^state=playing transport=udp")
        self.assertEqual(0, player.stop(signal.SIGINT))

    def test_it_plays_over_tcp(self):
        relay = self.start(Relay)
        self.capture(relay).wait_for("main: connected")
        player = self.player(relay, "--transport", "tcp", *UNSEEN)
        player.wait_for("^state=playing transport=tcp")
        relay.wait_for("a viewer begins over TCP")

    def test_sound_alone_is_played_while_no_picture_ever_comes(self):
        # Room for the sound and no more.
        relay = self.start(Relay, "limits.total_kbps=150")
        self.capture(relay, "--bitrate", "900").wait_for("main: connected")
        self.player(relay, *UNSEEN).wait_for("^state=sound")

    def test_it_outlives_the_relay(self):
        relay = self.start(Relay)
        capture = self.capture(relay)
        capture.wait_for("main: connected")
        player = self.player(relay, *UNSEEN)
        player.wait_for("^state=playing")
        relay.stop(signal.SIGKILL)
        player.wait_for("^state=reconnecting")
        self.start(Relay, like=relay)
        player.wait_for("^state=playing")
        self.assertEqual(0, player.stop())

    def test_it_goes_on_when_the_sender_returns(self):
        relay = self.start(Relay)
        first = self.capture(relay)
        first.wait_for("main: connected")
        player = self.player(relay, *UNSEEN)
        player.wait_for("^state=playing")
        relay.wait_for("a viewer begins")
        sessions = relay.said().count("a viewer begins")
        first.stop(signal.SIGKILL)
        player.wait_for("^state=reconnecting")
        self.capture(relay).wait_for("main: connected")
        player.wait_for("^state=playing")
        # The relay kept its session: there is no other since.
        self.assertEqual(sessions, relay.said().count("a viewer begins"))

    def test_it_says_when_it_may_not(self):
        with tempfile.TemporaryDirectory() as folder:
            key = pathlib.Path(folder) / "key"
            run(CTL, "key", "new", key)
            token = run(CTL, "token", "--key", key, "--role", "viewer", "--lesson", "math")
            relay = self.start(Relay, f"auth.key_file={key}")
            self.player(relay, *UNSEEN).wait_for("^state=refused")
            player = self.player(relay, *UNSEEN, env={"TONGKE_TOKEN": token.decode().strip()})
            player.wait_for("^state=waiting")

    def screen(self):
        """A display, and what looks at it: its mean brightness."""
        screen = self.start(Running, "Xvfb", "-displayfd", "1", "-screen", "0", "640x360x24",
                            "-nolisten", "tcp")
        display = ":" + screen.wait_for(r"^(\d+)$")[1]

        def look():
            return run("ffmpeg", "-v", "error", "-f", "x11grab", "-i", display, "-frames:v", "1",
                       "-vf", "scale=1:1:flags=area", "-pix_fmt", "gray", "-f", "rawvideo", "-")[0]
        return display, look

    def test_the_screen_shows_slate_and_lesson(self):
        display, look = self.screen()
        relay = self.start(Relay)
        player = self.player(relay, "--audio-sink", "fakesink", env={"DISPLAY": display})
        player.wait_for("^state=waiting")
        self.assertTrue(becomes(lambda light: 5 < light < 60, look))
        self.capture(relay).wait_for("main: connected")
        player.wait_for("^state=playing")
        self.assertTrue(becomes(lambda light: light > 150, look))

    def test_pictures_may_change_their_size(self):
        """As a class sees it that is moved to another rendition: SPS and PPS before a keyframe."""
        display, look = self.screen()
        with tempfile.TemporaryDirectory() as folder:
            film = pathlib.Path(folder) / "film.h264"
            film.write_bytes(100 * b"".join(run(
                "ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"color={colour}:s={size}:r=25", "-t", "2",
                "-c:v", "libx264", "-bf", "0", "-profile:v", "main", "-f", "h264", "-")
                for colour, size in (("white", "640x360"), ("black", "320x180"))))
            relay = self.start(Relay)
            self.start(Running, "ffmpeg", "-nostdin", "-v", "warning", "-re", "-r", "25", "-i", film,
                       "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", relay.url("math"))
            relay.wait_for("a sender begins")
            beside = Beside(self, relay)
            player = self.player(relay, "--transport", "udp", "--audio-sink", "fakesink",
                                 env={"DISPLAY": display})
            player.wait_for("^state=playing")
            for wanted in 2 * (lambda light: light > 200, lambda light: light < 4):
                self.assertTrue(becomes(wanted, look))
            if beside.silent_s < 1:  # else the sender itself stood
                self.assertNotIn("state=reconnecting", player.said())
            self.assertEqual(1, relay.said().count("a viewer begins over UDP"))

    def test_nonsense_is_refused_with_a_sentence(self):
        for words in ["http://h/x"], [], ["--latency=-3", "rtsp://h/x"]:
            player = self.start(Running, PLAYER, *words)
            self.assertEqual(2, player.wait())
            self.assertTrue(player.said().startswith("tongke-player: "), player.said())


if __name__ == "__main__":
    unittest.main()
