# SPDX-License-Identifier: MIT
"""What viewers are sent says its traffic class (DSCP), as it is seen on the wire."""

import socket
import unittest

from rtsp import Rtsp
from tongke import DEADLINE_S, Deadline, Relay, publish
from websocket import WebSocket

FULL_BYTES = 500  # longer than any answer to a request


def see_all():
    """A socket that sees this machine's TCP packets with their heads."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except PermissionError:
        raise unittest.SkipTest("no right to open a raw socket") from None


class Classes(unittest.TestCase):
    def relay_with_lesson(self, **settings):
        self.relay = Relay(self.addCleanup, {f"qos.{name}": value for name, value in settings.items()})
        publish(self.addCleanup, self.relay, "math")
        self.live = WebSocket(self.addCleanup, self.relay.ws("/live/math"))
        self.live.next_binary()

    def classes_from(self, port, peer_port):
        """Of full packets of one TCP connection."""
        seen, deadline = set(), Deadline()
        with see_all() as raw:
            raw.settimeout(DEADLINE_S)
            count = 0
            while count < 3:
                self.assertFalse(deadline.over(), "no packet of that connection")
                packet = raw.recv(65536)
                head = (packet[0] & 15) * 4
                ports = int.from_bytes(packet[head:head + 2], "big"), int.from_bytes(
                    packet[head + 2:head + 4], "big")
                if ports == (port, peer_port) and len(packet) > FULL_BYTES:
                    seen.add(packet[1] >> 2)
                    count += 1
        return seen

    def play(self, transport):
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("SETUP", "math/track=0", {"Transport": transport}).status, 200)
        self.assertEqual(peer.ask("PLAY", "math").status, 200)
        return peer

    def ear(self):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(ear.close)
        ear.settimeout(DEADLINE_S)
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        ear.bind(("127.0.0.1", 0))
        return ear

    def classes_at(self, ear, datagrams):
        seen = set()
        for _ in range(datagrams):
            _, notes, _, _ = ear.recvmsg(65536, 64)
            seen |= {data[0] >> 2 for level, kind, data in notes
                     if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)}
        return seen

    def test_media_is_marked_by_every_way(self):
        self.relay_with_lesson()
        rtp, rtcp = self.ear(), self.ear()
        self.play(f"RTP/AVP;unicast;client_port={rtp.getsockname()[1]}-{rtcp.getsockname()[1]}")
        self.assertEqual(self.classes_at(rtp, 3), {34})
        self.assertEqual(self.classes_at(rtcp, 1), {34})
        peer = self.play("RTP/AVP/TCP;unicast;interleaved=0-1")
        self.assertEqual(self.classes_from(self.relay.rtsp_port, peer.socket.getsockname()[1]), {34})
        self.assertEqual(self.classes_from(self.relay.http_port, self.live.socket.getsockname()[1]),
                         {34})

    def test_the_class_is_the_one_that_was_set(self):
        self.relay_with_lesson(dscp=0)
        self.assertEqual(self.classes_from(self.relay.http_port, self.live.socket.getsockname()[1]), {0})
        rtp, rtcp = self.ear(), self.ear()
        self.play(f"RTP/AVP;unicast;client_port={rtp.getsockname()[1]}-{rtcp.getsockname()[1]}")
        self.assertEqual(self.classes_at(rtp, 3), {0})


if __name__ == "__main__":
    unittest.main()
