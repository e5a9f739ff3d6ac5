# SPDX-License-Identifier: MIT
"""RTSP as the rude speak it: wrong order, wrong words, half requests and noise."""

import random
import select
import socket
import threading
import unittest

from rtsp import H264, H265, Rtsp, sdp
from tongke import Deadline, Relay, publish, request, run
from websocket import WebSocket

TCP = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
TCP_IN = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}


def open_port(cleanup):
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    cleanup(port.close)
    port.bind(("127.0.0.1", 0))
    return port


def by_udp(rtp, rtcp):
    return {"Transport": f"RTP/AVP;unicast;client_port={rtp.getsockname()[1]}-{rtcp.getsockname()[1]}"}


class Order(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(cls.addClassCleanup)
        publish(cls.addClassCleanup, cls.relay, "math")
        WebSocket(cls.addClassCleanup, cls.relay.ws("/live/math")).next_binary()

    def setUp(self):
        self.peer = Rtsp(self.addCleanup, self.relay)

    def announce(self, *media, path="room"):
        return self.peer.ask("ANNOUNCE", path, {"Content-Type": "application/sdp"}, sdp(*media))

    def is_status(self, expected, reply):
        self.assertEqual(reply.status, expected, reply.headers)

    def test_options_name_the_methods(self):
        reply = self.peer.ask("OPTIONS", "math")
        self.is_status(200, reply)
        for method in ("DESCRIBE", "SETUP", "PLAY", "ANNOUNCE", "RECORD", "TEARDOWN"):
            self.assertIn(method, reply.headers["public"])

    def test_an_unknown_lesson_is_not_found(self):
        self.is_status(404, self.peer.ask("DESCRIBE", "nothing-here"))

    def test_wrong_names_are_no_lessons(self):
        for path in ("..", "a/../b", "a%2f..%2fb", "a b", ".hidden", "x" * 65, "a/Main", "a/b/c"):
            with self.subTest(path):
                peer = Rtsp(self.addCleanup, self.relay)
                self.is_status(404, peer.ask("DESCRIBE", url=f"rtsp://h/{path.replace(' ', '%20')}"))

    def test_what_is_not_h264_is_refused(self):
        self.is_status(415, self.announce(H265))

    def test_two_pictures_are_refused(self):
        self.is_status(415, self.announce(H264, H264))

    def test_a_description_of_nothing_is_refused(self):
        self.is_status(415, self.announce())

    def test_the_name_of_the_sound_alone_is_nobodys(self):
        reply = self.announce(H264, path="room/audio")
        self.is_status(409, reply)
        self.assertIn("sound", reply.headers["x-tongke-reason"])

    def test_record_before_setup_is_out_of_order(self):
        self.is_status(200, self.announce(H264))
        self.is_status(455, self.peer.ask("RECORD", "room"))

    def test_record_without_announce_is_out_of_order(self):
        self.is_status(455, self.peer.ask("RECORD", "room"))

    def test_play_before_setup_is_out_of_order(self):
        self.is_status(455, self.peer.ask("PLAY", "math"))

    def test_play_of_what_is_announced_is_out_of_order(self):
        self.is_status(200, self.announce(H264))
        self.is_status(200, self.peer.ask("SETUP", "room/streamid=0", TCP_IN))
        self.is_status(455, self.peer.ask("PLAY", "room"))

    def test_transports_that_are_not_served(self):
        self.is_status(200, self.peer.ask("DESCRIBE", "math"))
        for transport in ("RTP/AVP;multicast;port=5000-5001", "RAW/RAW/UDP;unicast;client_port=1-2",
                          "RTP/AVP;unicast", "RTP/AVP/TCP;interleaved=x-y", "RTP/AVP;unicast;client_port=0-0",
                          ""):
            with self.subTest(transport):
                self.is_status(461, self.peer.ask("SETUP", "math/track=0", {"Transport": transport}))

    def test_media_goes_to_nobody_but_the_one_who_asks(self):
        self.is_status(200, self.peer.ask("DESCRIBE", "math"))
        reply = self.peer.ask("SETUP", "math/track=0", {
            "Transport": "RTP/AVP;unicast;destination=192.0.2.1;client_port=40000-40001"})
        self.assertNotIn("192.0.2.1", str(reply.headers))

    def test_a_track_that_is_not_there(self):
        self.is_status(200, self.peer.ask("DESCRIBE", "math"))
        self.is_status(404, self.peer.ask("SETUP", "math/track=7", TCP))

    def test_another_session_is_not_found(self):
        self.is_status(200, self.peer.ask("SETUP", "math/track=0", TCP))
        self.peer.session = "ffffffff00000000"
        self.is_status(454, self.peer.ask("PLAY", "math"))

    def test_an_unknown_method(self):
        self.is_status(501, self.peer.ask("FETCH", "math"))

    def test_a_viewer_sees_rtp_after_play_and_ends_by_teardown(self):
        self.is_status(200, self.peer.ask("DESCRIBE", "math"))
        self.is_status(200, self.peer.ask("SETUP", "math/track=0", TCP))
        reply = self.peer.ask("PLAY", "math")
        self.is_status(200, reply)
        self.assertIn("seq=", reply.headers["rtp-info"])
        first = self.peer.frame()
        while first[1] == 1:  # RTCP may well be first
            first = self.peer.frame()
        self.assertEqual((first[1], first[4] >> 6), (0, 2))  # channel 0, RTP version 2
        self.assertIn(f"seq={int.from_bytes(first[6:8], 'big')};", reply.headers["rtp-info"])
        self.is_status(200, self.peer.ask("GET_PARAMETER", "math"))
        self.is_status(200, self.peer.ask("TEARDOWN", "math"))
        self.assertTrue(self.peer.is_closed())

    def test_who_reads_late_still_hears_the_answer_to_its_teardown(self):
        peer = Rtsp(self.addCleanup, self.relay, receive_bytes=4096)
        self.is_status(200, peer.ask("SETUP", "math/track=0", TCP))
        before = len(self.relay.err)
        self.is_status(200, peer.ask("PLAY", "math"))
        port = peer.socket.getsockname()[1]
        self.relay.wait_log("a viewer over TCP: audio", before)
        peer.request("TEARDOWN", "math")
        peer.send(b"$\x01\x00\x04\x80\xc9\x00\x00" * 20)  # its reports go on until it knows
        self.relay.wait_log(f"a viewer leaves.*:{port} reason=teardown")
        self.is_status(200, peer.answer())
        self.assertTrue(peer.is_closed())

    def test_a_viewer_pauses_and_goes_on(self):
        self.is_status(200, self.peer.ask("SETUP", "math/track=0", TCP))
        self.is_status(455, self.peer.ask("PAUSE", "math"))
        for _ in range(2):
            self.is_status(200, self.peer.ask("PLAY", "math"))
            self.peer.frame()
            self.is_status(200, self.peer.ask("PAUSE", "math"))
        deadline = Deadline()  # other tests' may still be there
        while self.relay.metric("rtp_viewers"):
            self.assertFalse(deadline.over(), "it is sent to")

    def test_who_gets_nothing_by_udp_goes_on_by_tcp(self):
        """As ffmpeg does it, on the same connection and without a session. The ports are anybody's then."""
        udp = [by_udp(open_port(self.addCleanup), open_port(self.addCleanup)) for _ in range(2)]
        for track in (0, 1):
            self.is_status(200, self.peer.ask("SETUP", f"math/track={track}", udp[track]))
        self.is_status(200, self.peer.ask("PLAY", "math"))
        self.is_status(200, self.peer.ask("PAUSE", "math"))
        self.peer.session = None
        for track in (0, 1):
            tcp = {"Transport": f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"}
            self.is_status(200, self.peer.ask("SETUP", f"math/track={track}", tcp))
        self.is_status(200, self.peer.ask("PLAY", "math"))
        self.peer.frame()
        other = Rtsp(self.addCleanup, self.relay)
        for track in (0, 1):
            self.is_status(200, other.ask("SETUP", f"math/track={track}", udp[track]))

    def test_several_requests_in_one_packet_are_answered_in_order(self):
        one = f"OPTIONS {self.relay.rtsp('math')} RTSP/1.0\r\nCSeq: %d\r\n\r\n"
        self.peer.send("".join(one % n for n in range(1, 21)).encode())
        self.assertEqual([self.peer.read_reply().headers["cseq"] for _ in range(20)],
                         [str(n) for n in range(1, 21)])


class Noise(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def serves(self):
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("OPTIONS", "math").status, 200)

    def test_noise_is_no_harm(self):
        chance = random.Random(8554)
        for _ in range(60):
            peer = Rtsp(self.addCleanup, self.relay)
            peer.try_send(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 3000))))
            peer.socket.close()
        self.serves()

    def test_damaged_requests_are_no_harm(self):
        chance = random.Random(8555)
        whole = (f"ANNOUNCE {self.relay.rtsp('math')} RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp"
                 f"\r\nContent-Length: {len(sdp(H264))}\r\n\r\n{sdp(H264)}").encode()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            peer = Rtsp(self.addCleanup, self.relay)
            peer.try_send(bytes(damaged))
            peer.socket.close()
        self.serves()

    def test_datagrams_of_strangers_are_counted_and_dropped(self):
        chance = random.Random(8000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for size in range(200):
                for port in (self.relay.rtp_port, self.relay.rtp_port + 1):
                    sender.sendto(bytes(chance.randrange(256) for _ in range(size)),
                                  ("127.0.0.1", port))
        self.serves()
        deadline = Deadline()
        while not self.relay.metric("datagrams_strange_total"):
            self.assertFalse(deadline.over(), "they are not counted")

    def test_a_port_of_another_viewers_kills_nobody(self):
        """The second asks for its own RTP port with the first's RTCP port, and sends all the while."""
        first, second, mine = (open_port(self.addCleanup) for _ in range(3))
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("SETUP", "math/track=0", by_udp(first, second)).status, 200)
        setup = by_udp(mine, second)
        over = threading.Event()

        def send():
            while not over.is_set():
                mine.sendto(b"\x80\x60" + bytes(10), ("127.0.0.1", self.relay.rtp_port))

        flood = threading.Thread(target=send)
        flood.start()
        self.addCleanup(flood.join)
        self.addCleanup(over.set)
        for _ in range(100):
            peer = Rtsp(self.addCleanup, self.relay)
            self.assertEqual(peer.ask("SETUP", "math/track=0", setup).status, 461)
            # So it comes by TCP, on the same connection.
            self.assertEqual(peer.ask("SETUP", "math/track=0", TCP).status, 200)
            peer.socket.close()
        self.serves()

    def test_a_header_without_end_is_cut_off(self):
        peer = Rtsp(self.addCleanup, self.relay)
        for _ in range(64):  # MiB: more than the kernel holds for a relay that reads no more
            if not peer.try_send((b"X-Header: " + b"x" * 1012 + b"\r\n") * 1024):
                break
        else:
            self.fail("64 MiB of headers were taken")
        self.serves()

    def test_a_body_of_a_tebibyte_is_refused(self):
        peer = Rtsp(self.addCleanup, self.relay)
        peer.send(b"ANNOUNCE rtsp://h/math RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 1099511627776\r\n\r\n")
        self.assertIn(peer.read_reply().status, (400, 413))
        self.assertTrue(peer.is_closed())

    def test_half_a_request_is_closed(self):
        peer = Rtsp(self.addCleanup, self.relay)
        peer.send(b"OPTIONS rtsp://h/math RT")
        self.assertTrue(peer.is_closed())

    def test_rtp_that_is_none_ends_in_the_counters(self):
        chance = random.Random(96)
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("ANNOUNCE", "math", {"Content-Type": "application/sdp"},
                                  sdp(H264)).status, 200)
        self.assertEqual(peer.ask("SETUP", "math/streamid=0", TCP_IN).status, 200)
        self.assertEqual(peer.ask("RECORD", "math").status, 200)
        for size in range(300):
            body = bytes(chance.randrange(256) for _ in range(size))
            if size > 12 and size % 2:
                body = b"\x80\x60" + body[2:]
            peer.send(b"$" + bytes([size % 4]) + size.to_bytes(2, "big") + body)
        self.assertEqual(peer.ask("GET_PARAMETER", "math").status, 200)
        self.serves()


class Rubbish(unittest.TestCase):
    def test_a_sender_of_packets_that_are_none_of_its_tracks_is_let_go(self):
        relay = Relay(self.addCleanup, {"lesson.stall_s": 2})
        peer = Rtsp(self.addCleanup, relay)
        self.assertEqual(peer.ask("ANNOUNCE", "math", {"Content-Type": "application/sdp"},
                                  sdp(H264)).status, 200)
        self.assertEqual(peer.ask("SETUP", "math/streamid=0", TCP_IN).status, 200)
        self.assertEqual(peer.ask("RECORD", "math").status, 200)
        deadline = Deadline()
        number = 0
        # Payload type 99, where 96 was announced.
        while peer.try_send(b"$\0\0\x10\x80\x63" + number.to_bytes(2, "big") + bytes(12)):
            number += 1
            self.assertFalse(deadline.over(), "its rubbish keeps it there")
            try:
                if select.select([peer.socket], [], [], 0.02)[0] and not peer.socket.recv(65536):
                    break
            except ConnectionResetError:
                break  # with rubbish of ours unread
        relay.wait_log('a sender leaves.*reason="no media"')


class Start(unittest.TestCase):
    def test_a_port_in_use_is_named_and_nothing_starts(self):
        first = Relay(self.addCleanup)
        for key, port in (("rtsp.port", first.rtsp_port), ("rtsp.rtp_port", first.rtp_port),
                          ("web.port", first.http_port)):
            with self.subTest(key):
                values = {"rtsp.port": 0, "rtsp.rtp_port": 0, "web.port": 0, key: port}
                status, out, err = run([first.command[0], *(part for name, value in values.items()
                                                            for part in ("--set", f"{name}={value}"))])
                self.assertNotEqual(status, 0)
                self.assertEqual(out, "")
                self.assertIn(str(port), err)
                self.assertIn("in use", err)

    def test_wrong_configuration_is_named(self):
        from tongke import BUILD
        for wrong, said in (("rtsp.port=70000", "65535"), ("rtsp.prot=1", "prot"),
                            ("lesson.away_s=soon", "away_s"), ("rtsp.listen=nowhere", "nowhere")):
            with self.subTest(wrong):
                status, _, err = run([BUILD / "relay" / "tongke-relay", "--set", wrong])
                self.assertNotEqual(status, 0)
                self.assertIn(said, err)

    def test_it_ends_well_amid_everything(self):
        relay = Relay(self.addCleanup)
        sender = publish(self.addCleanup, relay, "math")
        socket = WebSocket(self.addCleanup, relay.ws("/live/math"))
        socket.next_binary()
        peer = Rtsp(self.addCleanup, relay)
        peer.send(b"OPTIONS ")
        viewer = Rtsp(self.addCleanup, relay)
        viewer.ask("SETUP", "math/track=0", TCP)
        viewer.ask("PLAY", "math")
        relay.stop()
        self.assertNotEqual(sender.wait(), 0)
        self.assertRaises(OSError, request, "GET", relay.url + "/healthz")
