# SPDX-License-Identifier: MIT
"""How each school follows is counted, and what it may be sent is limited without harm to others."""

import contextlib
import threading
import unittest

from rtsp import Rtsp
from test_door import Key
from tongke import Deadline, Program, Relay, ctl, renditions, request, temporary
from websocket import Chunk, WebSocket, is_init

# main takes some 630 kbit/s, low 180, the sound alone 60.
FILMS = {"main": ("640x360", 560), "low": ("320x180", 110)}  # size, kbit/s
MAIN, LOW, SOUND = 640, 320, None
ROOM_FOR_ONE_MAIN = 1000
MANY = 12  # more than there is room for
REFUSED = 1013
TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"
ODD = '河口"中\\学'


def drain(peer):
    """Its line is well from now on: it takes all that comes."""
    def read():
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                pass

    threading.Thread(target=read, daemon=True).start()


class Stage(unittest.TestCase):
    settings = {}
    measured_s = 5  # what a stream takes is told by whole groups of pictures

    @classmethod
    def setUpClass(cls):
        cls.key = Key(temporary(cls.addClassCleanup))
        cls.relay = Relay(cls.addClassCleanup, {"auth.key_file": cls.key.path, **cls.settings})
        cls.admin = cls.key.token("admin")
        sender = cls.key.token("sender", "--lesson", "math")
        Program(cls.addClassCleanup, renditions(
            FILMS, lambda stream: cls.relay.rtsp(f"math/{stream}?token={sender}")))
        token = cls.key.token("recorder")  # takes nothing of a school's room
        sockets = [WebSocket(cls.addClassCleanup, cls.relay.ws(f"/live/math/{stream}?token={token}"))
                   for stream in ("main", "low", "audio")]
        for socket in sockets:
            cls.pass_time(socket)
            socket.close()

    @classmethod
    def pass_time(cls, socket):
        begin = None
        while True:
            data = socket.next_binary()
            at = None if is_init(data) else Chunk(data).captured_ns
            begin = begin or at
            if begin and at and at - begin >= cls.measured_s * 1e9:
                return

    def token(self, school, role="viewer"):
        return self.key.token(role, "--school", school)

    def open(self, school, path="/live/math?rendition=auto&"):
        return WebSocket(self.addCleanup, self.relay.ws(f"{path}token={self.token(school)}"))

    def begin(self, socket):
        """How wide the picture is that it begins with."""
        width = socket.wait_json(lambda text: text["type"] == "init").get("width")
        drain(socket.socket)
        return width

    def watch(self, school):
        socket = self.open(school)
        return socket, self.begin(socket)

    def fill(self, school):
        """As many viewers as there is room for, and how each begins."""
        viewers = []
        while len(viewers) < MANY:
            socket = self.open(school)
            try:
                viewers.append((socket, self.begin(socket)))
            except AssertionError:
                self.assertEqual(socket.closed, REFUSED)
                return viewers
        raise AssertionError(f"{school} has room for all")

    def play(self, school, stream="math", role="viewer", agent="player"):
        peer = Rtsp(self.addCleanup, self.relay)
        token = {"Authorization": f"Bearer {self.token(school, role)}"}
        for track in (0, 1):
            setup = {"Transport": f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}", **token}
            self.assertEqual(peer.ask("SETUP", f"{stream}/track={track}", setup).status, 200)
        reply = peer.ask("PLAY", stream, {"User-Agent": agent})
        if reply.status == 200:
            drain(peer.socket)
        return peer, reply

    def school(self, name):
        answer = self.relay.get("/api/v1/schools", self.admin)
        return next((school for school in answer["schools"] if school["name"] == name), None)

    def wait_for(self, name, holds):
        deadline = Deadline()
        while not holds((self.school(name) or {"states": {}})["states"]):
            self.assertFalse(deadline.over(), f"that never comes: {self.school(name)}")

    def wait_states(self, name, due):
        self.wait_for(name, lambda states: states == due)


class Counted(Stage):
    measured_s = 0

    def test_each_school_has_its_own_figures(self):
        sockets = [self.watch(ODD)[0] for _ in range(2)]
        peer, reply = self.play(ODD)
        self.assertEqual(reply.status, 200)
        self.watch("城关小学")
        self.wait_states(ODD, {"live": 3})
        self.wait_states("城关小学", {"live": 1})
        self.assertEqual(self.school(ODD)["viewers"], {"rtp": 1, "ws": 2, "multicast": 0})
        metrics = request("GET", self.relay.url + "/metrics").text()
        self.assertIn(r'tongke_school_viewers{school="河口\"中\\学",over="ws",state="live"} 2' + "\n", metrics)
        self.assertIn(r'tongke_school_viewers{school="河口\"中\\学",over="rtp",state="live"} 1' + "\n",
                      metrics)
        for socket in sockets:
            socket.send_json({"type": "want", "rendition": "low"})
        self.wait_states(ODD, {"live": 1, "low": 2})
        self.assertEqual(self.school(ODD)["moved_down"], 2)
        peer.socket.close()
        for socket in sockets:
            socket.close()
        self.wait_states(ODD, {})
        self.wait_states("城关小学", {"live": 1})
        self.assertGreater(self.school(ODD)["sent_bytes"], 0)

    def test_the_technician_sees_their_lines(self):
        self.watch("远山小学")
        deadline = Deadline()
        while not (self.school("远山小学") or {}).get("line"):
            self.assertFalse(deadline.over(), "nobody told of the line")
        status, out, err = ctl("schools", "--relay", self.relay.url, env={"TONGKE_TOKEN": self.admin})
        self.assertEqual(status, 0, err)
        row = next(line for line in out.splitlines() if "远山小学" in line)
        self.assertRegex(row, r"1 live +> [\d.]+ Mbit/s +[\d.]+ ms +0 % +0/0 +0 +0/0")

    def test_only_an_admin_may_see_them(self):
        url = self.relay.url + "/api/v1/schools"
        self.assertEqual(request("GET", url).status, 401)
        self.assertEqual(request("GET", url, token=self.token("x")).status, 403)


class SchoolLimit(Stage):
    settings = {"limits.school_kbps": ROOM_FOR_ONE_MAIN}

    def test_browsers_begin_with_what_there_is_room_for(self):
        viewers = self.fill("甲")
        widths = [width for _, width in viewers]
        self.assertEqual(widths, self.as_due(widths))
        self.assertEqual(self.open("甲", "/live/math/main?").drain(), REFUSED)
        self.assertEqual(self.watch("乙")[1], MAIN)  # another school is not touched
        counts = {"live": 1, "low": widths.count(LOW), "audio": widths.count(SOUND)}
        self.wait_states("甲", {state: count for state, count in counts.items() if count})
        self.assertEqual(self.school("甲")["refused"], 2)
        viewers[0][0].close()
        self.wait_for("甲", lambda states: sum(states.values()) == len(viewers) - 1)
        # Somebody gets the room that there is: one the whole picture, or those without one a small one.
        self.wait_for("甲", lambda states: "live" in states or states.get("low", 0) > counts["low"])
        self.assertLessEqual(self.school("甲")["reserved_bps"], ROOM_FOR_ONE_MAIN * 1000)

    @staticmethod
    def as_due(widths):
        """One whole picture, then small ones, then sound."""
        low = max(widths.count(LOW), 1)
        return [MAIN] + [LOW] * low + [SOUND] * (len(widths) - 1 - low)

    def test_players_begin_with_what_there_is_room_for(self):
        peers = [self.play("丙")]
        while peers[-1][1].status == 200 and len(peers) < MANY:
            peers.append(self.play("丙"))
        self.assertEqual(peers[-1][1].status, 453)
        self.assertIn("limits", peers[-1][1].headers["x-tongke-reason"])
        self.assertTrue(peers[-1][0].is_closed())
        self.wait_for("丙", lambda states: states.get("live") == 1 and states.get("low", 0) >= 1 and
                      sum(states.values()) == len(peers) - 1)
        self.assertEqual(self.play("丁")[1].status, 200)
        self.assertEqual(self.play("丙", "math/low")[1].status, 453)
        for peer, _ in peers:
            peer.socket.close()
        self.wait_states("丙", {})
        self.assertEqual(self.school("丙")["reserved_bps"], 0)
        self.assertEqual(self.play("丙", "math/low")[1].status, 200)


    def test_a_relay_that_is_moved_is_its_schools_viewer(self):
        for school, stream, room in (("戊", "math", True), ("己", "math/main", False)):
            peer, reply = self.play(school, stream, "recorder", "tongke-relay")
            self.assertEqual(reply.status, 200)
            self.wait_states(school, {"live": 1})
            self.assertEqual(self.school(school)["reserved_bps"] > 0, room)
            peer.socket.close()


class TotalLimit(Stage):
    settings = {"limits.total_kbps": ROOM_FOR_ONE_MAIN}

    def test_all_schools_together_are_limited_and_no_recording_is(self):
        first, width = self.watch("甲")
        self.assertEqual(width, MAIN)
        others = self.fill("乙")
        self.assertNotIn(MAIN, [width for _, width in others])
        self.assertEqual(self.open("丙").drain(), REFUSED)
        recorder = WebSocket(self.addCleanup, self.relay.ws(
            f"/live/math?token={self.token('丙', 'recorder')}"))
        self.assertEqual(self.begin(recorder), MAIN)
        # Who is there goes down or up with what it takes: nobody else shall be.
        for viewer, _ in ((first, MAIN), *others):
            viewer.close()
        for school in "甲", "乙":
            self.wait_states(school, {})
        viewer, width = self.watch("丁")
        self.assertEqual(width, LOW)  # the recorder has the rest
        for one in recorder, viewer:
            one.close()
        for school in "丙", "丁":
            self.wait_states(school, {})
        self.assertEqual(self.watch("丁")[1], MAIN)


if __name__ == "__main__":
    unittest.main()
