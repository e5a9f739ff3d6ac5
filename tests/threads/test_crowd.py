# SPDX-License-Identifier: MIT
"""ThreadSanitizer watches the relay, two workers of each kind, under a crowd that comes and goes."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "integration")]

from soak import descriptors, soak, wait_closed  # pylint: disable=wrong-import-position
from tongke import BUILD, DEADLINE_S, Relay  # pylint: disable=wrong-import-position


class Threads(unittest.TestCase):
    def test_a_crowd_comes_and_goes(self):
        # The relay's end is held to status 0 and to silence of the sanitizer. Who falls short, or is
        # too slow for the relay, says only that everything takes ten times as long.
        lines, wrong = soak(12, 2, settings={"workers.packet": 2, "workers.web": 2}, scale=5)
        left_over = [what for what in wrong if "fell short" not in what and "thrown out" not in what]
        self.assertEqual(left_over, [], "\n".join(lines))

    def test_connections_break_on_both_workers_at_once(self):
        """GLib's own locks are not seen: what it keeps for all threads (g_strerror) is not for workers."""
        relay = Relay(self.addCleanup, {"workers.packet": 2})
        peers = []
        for _ in range(60):
            peer = socket.create_connection(("127.0.0.1", relay.rtsp_port), DEADLINE_S)
            self.addCleanup(peer.close)
            peer.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            self.assertTrue(peer.recv(4096))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peers.append(peer)
        before = descriptors(relay.pid) - len(peers)
        os.kill(relay.pid, signal.SIGSTOP)
        for peer in peers:
            peer.close()
        os.kill(relay.pid, signal.SIGCONT)
        self.assertEqual(wait_closed(relay, before), before)
        relay.stop()

    def test_what_threads_share(self):
        for name in ("mailbox", "schools", "share"):
            with self.subTest(name):
                done = subprocess.run([BUILD / "tests" / "unit" / "relay" / f"test-relay-{name}"],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
