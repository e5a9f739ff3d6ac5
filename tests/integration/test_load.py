# SPDX-License-Identifier: MIT
"""A crowd at one relay, made by the load generator: everybody gets everything."""
# tools/test: alone, since who is short of what is told by whether a loaded machine keeps up

import json
import os
import pathlib
import resource
import unittest

from tongke import BUILD, Relay, run

GENERATOR = BUILD / "tests" / "bench" / "tongke-load"

# What a viewer may take of the relay's memory (docs/architecture.md): over UDP and WebSocket the
# targets; over TCP what may wait for it besides.
UDP_BYTES, WEB_BYTES, TCP_BYTES = 16 << 10, 64 << 10, (256 + 16) << 10
HISTORY_S = 60 + 10  # of chunks and of packets, a worker each


class Crowd(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def watch(self, *options, rtsp="crowd", web="crowd", expected=0):
        status, out, err = run([
            GENERATOR, "--send", f"rtsp+tcp://127.0.0.1:{self.relay.rtsp_port}/crowd",
            "--rtsp", self.relay.rtsp(rtsp),
            "--web", f"ws://127.0.0.1:{self.relay.http_port}/live/{web}", *options], seconds=90)
        self.assertEqual(status, expected, out + err + self.relay.tail())
        return json.loads(out)

    def check_whole(self, way, at_least):
        self.assertGreaterEqual(way["count"], at_least)
        self.assertEqual(way["joined"], way["count"])
        self.assertEqual((way["left"], way["short"]), (0, 0))
        self.assertEqual((way["with_gaps"], way["missing"], way["doubles"]), (0, 0, 0))

    def test_a_hundred_slow_ones_are_nothing_to_the_other_four_hundred(self):
        """Fifty read nothing and fifty at half speed, every second stretch of the same run."""
        rate, before = 400_000, self.rss()
        udp, tcp, web = 150, 100, 250
        saw = self.watch("--viewers-rtp", udp, "--viewers-tcp", tcp, "--viewers-ws", web, "--rate", rate,
                         "--read-nothing", 50, "--half-speed", 50, "--phases", 4, "--seconds", 24,
                         "--watch", self.relay.pid)
        self.assertEqual(saw["impaired"]["count"], 100)
        for way, at_least in (("rtp", 100), ("tcp", 60), ("web", 190)):
            with self.subTest(way):
                self.check_whole(saw[way], at_least)
                # Whose delay depends on them would be seconds late, as they are.
                quiet, disturbed = saw[way]["delay_ms"], saw[way]["disturbed"]["delay_ms"]
                self.assertLess(disturbed["p50"], 2 * quiet["p50"] + 100)
                self.assertLess(disturbed["p99"], 2 * quiet["p99"] + 400)
        self.assertGreater(self.relay.metric("ws_chunks_dropped_total"), 100)
        self.assertGreater(self.relay.metric("rtp_packets_unanswered_total"), 100)
        workers = 2 * len(os.sched_getaffinity(0))
        bound = (udp * UDP_BYTES + tcp * TCP_BYTES + web * WEB_BYTES +
                 workers * HISTORY_S * rate // 8)
        if "ASAN_OPTIONS" not in os.environ:  # a sanitizer keeps what is freed
            after = max(saw["process"]["rss_before"], saw["process"]["rss_after"])
            self.assertLess(after - before, bound)

    def rss(self):
        pages = pathlib.Path(f"/proc/{self.relay.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize()

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
