# SPDX-License-Identifier: MIT
"""The door: what a key keeps out, and what a token lets in to."""

import base64
import hashlib
import hmac
import json
import time
import unittest

from rtsp import H264, Rtsp, sdp
from tongke import Relay, ctl, publish, request, run, temporary
from websocket import WebSocket


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self, folder, *options):
        self.path = folder / "key.jwk"
        status, _, err = ctl("key", "new", *options, self.path)
        if status:
            raise AssertionError(err)

    def token(self, role, *options):
        status, out, err = ctl("token", "--key", self.path, "--role", role, *options)
        if status:
            raise AssertionError(err)
        return out.strip()

    def forged(self, secret=None, algorithm="HS256", **claims):
        """A token of our own making; a claim that is None is left out."""
        known = {"aud": "tongke", "role": "admin", "lesson": "*", "exp": int(time.time()) + 3600}
        body = {name: value for name, value in {**known, **claims}.items() if value is not None}
        jwk = json.loads(self.path.read_text())
        key = secret or base64.urlsafe_b64decode(jwk["k"] + "==")
        head = {"alg": algorithm, "typ": "JWT"}
        if jwk.get("kid"):
            head["kid"] = jwk["kid"]
        signed = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
        if algorithm == "none":
            return signed + "."
        return signed + "." + b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())


class Door(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.key = Key(temporary(cls.addClassCleanup))
        cls.relay = Relay(cls.addClassCleanup, {"auth.key_file": cls.key.path})
        cls.sender = cls.key.token("sender", "--lesson", "math")
        publish(cls.addClassCleanup, cls.relay, f"math?token={cls.sender}")
        viewer = cls.key.token("viewer")
        WebSocket(cls.addClassCleanup, cls.relay.ws(f"/live/math?token={viewer}")).next_binary()

    def get(self, path, token=None):
        return request("GET", self.relay.url + path, token=token)

    def closed_with(self, path, **options):
        return WebSocket(self.addCleanup, self.relay.ws(path), **options).drain()

    def describe(self, path, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Rtsp(self.addCleanup, self.relay).ask("DESCRIBE", path, headers).status

    def test_nothing_is_served_without_a_token(self):
        for method, path in (("GET", "/api/v1/lessons"), ("GET", "/api/v1/lessons/math"),
                             ("PATCH", "/api/v1/lessons/math"), ("POST", "/api/v1/lessons/math/end"),
                             ("GET", "/api/v1/lessons/none")):
            with self.subTest(path):
                answer = request(method, self.relay.url + path, {} if method == "PATCH" else None)
                self.assertEqual((answer.status, answer.json()["code"]), (401, "unauthorized"))
        self.assertEqual(self.closed_with("/live/math"), 1008)
        self.assertEqual(self.closed_with("/live/none"), 1008)
        self.assertEqual(self.closed_with("/api/v1/events"), 1008)
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("DESCRIBE", "math").status, 401)
        self.assertEqual(peer.ask("SETUP", "math/track=0", {
            "Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}).status, 401)
        self.assertEqual(peer.ask("ANNOUNCE", "new", {"Content-Type": "application/sdp"},
                                  sdp(H264)).status, 401)

    def test_what_is_for_everybody_stays_so(self):
        self.assertEqual(self.get("/healthz").status, 200)
        self.assertTrue(self.get("/api/v1/relay").json()["auth"])

    def test_a_viewer_watches_by_all_ways(self):
        token = self.key.token("viewer", "--lesson", "math", "--school", "河口中学")
        self.assertEqual(self.get("/api/v1/lessons/math", token).status, 200)
        self.assertEqual(self.get(f"/api/v1/lessons/math?token={token}").status, 200)
        WebSocket(self.addCleanup, self.relay.ws("/live/math"), token=token).next_binary()
        self.assertEqual(self.describe("math", token), 200)
        status, out, err = run(["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries",
                                "stream=codec_name", "-of", "csv=p=0",
                                self.relay.rtsp(f"math?token={token}")])
        self.assertEqual((status, sorted(set(out.split()))), (0, ["aac", "h264"]), err)

    def play_with_password(self, password):
        """GStreamer's, since ffmpeg cuts a password at 127 characters."""
        url = self.relay.rtsp("math").replace("rtsp://", f"rtspt://anybody:{password}@")
        return run(["gst-launch-1.0", "-q", "playbin", f"uri={url}", "flags=video",
                    "video-sink=fakesink num-buffers=20"])

    def test_the_token_is_the_password_of_a_player(self):
        status, _, err = self.play_with_password(self.key.token("viewer"))
        self.assertEqual(status, 0, err)
        status, _, err = self.play_with_password("guessed")
        self.assertNotEqual(status, 0)

    def test_a_viewer_does_not_rule(self):
        token = self.key.token("viewer")
        url = f"{self.relay.url}/api/v1/lessons/math"
        self.assertEqual(request("PATCH", url, {"title": "x"}, token).status, 403)
        self.assertEqual(request("POST", url + "/end", token=token).status, 403)
        peer = Rtsp(self.addCleanup, self.relay)
        self.assertEqual(peer.ask("ANNOUNCE", "new", {"Authorization": f"Bearer {token}"},
                                  sdp(H264)).status, 403)

    def test_a_token_of_another_lesson_is_refused(self):
        token = self.key.token("viewer", "--lesson", "physics")
        self.assertEqual(self.get("/api/v1/lessons/math", token).status, 403)
        self.assertEqual(self.closed_with(f"/live/math?token={token}"), 1008)
        self.assertEqual(self.describe("math", token), 403)
        sender = self.key.token("sender", "--lesson", "physics")
        answer = request("POST", f"{self.relay.url}/api/v1/lessons/math/end", token=sender)
        self.assertEqual(answer.status, 403)

    def test_a_sender_rules_its_lesson(self):
        answer = request("PATCH", f"{self.relay.url}/api/v1/lessons/math", {"title": "函数"}, self.sender)
        self.assertEqual((answer.status, answer.json()["info"]["title"]), (200, "函数"))

    def test_tokens_that_are_none(self):
        now = int(time.time())
        good = self.key.token("viewer")
        wrong = {
            "expired": self.key.forged(exp=now - 60),
            "of no end": self.key.forged(exp=None),
            "not valid yet": self.key.forged(nbf=now + 600),
            "for somebody else": self.key.forged(aud="elsewhere"),
            "for nobody": self.key.forged(aud=None),
            "of a role that is none": self.key.forged(role="king"),
            "unsigned": self.key.forged(algorithm="none"),
            "of another algorithm": self.key.forged(algorithm="HS512"),
            "of another key": self.key.forged(secret=b"x" * 32),
            "cut": good[:-4],
            "changed": good.replace(".", ".e", 1),
            "noise": "x" * 3000,
            "dots": "...",
        }
        for what, token in wrong.items():
            with self.subTest(what):
                self.assertEqual(self.get("/api/v1/lessons", token).status, 401)
                self.assertEqual(self.closed_with(f"/live/math?token={token}"), 1008)
                self.assertEqual(self.describe("math", token), 401)
        self.assertEqual(self.get("/api/v1/lessons", self.key.forged()).status, 200)

    def test_no_token_is_in_the_log(self):
        token = self.key.token("viewer")
        self.get(f"/api/v1/lessons?token={token}")
        self.describe(f"math?token={token}")
        self.closed_with("/live/math?token=secret-word")
        for line in self.relay.err:
            self.assertNotIn(token[:20], line)
            self.assertNotIn("secret-word", line)


class Stay(unittest.TestCase):
    """An RTSP connection that was let in once."""

    TCP = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
    TCP_IN = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}

    def setUp(self):
        self.key = Key(temporary(self.addCleanup))
        self.relay = Relay(self.addCleanup, {"auth.key_file": self.key.path, "lesson.stall_s": 100})
        self.begin()

    def begin(self):
        """A lesson in the room, with media."""
        publish(self.addCleanup, self.relay, f"math?token={self.key.token('sender')}")
        path = f"/live/math?token={self.key.token('viewer')}"
        WebSocket(self.addCleanup, self.relay.ws(path)).next_binary()

    def connect(self, method, path, token, headers=None, body=""):
        """A connection that the request has let in."""
        peer = Rtsp(self.addCleanup, self.relay)
        reply = peer.ask(method, path, {"Authorization": f"Bearer {token}", **(headers or {})}, body)
        self.assertEqual(reply.status, 200)
        return peer

    def test_a_viewer_goes_when_its_token_ends_and_a_sender_stays(self):
        ends = int(time.time()) - 18  # clocks may be 30 s apart: good for 12 s more
        sender = self.connect("ANNOUNCE", "art", self.key.forged(role="sender", exp=ends),
                              {"Content-Type": "application/sdp"}, sdp(H264))
        self.assertEqual(sender.ask("SETUP", "art/streamid=0", self.TCP_IN).status, 200)
        self.assertEqual(sender.ask("RECORD", "art").status, 200)
        viewer = self.connect("SETUP", "math/track=0", self.key.forged(role="viewer", exp=ends), self.TCP)
        self.assertEqual(viewer.ask("PLAY", "math").status, 200)
        self.assertTrue(viewer.is_closed())
        self.relay.wait_log("a viewer leaves.*reason=.the token has expired")
        self.assertEqual(sender.ask("GET_PARAMETER", "art").status, 200)
        self.assertEqual(sender.ask("TEARDOWN", "art").status, 200)

    def test_a_token_for_one_lesson_does_not_play_the_next(self):
        url = f"{self.relay.url}/api/v1/lessons/math"
        admin = self.key.token("admin")
        first = request("GET", url, token=admin).json()["id"]
        token = self.key.token("viewer", "--lesson", first)
        described = self.connect("DESCRIBE", "math", token)
        set_up = self.connect("SETUP", "math/track=0", token, self.TCP)
        self.assertEqual(request("POST", url + "/end", token=admin).status, 200)
        sender = self.connect("ANNOUNCE", "math", self.key.token("sender", "--lesson", first),
                              {"Content-Type": "application/sdp"}, sdp(H264))
        self.assertEqual(sender.ask("SETUP", "math/streamid=0", self.TCP_IN).status, 200)
        self.assertEqual(sender.ask("RECORD", "math").status, 403)  # it would begin the next
        self.begin()
        self.assertEqual(described.ask("DESCRIBE", "math").status, 403)
        self.assertEqual(set_up.ask("PLAY", "math").status, 403)


class Outside(unittest.TestCase):
    def setUp(self):
        self.folder = temporary(self.addCleanup)

    def test_beyond_loopback_it_needs_a_key_and_says_how_to_make_one(self):
        from tongke import BUILD
        for setting in ("rtsp.listen=0.0.0.0", "web.listen=0.0.0.0", "rtsp.listen=::"):
            with self.subTest(setting):
                status, out, err = run([BUILD / "relay" / "tongke-relay", "--set", "rtsp.port=0", "--set",
                                        "rtsp.rtp_port=0", "--set", "web.port=0", "--set", setting])
                self.assertEqual((status, out), (1, ""))
                self.assertIn("tongkectl key new", err)

    def test_with_a_key_it_starts(self):
        key = Key(self.folder)
        Relay(self.addCleanup, {"auth.key_file": key.path, "web.listen": "0.0.0.0"})

    def test_a_public_key_checks_tokens_as_well(self):
        public = self.folder / "public.jwk"
        key = Key(self.folder, "--algorithm", "EdDSA", "--public", public)
        relay = Relay(self.addCleanup, {"auth.key_file": public})
        token = key.token("viewer")
        self.assertEqual(request("GET", relay.url + "/api/v1/lessons", token=token).status, 200)
        other = Key(temporary(self.addCleanup), "--algorithm", "EdDSA").token("viewer")
        self.assertEqual(request("GET", relay.url + "/api/v1/lessons", token=other).status, 401)

    def test_a_secret_does_not_pass_for_a_signature(self):
        """The public key's bytes, taken for an HMAC secret, make no valid token."""
        public = self.folder / "public.jwk"
        Key(self.folder, "--algorithm", "EdDSA", "--public", public)
        relay = Relay(self.addCleanup, {"auth.key_file": public})
        jwk = json.loads(public.read_text())
        key = Key(temporary(self.addCleanup))
        for secret in (public.read_bytes(), base64.urlsafe_b64decode(jwk["x"] + "==")):
            token = key.forged(secret=secret)
            self.assertEqual(request("GET", relay.url + "/api/v1/lessons", token=token).status, 401)
