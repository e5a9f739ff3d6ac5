# SPDX-License-Identifier: MIT
"""What viewers cost in memory while they are there, and that nothing stays behind when they go."""

import contextlib
import os
import socket
import threading
import unittest

from rtsp import Rtsp
from tongke import Deadline, Relay, publish
from websocket import WebSocket

JOINS = 400
LEFT_BYTES = 16  # per join: half of what the smallest block takes that is lost with each
CROWD = 50
HELD_BYTES = 16 << 10  # per viewer whose line is well (docs/architecture.md)


class Heap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(cls.addClassCleanup, {"history.packet_s": 2, "history.chunk_s": 2})
        with contextlib.ExitStack() as stack:
            publish(stack.callback, cls.relay, "math")
            WebSocket(stack.callback, cls.relay.ws("/live/math")).next_binary()
        # The lesson waits for its sender: what is in the history stays as it is.
        cls.relay.wait_log("the sender has left")
        if cls.relay.metric("heap_bytes") == 0:
            raise unittest.SkipTest("a sanitizer's allocator does not tell what is in use")

    def play(self, cleanup, transport):
        peer = Rtsp(cleanup, self.relay)
        self.assertEqual(peer.ask("DESCRIBE", "math").status, 200)
        self.assertEqual(peer.ask("SETUP", "math/track=0", {"Transport": transport}).status, 200)
        self.assertEqual(peer.ask("PLAY", "math").status, 200)

    def udp(self, cleanup):
        ports = []
        for _ in range(2):
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            cleanup(peer.close)
            peer.bind(("127.0.0.1", 0))
            ports.append(peer.getsockname()[1])
        self.play(cleanup, f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]}")

    def tcp(self, cleanup):
        self.play(cleanup, "RTP/AVP/TCP;unicast;interleaved=0-1")

    def web(self, cleanup):
        WebSocket(cleanup, self.relay.ws("/live/math")).next_binary()

    def events(self, cleanup):
        WebSocket(cleanup, self.relay.ws("/api/v1/events")).next_json()

    def http(self, cleanup):
        self.relay.get("/api/v1/lessons")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.relay.pid}/fd"))

    def heap(self):
        return self.relay.metric("heap_bytes")

    def heap_after(self, most, closed):
        """When all are gone; what the last one held is let go a moment after its socket."""
        deadline, pause = Deadline(), threading.Event()
        while (self.descriptors() > closed or self.heap() > most) and not deadline.over():
            pause.wait(0.05)
        return self.heap()

    def test_nothing_stays_of_viewers_who_came_and_went(self):
        closed = self.descriptors()
        for join in (self.udp, self.tcp, self.web, self.events, self.http):
            with self.subTest(join.__name__):
                heaps = []
                for _ in range(2):  # the first ones fill what is kept for the next
                    for _ in range(JOINS):
                        with contextlib.ExitStack() as stack:
                            join(stack.callback)
                    most = heaps[0] + JOINS * LEFT_BYTES if heaps else float("inf")
                    heaps.append(self.heap_after(most, closed))
                self.assertLess((heaps[1] - heaps[0]) / JOINS, LEFT_BYTES)

    def test_a_viewer_holds_little(self):
        for join in (self.udp, self.tcp, self.web, self.events):
            with self.subTest(join.__name__), contextlib.ExitStack() as stack:
                before = self.heap()
                for _ in range(CROWD):
                    join(stack.callback)
                self.assertLess((self.heap() - before) / CROWD, HELD_BYTES)


if __name__ == "__main__":
    unittest.main()
