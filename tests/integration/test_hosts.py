# SPDX-License-Identifier: MIT
"""One host cannot take all connections of a relay."""

import socket
import unittest

from lan import RELAY_HOST, enter_lan, ip
from test_door import Key
from tongke import DEADLINE_S, Deadline, Relay, temporary

OTHER_HOST = "10.85.0.2"
OPTIONS = b"OPTIONS rtsp://h/math RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def setUpModule():
    enter_lan()
    for host in (RELAY_HOST, OTHER_HOST):
        ip(f"address add {host}/32 dev lo")


class Hosts(unittest.TestCase):
    def setUp(self):
        key = Key(temporary(self.addCleanup))
        self.relay = Relay(self.addCleanup, {
            "rtsp.listen": "0.0.0.0", "web.listen": "0.0.0.0", "auth.key_file": key.path,
            "limits.connections_per_host": 4})

    def connect(self, port, host=RELAY_HOST):
        peer = socket.create_connection((RELAY_HOST, port), DEADLINE_S, source_address=(host, 0))
        self.addCleanup(peer.close)
        return peer

    def answer(self, host):
        """The status line with which a newcomer is met."""
        peer = self.connect(self.relay.rtsp_port, host)
        try:
            peer.sendall(OPTIONS)
            return peer.recv(4096).split(b"\r\n")[0].decode()
        except ConnectionResetError:
            return "reset"

    def test_a_host_is_bounded_over_both_ports_and_no_other_is(self):
        ports = [self.relay.rtsp_port, self.relay.http_port] * 2
        kept = [self.connect(port) for port in ports]
        # Each port accepts in order: when these are answered the others have been let in.
        self.assertEqual(self.relay.metric("connections_refused_total"), 0)
        self.assertEqual(self.answer("127.0.0.1"), "RTSP/1.0 200 OK")
        for port, word in ((self.relay.rtsp_port, b"RTSP/1.0 503 "),
                           (self.relay.http_port, b"HTTP/1.1 503 ")):
            peer = self.connect(port)
            self.assertTrue(peer.recv(4096).startswith(word))
            self.assertEqual(peer.recv(4096), b"")
        self.assertEqual(self.relay.metric("connections_refused_total"), 2)
        self.relay.wait_log("connections_per_host")
        self.assertEqual(self.answer(OTHER_HOST), "RTSP/1.0 200 OK")
        self.assertEqual(self.answer("127.0.0.1"), "RTSP/1.0 200 OK")
        for port, peer in zip(ports, kept):
            if port == self.relay.http_port:
                peer.close()
        deadline = Deadline()  # the relay has still to see that they are closed
        while self.answer(RELAY_HOST) != "RTSP/1.0 200 OK":
            self.assertFalse(deadline.over(), "it is refused for ever")
        self.relay.stop()  # and all that it said has been read
        self.assertEqual(sum("connections_per_host" in line for line in self.relay.err), 1)
