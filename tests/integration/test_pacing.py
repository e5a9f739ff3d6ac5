# SPDX-License-Identifier: MIT
"""A weak line: 2 Mbit/s with 64 kB of buffer, and a lesson of 1.2 Mbit/s with keyframes of 100 kB."""

# tools/test: alone, for a line that is late itself is a narrow one to the relay.
# tools/test: in real time, so not with sanitizers.

import re
import signal
import unittest

from lossy import Line
from tongke import BUILD, Program, Relay, lecture, publish
from websocket import WebSocket

LINE = {"rate_bps": 2_000_000, "buffer_bytes": 64_000, "delay_s": 0.02}
NARROW_BPS = 500_000
CHUNKS = 120  # 100 ms each: five keyframes and the late join's burst


class Pacing(unittest.TestCase):
    def lesson(self, **settings):
        self.relay = Relay(self.addCleanup, {"repair.enabled": "false", **settings})
        publish(self.addCleanup, self.relay, "math", film=lecture())
        self.chunks = WebSocket(self.addCleanup, self.relay.ws("/live/math"))
        for _ in range(30):
            self.chunks.next_binary()

    def watch(self, **line):
        self.line = Line(self.relay.rtsp_port, **{**LINE, **line})
        self.addCleanup(self.line.close)
        return Program(self.addCleanup, [
            BUILD / "client" / "player" / "tongke-player", "--latency", "1000", "--transport", "udp",
            "--video-sink", "fakevideosink", "--audio-sink", "fakesink",
            f"rtsp://127.0.0.1:{self.line.port}/math/main"])

    def test_each_line_gets_what_it_carries(self):
        """On one line nothing is lost; what is too much for another waits in the relay, and is dropped
        there up to a keyframe, not in the line's buffer anywhere."""
        self.lesson()
        player = self.watch()
        player.wait_line("^state=playing")
        line = self.line
        self.watch(rate_bps=NARROW_BPS)
        passed = 0
        metric = self.relay.metric
        for holds in (lambda: metric("rtp_packets_dropped_total") > 0,
                      lambda: metric('rtp_viewers_by_state{state="catching-up"}') > 0,
                      lambda: metric("rtp_line_least_bps") < NARROW_BPS):  # it is tried for more now and then
            while not holds():
                self.chunks.next_binary()
                passed += 1
        self.assertEqual(self.relay.metric("rtp_viewers_gone_total"), 0)
        self.assertEqual(self.relay.metric("rtp_viewers_narrow"), 1)
        for _ in range(CHUNKS - passed):
            self.chunks.next_binary()
        player.stop(by=signal.SIGINT)
        told = re.search(r"received (\d+) packets; (\d+) lost", "\n".join(player.err))
        self.assertIsNotNone(told, player.tail())
        self.assertGreater(int(told[1]), 1000)
        self.assertEqual((line.spilt, int(told[2])), (0, 0))

    def test_without_pacing_the_buffer_overflows(self):
        self.lesson(**{"pacing.enabled": "false"})
        self.watch()
        for _ in range(CHUNKS):
            self.chunks.next_binary()
            if self.line.spilt > 20:
                return
        self.fail(f"{self.line.spilt} packets lost")


if __name__ == "__main__":
    unittest.main()
