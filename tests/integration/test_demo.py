# SPDX-License-Identifier: MIT
"""tools/demo from its first line to its exit status."""

import contextlib
import json
import signal
import socket
import sys
import unittest

from tongke import BUILD, ROOT, Deadline, Program, clip, request, run, temporary
from websocket import WebSocket, is_init


def demo(cleanup, *options):
    return Program(cleanup, [sys.executable, ROOT / "tools" / "run_demo.py", f"--build={BUILD}",
                             "--no-browser", *options])


def address(program, word):
    return program.wait_line(rf"^{word} +(\S+)$")[1]


class Demo(unittest.TestCase):
    def setUp(self):
        self.data = temporary(self.addCleanup)

    def test_a_lesson_of_files_is_shown_and_recorded(self):
        program = demo(self.addCleanup, "--source", clip(), "--slides", clip(b_frames=0), "--title",
                       "函数的单调性", "--duration", "600", "--data", self.data)
        page, library = address(program, "page"), address(program, "library")
        rtsp, ws = address(program, "rtsp"), address(program, "ws")
        self.assertIn("<script", request("GET", page.split("#")[0]).text())
        deadline, shown = Deadline(), []
        while [r["state"] for r in shown] in ([], ["armed"]):  # until its first chunk came
            self.assertFalse(deadline.over(), program.tail())
            shown = request("GET", library).json()["recordings"]
        self.assertEqual([(r["state"], r["info"]["title"]) for r in shown],
                         [("recording", "函数的单调性")])
        status, out, err = run(["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries",
                                "stream=codec_name", "-of", "csv=p=0", rtsp])
        self.assertEqual(sorted(set(out.split())), ["aac", "h264"], err)
        self.assertTrue(is_init(WebSocket(self.addCleanup, ws).next_binary()))
        program.stop(by=signal.SIGINT)
        lesson = json.loads(next(self.data.glob("lessons/*/*/*/lesson.json")).read_text())
        self.assertEqual(lesson["state"], "closed")
        self.assertEqual(sorted(s["name"] for s in lesson["streams"]), ["main", "slides"])

    def test_ctrl_c_ends_the_test_lesson(self):
        program = demo(self.addCleanup, "--data", self.data)
        address(program, "ws")
        program.wait_line("Ctrl-C")
        program.stop(by=signal.SIGINT)
        self.assertEqual(len(list(self.data.glob("lessons/*/*/*/lesson.json"))), 1)

    def test_ports_in_use_are_said_and_others_taken(self):
        for port, kind in ((8554, socket.SOCK_STREAM), (8001, socket.SOCK_DGRAM),
                           (8080, socket.SOCK_STREAM), (8081, socket.SOCK_STREAM)):
            one = socket.socket(socket.AF_INET, kind)
            self.addCleanup(one.close)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            with contextlib.suppress(OSError):  # somebody else holds it: that serves as well
                one.bind(("127.0.0.1", port))
                if kind == socket.SOCK_STREAM:
                    one.listen()
        program = demo(self.addCleanup, "--duration", "1", "--source", clip(), "--data", self.data)
        for port in (8554, 8000, 8080, 8081):
            program.wait_line(rf"port {port} \(\w+\) is in use")
        self.assertNotIn(":8080/", address(program, "page"))
        self.assertNotIn(":8081/", address(program, "library"))
        self.assertNotIn(":8554/", address(program, "rtsp"))
        self.assertEqual(program.wait(), 0, program.tail())

    def test_a_program_that_dies_is_named_with_its_last_words(self):
        program = demo(self.addCleanup, "--source", self.data / "missing.mp4", "--data", self.data)
        self.assertEqual(program.wait(), 1)
        program.wait_log("tongke-capture ended with status")
        program.wait_log("missing.mp4.* is no file")


class Command(unittest.TestCase):
    def test_help_needs_nothing(self):
        status, out, _ = run([ROOT / "tools" / "demo", "--help"])
        self.assertEqual(status, 0)
        for option in ("--source", "--slides", "--title", "--duration", "--data", "--no-browser"):
            self.assertIn(option, out)

    def test_what_is_not_understood_is_said_before_anything_is_done(self):
        for wrong in (["--sauce", "x"], ["--duration"], ["extra"]):
            with self.subTest(wrong):
                status, out, err = run([ROOT / "tools" / "demo", *wrong])
                self.assertEqual((status, out), (2, ""))
                self.assertIn("--help", err)

    def test_a_senseless_duration_is_refused(self):
        for wrong in ("0", "-3", "nan", "long"):
            with self.subTest(wrong):
                status, _, err = run([sys.executable, ROOT / "tools" / "run_demo.py", "--build=.",
                                      f"--duration={wrong}"])
                self.assertEqual(status, 2)
                self.assertIn("--duration", err)
