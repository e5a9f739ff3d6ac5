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

    def check_whole(self, way, count):
        self.assertEqual((way["count"], way["joined"]), (count, count))
        self.assertEqual((way["left"], way["short"]), (0, 0))
        self.assertEqual((way["with_gaps"], way["missing"], way["doubles"]), (0, 0, 0))

    def test_sixty_players_and_sixty_browsers_miss_nothing(self):
        saw = self.watch("--viewers-rtp", "60", "--viewers-ws", "60", "--seconds", "10")
        self.check_whole(saw["rtp"], 60)
        self.check_whole(saw["web"], 60)
        self.relay.stop()

    def test_who_reads_nothing_harms_nobody(self):
        saw = self.watch("--viewers-rtp", "30", "--viewers-ws", "30", "--read-nothing", "10",
                         "--seconds", "5")
        self.assertEqual(saw["impaired"]["count"], 10)
        self.check_whole(saw["rtp"], saw["rtp"]["count"])
        self.check_whole(saw["web"], saw["web"]["count"])
        self.assertEqual(saw["rtp"]["count"] + saw["web"]["count"], 50)

    def test_a_viewer_who_gets_nothing_is_a_failure(self):
        saw = self.watch("--viewers-rtp", "1", "--seconds", "0.5", rtsp="nobody", expected=1)
        self.assertEqual((saw["rtp"]["left"], saw["rtp"]["short"]), (1, 1))
        self.assertIn("404", saw["reasons"][0])
