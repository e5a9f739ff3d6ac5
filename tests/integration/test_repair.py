# SPDX-License-Identifier: MIT
"""Lossy lines: what a player or the relay misses it gets again."""

# tools/test: alone, for what a busy machine brings later than a second is lost to a player.

import re
import signal
import time
import unittest

from lossy import Line
from tongke import BUILD, Program, Relay, capture, request
from websocket import WebSocket

TOLD = (r"received (\d+) packets; (\d+) lost, (\d+) late; (\d+) asked for again, (\d+) repaired")

LATE_S = 0.35  # chunks that far apart beside the relay: this machine is late itself, and repairs are


class Repair(unittest.TestCase):
    def lesson(self, **settings):
        """A relay with a lesson, and its chunks, by which time is told."""
        self.relay = Relay(self.addCleanup, settings)
        capture(self.addCleanup, self.relay, "math", "--size", "320x180", "--bitrate", "300")
        self.chunks = WebSocket(self.addCleanup,
                                f"ws://127.0.0.1:{self.relay.http_port}/live/math")
        self.chunks.next_binary()

    def watch(self, lost, **line):
        """What the player says of the line after so many packets are lost on it, both ways. Chunks
        that came while the player began are read at once: their number would tell nothing."""
        line = Line(self.relay.rtsp_port, loss=0.1, delay_s=0.1, **line)
        self.addCleanup(line.close)
        player = Program(self.addCleanup, [
            BUILD / "client" / "player" / "tongke-player", "--latency", "1000", "--transport", "udp",
            "--video-sink", "fakevideosink", "--audio-sink", "fakesink",
            f"rtsp://127.0.0.1:{line.port}/math"])
        player.wait_line("^state=playing")
        line.bad = True
        came, self.silent_s = time.monotonic(), 0.0
        while line.lost < lost:
            self.chunks.next_binary()
            came, before = time.monotonic(), came
            self.silent_s = max(self.silent_s, came - before)
        player.stop(by=signal.SIGINT)
        told = re.search(TOLD, "\n".join(player.err))
        self.assertIsNotNone(told, player.tail())
        return [int(number) for number in told.groups()]

    def test_a_tenth_lost_each_way_and_not_a_packet_missing(self):
        self.lesson()
        packets, lost, late, _, repaired = self.watch(200)
        self.assertGreater(packets, 1000)
        self.assertLess(lost + late, repaired / 3)
        if self.silent_s < LATE_S:
            self.assertEqual((lost, late), (0, 0))
        self.assertGreater(repaired, packets // 20)
        self.assertGreaterEqual(self.relay.metric("rtp_packets_resent_total"), repaired)

    def test_without_repair_the_damage_shows(self):
        self.lesson(**{"repair.enabled": "false"})
        packets, lost, *_, repaired = self.watch(60)
        self.assertGreater(lost, packets // 30)
        self.assertEqual(repaired, 0)
        self.assertEqual(self.relay.metric("rtp_packets_resent_total"), 0)

    def test_the_relay_asks_its_sender(self):
        self.relay = Relay(self.addCleanup)
        line = Line(self.relay.rtsp_port, loss=0.05, delay_s=0.03)
        self.addCleanup(line.close)
        sender = Program(self.addCleanup, [
            BUILD / "client" / "capture" / "tongke-capture", "--transport", "udp", "--size", "320x180",
            "--bitrate", "300", "--relay", f"rtsp://127.0.0.1:{line.port}/math"])
        chunks = WebSocket(self.addCleanup, f"ws://127.0.0.1:{self.relay.http_port}/live/math")
        chunks.next_binary()
        line.bad = True
        while line.lost < 40:
            chunks.next_binary()
        sender.stop(by=signal.SIGINT)
        self.relay.wait_log("a sender leaves")
        repaired, lost = (self.stream_metric(f"packets_{name}_total") for name in ("repaired", "lost"))
        self.assertGreater(repaired, 10)
        self.assertLess(lost, repaired / 4)

    def stream_metric(self, name):
        text = request("GET", self.relay.url + "/metrics").text()
        return int(re.search(rf"^tongke_stream_{name}{{.*}} (\d+)$", text, re.M)[1])


if __name__ == "__main__":
    unittest.main()
