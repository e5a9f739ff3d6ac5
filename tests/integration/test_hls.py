# SPDX-License-Identifier: MIT
"""A running lesson by HLS through nginx: thousands may watch, and the recorder sees hardly any."""
# tools/test: alone, since whether a crowd has its parts in time is told by a machine that keeps up

import json
import re
import socket
import ssl
import time
import unittest

import crowd
from proxy import NAME, Nginx, nginx_path
from tongke import (BUILD, Program, Recorder, Relay, ctl, publish, request, segments, temporary,
                    wait_below)

VIEWERS, CROWD_S = 200, 7
HEARD_S = 8  # of a lesson before the crowd comes: two thirds of what a live player wants behind it


def secure(port, name=NAME):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=name)


def ask(port, target, *lines, host=NAME, name=NAME):
    """The whole answer to a request as it is written here; b"" when there is none."""
    with secure(port, name) as there:
        there.sendall("\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "",
                                   ""]).encode())
        answer = b""
        while piece := there.recv(65536):
            answer += piece
        return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else 0


def keyed(case, folder):
    """A relay and a recorder behind a key, and nginx in front of them."""
    key, token_file = folder / "key.jwk", folder / "recorder.token"
    ctl("key", "new", key)
    tokens = {role: ctl("token", "--key", key, "--role", role)[1].strip()
              for role in ("viewer", "sender", "recorder", "admin")}
    token_file.write_text(tokens["recorder"])
    relay = Relay(case, {"auth.key_file": key, "lesson.teardown_s": 1,
                         "web.page": BUILD / "client" / "web" / "dist"})
    recorder = Recorder(case, relay.url, folder / "library",
                        {"auth.key_file": key, "relay.token_file": token_file})
    (folder / "nginx").mkdir()
    nginx = Nginx(case, folder / "nginx", relay.http_port, int(recorder.url.rsplit(":", 1)[1]))
    return relay, recorder, nginx, tokens


def counted(recorder):
    text = request("GET", recorder.url + "/metrics").text()
    return {name: int(float(re.search(rf"^tongke_recorder_hls_{name}_total (\S+)$", text, re.M)[1]))
            for name in ("playlists", "segments")}


@unittest.skipUnless(nginx_path(), "nginx is not installed")
class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = temporary(cls.addClassCleanup)
        cls.relay, cls.recorder, cls.nginx, cls.tokens = keyed(cls.addClassCleanup, cls.folder)
        cls.sender = publish(cls.addClassCleanup, cls.relay, f"math?token={cls.tokens['sender']}")
        cls.recording_id = cls.recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        cls.api = f"/api/v1/recordings/{cls.recording_id}"
        library = cls.folder / "library"
        if not wait_below(library, lambda: cls.recording()["duration_s"] >= HEARD_S):
            raise AssertionError("the lesson is not recorded")

    @classmethod
    def recording(cls):
        return cls.recorder.get(cls.api, cls.tokens["viewer"])

    def test_a_crowd_is_one_viewer_to_the_recorder(self):
        hls = self.recording()["hls"]
        room = f"{self.nginx.url}/api/v1/recordings/math/playlist.m3u8?token={self.tokens['viewer']}"
        strangers = [Program(self.addCleanup, [
            "ffmpeg", "-nostdin", "-v", "error", "-i", address, "-fps_mode", "passthrough", "-enc_time_base",
            "-1", "-f", "null", "-"]) for address in (self.nginx.url + hls, room)]
        before, began = counted(self.recorder), time.monotonic()
        seen = crowd.watch(self.nginx.url + hls, VIEWERS, CROWD_S)
        asked = {name: count - before[name] for name, count in counted(self.recorder).items()}
        took_s = time.monotonic() - began
        print(f"# {json.dumps({**crowd.summary(seen), 'recorder_asked': asked})}")
        self.assertEqual((seen.done, seen.missed, seen.stalls), (VIEWERS, 0, 0))
        self.assertEqual(set(seen.statuses), {200})
        self.assertGreater(len(seen.sums), CROWD_S // 2)
        # Everybody has the same, and it is what the recorder has.
        origin = segments(self.recorder.playlist(self.recording_id, token=self.tokens["viewer"]))
        own = {re.sub(r"^http://[^/]+", "", url): url for url in origin}
        for path, sums in seen.sums.items():
            self.assertEqual(sums, {crowd.hashlib.sha1(request("GET", own[path]).body).digest()}, path)
        # Each part was asked for once. Each playlist, whole or as a delta, once a second at most, since
        # as often it may be new.
        self.assertLessEqual(asked["segments"], len(seen.sums) + 4)
        self.assertLess(asked["playlists"], 5 * (took_s + 5))
        self.assertGreater(seen.requests, VIEWERS * CROWD_S / 3)
        # The lesson's end is seen by those who watch.
        self.sender.stop_if_running = self.sender.kill
        self.sender.kill()
        request("POST", f"{self.relay.url}/api/v1/lessons/{self.recording_id}/end",
                token=self.tokens["admin"])
        for stranger in strangers:
            self.assertEqual((stranger.wait(), stranger.err), (0, []))

    def test_strangers_are_refused_through_the_cache(self):
        viewer, port = self.tokens["viewer"], self.nginx.port
        hls = self.recording()["hls"]
        self.assertEqual(status_of(ask(port, hls)), 200)
        parts = segments(self.recorder.playlist(self.recording_id, token=viewer))
        part = re.sub(r"^http://[^/]+", "", parts[1])
        whole = ask(port, part)
        self.assertEqual(status_of(whole), 200)
        self.assertEqual(status_of(ask(port, part + "?x=1")), 200)
        piece = ask(port, part, "Range: bytes=10-19")
        self.assertEqual((status_of(piece), piece[-10:]), (206, whole.split(b"\r\n\r\n", 1)[1][10:20]))
        # Now that they are kept, too, only who has the whole address has them.
        _, _, grant, lesson, *rest = part.split("/")
        bent = grant[:-1] + ("0" if grant[-1] != "0" else "1")
        for wrong in (bent, grant[:-1], grant.upper(), grant + "%0a", "x", f"x/../{bent}"):
            answer = ask(port, "/".join(["/hls", wrong, lesson, *rest]))
            self.assertIn(status_of(answer), (400, 403, 404), wrong)
        for target in (self.api, f"{self.api}/playlist.m3u8", "/api/v1/recordings/math/playlist.m3u8"):
            self.assertEqual(status_of(ask(port, target)), 401, target)
            self.assertLess(status_of(ask(port, target, f"Authorization: Bearer {viewer}")), 303, target)
            self.assertEqual(status_of(ask(port, target)), 401, target)
        admin = f"Authorization: Bearer {self.tokens['admin']}"
        self.assertEqual(status_of(ask(port, "/api/v1/alarms", admin)), 200)
        log = self.nginx.folder / "access.log"
        self.nginx.process.send_signal(10)  # USR1: reopens its logs, and so writes them
        self.assertTrue(wait_below(self.nginx.folder, lambda: "/hls/-/" in log.read_text()))
        self.assertNotIn(grant, log.read_text())
        self.assertNotIn(viewer, log.read_text())

    def test_the_page_comes_packed(self):
        for name in ("app.js", "player.js", "style.css"):
            whole = ask(self.nginx.port, f"/{name}")
            packed = ask(self.nginx.port, f"/{name}", "Accept-Encoding: gzip")
            self.assertEqual((status_of(whole), status_of(packed)), (200, 200), name)
            self.assertIn(b"content-encoding: gzip", packed.split(b"\r\n\r\n", 1)[0].lower(), name)
            self.assertLess(len(packed), len(whole) / 2, name)

    def test_nobody_who_comes_through_is_local(self):
        port = self.nginx.port
        for target in ("/metrics", "/metrics/", "//metrics", "/./metrics", "/%6detrics", "/metrics?x",
                       "/x/../metrics", "/metrics%00", "/metrics;x", "/hls/../metrics",
                       "/api/v1/recordings/../../../metrics"):
            for lines in ((), ("X-Forwarded-For:",), ("Connection: X-Forwarded-For, close",)):
                self.assertNotEqual(status_of(ask(port, target, *lines)), 200, (target, lines))
        # Names that are not ours are not answered, however they are said.
        for host in ("127.0.0.1", "live.example.org", "localhost.", "evil.example"):
            answer = ask(port, "/healthz", host=host)
            self.assertEqual(status_of(answer), 200 if host == "localhost." else 0, host)
        with self.assertRaises(ssl.SSLError):
            ask(port, "/healthz", name="evil.example")
        self.assertEqual(status_of(ask(port, "/healthz")), 200)

    def test_the_live_socket_passes(self):
        lines = (f"GET /api/v1/events?token={self.tokens['viewer']} HTTP/1.1", f"Host: {NAME}",
                 "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "")
        with secure(self.nginx.port) as there:
            there.sendall("\r\n".join(lines).encode())
            self.assertTrue(there.recv(65536).startswith(b"HTTP/1.1 101"))


@unittest.skipUnless(nginx_path(), "nginx is not installed")
class Keyless(unittest.TestCase):
    def test_programs_without_a_key_answer_nobody_behind_a_proxy(self):
        folder = temporary(self.addCleanup)
        relay = Relay(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, folder / "library")
        nginx = Nginx(self.addCleanup, folder, relay.http_port, int(recorder.url.rsplit(":", 1)[1]))
        self.assertEqual(request("GET", recorder.url + "/api/v1/recordings").status, 200)
        self.assertEqual(request("GET", relay.url + "/api/v1/lessons").status, 200)
        # The name is "localhost", as these programs would have it.
        for target in ("/api/v1/recordings", "/api/v1/lessons", "/api/v1/relay", "/"):
            self.assertEqual(status_of(ask(nginx.port, target)), 403, target)


if __name__ == "__main__":
    unittest.main()
