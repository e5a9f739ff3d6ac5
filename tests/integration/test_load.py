# SPDX-License-Identifier: MIT
"""A crowd at one relay, made by the load generator: everybody gets everything."""

import json
import unittest

from tongke import BUILD, Relay, run

GENERATOR = BUILD / "tests" / "bench" / "tongke-load"


class Crowd(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def watch(self, *options, rtsp="crowd", web="crowd", expected=0):
        status, out, err = run([
            GENERATOR, "--send", f"rtsp+tcp://127.0.0.1:{self.relay.rtsp_port}/crowd",
            "--rtsp", self.relay.rtsp(rtsp),
            "--web", f"ws://127.0.0.1:{self.relay.http_port}/live/{web}", *options])
        self.assertEqual(status, expected, out + err + self.relay.tail())
        return json.loads(out)

    def check_whole(self, way):
        self.assertGreaterEqual(way["count"], 55)
        self.assertEqual(way["joined"], way["count"])
        self.assertEqual((way["left"], way["short"]), (0, 0))
        self.assertEqual((way["with_gaps"], way["missing"], way["doubles"]), (0, 0, 0))

    def test_nobody_misses_anything_though_ten_read_nothing(self):
        saw = self.watch("--viewers-rtp", "65", "--viewers-ws", "65", "--read-nothing", "10",
                         "--seconds", "8", "--join-over", "0.5")
        self.assertEqual(saw["impaired"]["count"], 10)
        self.assertEqual(saw["rtp"]["count"] + saw["web"]["count"], 120)
        self.check_whole(saw["rtp"])
        self.check_whole(saw["web"])
        self.relay.stop()

    def test_what_a_line_loses_is_sent_again(self):
        saw = self.watch("--viewers-rtp", "20", "--seconds", "2", "--lose", "5")["rtp"]
        self.assertGreater(saw["dropped"], 300)
        # What was lost in the very end is still being asked for.
        self.assertLess(saw["missing"], saw["dropped"] / 5)
        self.assertEqual(saw["short"], 0)

    def test_a_viewer_who_gets_nothing_is_a_failure(self):
        saw = self.watch("--viewers-rtp", "1", "--seconds", "0.5", rtsp="nobody", expected=1)
        self.assertEqual((saw["rtp"]["left"], saw["rtp"]["short"]), (1, 1))
        self.assertIn("404", saw["reasons"][0])
