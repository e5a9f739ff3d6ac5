# SPDX-License-Identifier: MIT
"""Multicast in a LAN of the test's own: network namespaces with a cable between them."""

import signal
import unittest

from clients import PLAYER
from lan import RELAY_HOST, Room, enter_lan
from rtsp import H264, Rtsp, sdp
from test_door import Key
from tongke import Deadline, Program, Relay, publish, request, temporary
from websocket import WebSocket

FRAMES = 75  # 3 s
RECEIVED = 'stream_packets_received_total{lesson="math",stream="main"}'
GROUP = {"Transport": "RTP/AVP;multicast"}


def setUpModule():
    enter_lan()


class Lan(unittest.TestCase):
    def relay_with(self, *lessons, **settings):
        values = {name.replace("__", "."): value for name, value in settings.items()}
        relay = Relay(self.addCleanup, {"multicast.enabled": "true", **values})
        for lesson in lessons:
            publish(self.addCleanup, relay, lesson)
            WebSocket(self.addCleanup, relay.ws(f"/live/{lesson}")).next_binary()
        return relay

    def wait_metric(self, relay, name, enough):
        deadline = Deadline()
        while not enough(relay.metric(name)):
            if deadline.over():
                self.fail(f"{name} is {relay.metric(name)}")
        return relay.metric(name)

    def set_up(self, relay, path="math"):
        peer = Rtsp(self.addCleanup, relay)
        return peer, peer.ask("SETUP", f"{path}/track=0", GROUP)


class Watching(Lan):
    @classmethod
    def setUpClass(cls):
        cls.room = Room(cls.addClassCleanup)
        cls.key = Key(temporary(cls.addClassCleanup))

    def setUp(self):
        self.relay = Relay(self.addCleanup, {
            "multicast.enabled": "true", "rtsp.listen": "0.0.0.0", "multicast.interface": RELAY_HOST,
            "auth.key_file": self.key.path})
        publish(self.addCleanup, self.relay, f"math?token={self.key.token('sender')}")
        self.viewer = self.key.token("viewer")
        WebSocket(self.addCleanup, self.relay.ws(f"/live/math?token={self.viewer}")).next_binary()
        self.url = f"rtsp://{RELAY_HOST}:{self.relay.rtsp_port}/math"

    def start(self, *command, **more):
        return Program(self.addCleanup, [*self.room.inside, *command], **more)

    def ffmpeg(self):
        return self.start("ffmpeg", "-nostdin", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.2",
                          "-rtsp_transport", "udp_multicast", "-i", f"{self.url}?token={self.viewer}", "-f",
                          "null", "-")

    def gstreamer(self):
        return self.start(
            "gst-launch-1.0", "-q", "rtspsrc", f"location={self.url}?token={self.viewer}",
            "protocols=udp-mcast", "!", "rtph264depay", "!", "avdec_h264", "!", "identity",
            f"eos-after={FRAMES + 1}", "!", "checksumsink", "hash=md5")

    def counts(self):
        """Packets in and packets out, so far, at the same moment."""
        return self.relay.metrics(RECEIVED, "rtp_packets_sent_total")

    def test_two_programs_watch_one_copy_until_the_last_leaves(self):
        ffmpeg = self.ffmpeg()
        ffmpeg.wait_line(r"^frame=[1-9]")
        gstreamer = self.gstreamer()
        self.wait_metric(self.relay, "multicast_sessions", lambda count: count == 2)
        before = self.counts()
        self.assertEqual(gstreamer.wait(), 0, gstreamer.tail())
        after = self.counts()
        self.assertGreaterEqual(len({line.split()[-1] for line in gstreamer.out}), FRAMES)
        came, went = after[0] - before[0], after[1] - before[1]
        self.assertGreater(came, FRAMES)
        self.assertAlmostEqual(went / came, 1, delta=0.1)
        self.assertEqual(self.relay.metric("rtp_viewers"), 1)
        ffmpeg.wait_line(r"^frame=([89]\d|\d{3,})$")
        self.wait_metric(self.relay, "multicast_reports_total", lambda count: count > 0)
        ffmpeg.process.send_signal(signal.SIGINT)
        ffmpeg.wait()
        self.wait_metric(self.relay, "multicast_groups", lambda count: count == 0)
        self.wait_metric(self.relay, "rtp_viewers", lambda count: count == 0)
        rest = self.counts()
        self.wait_metric(self.relay, RECEIVED, lambda count: count > rest[0] + 50)
        self.assertEqual(self.relay.metric("rtp_packets_sent_total"), rest[1])

    def test_the_player_watches_until_the_lesson_ends(self):
        player = self.start(PLAYER, self.url, "--transport", "multicast", "--video-sink", "fakevideosink",
                            "--audio-sink", "fakesink", env={"TONGKE_TOKEN": self.viewer})
        player.wait_line("^state=playing transport=multicast")
        self.assertEqual(self.relay.metric("multicast_sessions"), 1)
        request("POST", f"{self.relay.url}/api/v1/lessons/math/end", token=self.key.token("admin"))
        self.relay.wait_log("a viewer leaves .*reason=ended")
        self.assertEqual(self.relay.metric("multicast_groups"), 0)


class Groups(Lan):
    def test_the_relay_alone_names_the_group(self):
        relay = self.relay_with("math")
        peer, _ = self.set_up(relay)
        for asked in ("RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=99",
                      "RTP/AVP/UDP;multicast;destination=192.0.2.1;client_port=5000-5001"):
            reply = peer.ask("SETUP", "math/track=1", {"Transport": asked})
            self.assertEqual(reply.headers["transport"],
                             "RTP/AVP;multicast;destination=239.255.0.1;port=18002-18003;ttl=1")

    def test_nothing_is_sent_before_play(self):
        relay = self.relay_with("math")
        peer, reply = self.set_up(relay)
        self.assertEqual(reply.status, 200)
        self.assertEqual(relay.metric("multicast_groups"), 0)
        self.assertEqual(relay.metric("rtp_packets_sent_total"), 0)
        self.assertEqual(peer.ask("PLAY", "math").status, 200)
        self.assertEqual(relay.metric("multicast_groups"), 1)
        self.wait_metric(relay, "rtp_viewers", lambda count: count == 1)
        self.assertEqual(peer.ask("TEARDOWN", "math").status, 200)
        self.assertEqual(relay.metric("multicast_groups"), 0)
        self.wait_metric(relay, "rtp_viewers", lambda count: count == 0)

    def test_groups_are_bounded_and_used_again(self):
        relay = self.relay_with("math", "music", multicast__groups_max="1")
        first, _ = self.set_up(relay)
        same, reply = self.set_up(relay)
        self.assertIn("destination=239.255.0.1;", reply.headers["transport"])
        _, refused = self.set_up(relay, "music")
        self.assertEqual(refused.status, 429)
        self.assertIn("multicast.groups_max", refused.headers["x-tongke-reason"])
        first.ask("TEARDOWN", "math")
        self.assertEqual(self.set_up(relay, "music")[1].status, 429)
        same.ask("TEARDOWN", "math")
        _, reply = self.set_up(relay, "music")
        self.assertIn("destination=239.255.0.1;", reply.headers["transport"])

    def test_two_streams_have_two_groups(self):
        relay = self.relay_with("math", "music")
        kept = [self.set_up(relay, lesson) for lesson in ("math", "music")]
        self.assertEqual([reply.headers["transport"].split("destination=")[1] for _, reply in kept],
                         ["239.255.0.1;port=18000-18001;ttl=1", "239.255.0.2;port=18004-18005;ttl=1"])

    def test_one_session_is_one_way(self):
        relay = self.relay_with("math")
        peer, _ = self.set_up(relay)
        self.assertEqual(peer.ask("SETUP", "math/track=1", {
            "Transport": "RTP/AVP;unicast;client_port=40000-40001"}).status, 200)
        self.assertEqual(peer.ask("PLAY", "math").status, 455)

    def test_senders_do_not_come_by_group(self):
        relay = self.relay_with()
        peer = Rtsp(self.addCleanup, relay)
        self.assertEqual(peer.ask("ANNOUNCE", "art", {"Content-Type": "application/sdp"},
                                  sdp(H264)).status, 200)
        self.assertEqual(peer.ask("SETUP", "art/streamid=0", {
            "Transport": "RTP/AVP;multicast;mode=record"}).status, 461)

    def test_the_door_stands_before_the_groups(self):
        key = Key(temporary(self.addCleanup))
        relay = self.relay_with(auth__key_file=key.path)
        publish(self.addCleanup, relay, f"math?token={key.token('sender')}")
        viewer = key.token("viewer")
        WebSocket(self.addCleanup, relay.ws(f"/live/math?token={viewer}")).next_binary()
        self.assertEqual(self.set_up(relay)[1].status, 401)
        with_token = {"Authorization": f"Bearer {viewer}", **GROUP}
        peer = Rtsp(self.addCleanup, relay)
        self.assertEqual(peer.ask("SETUP", "math/track=0", with_token).status, 200)
