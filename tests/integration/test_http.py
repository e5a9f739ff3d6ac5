# SPDX-License-Identifier: MIT
"""The relay's HTTP side: what docs/openapi.yaml promises, problems in words, and abuse."""

import random
import re
import socket
import unittest

from tongke import DEADLINE_S, ROOT, Recorder, Relay, publish, request, temporary
from websocket import WebSocket


def raw(cleanup, relay, data):
    connection = socket.create_connection(("127.0.0.1", relay.http_port), DEADLINE_S)
    cleanup(connection.close)
    connection.sendall(data)
    return connection


def all_of(connection):
    """What comes until the other side closes; a time-out is an error."""
    data = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return data
            data += piece
    except ConnectionResetError:
        return data


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(cls.addClassCleanup)
        publish(cls.addClassCleanup, cls.relay, "math", output=["-metadata", "title=函数"])
        WebSocket(cls.addClassCleanup, cls.relay.ws("/live/math")).next_binary()

    def ask(self, method, path, body=None, **options):
        return request(method, self.relay.url + path, body, **options)

    def is_problem(self, answer, status, code):
        self.assertEqual(answer.headers.get_content_type(), "application/problem+json")
        problem = answer.json()
        self.assertEqual((answer.status, problem["status"], problem["code"]), (status, status, code))
        self.assertTrue(problem["title"] and problem["detail"])

    def test_lessons(self):
        lessons = self.relay.get("/api/v1/lessons")["lessons"]
        self.assertEqual([lesson["name"] for lesson in lessons], ["math"])
        by_name, by_id = self.relay.lesson("math"), self.relay.lesson(lessons[0]["id"])
        self.assertEqual(by_name["id"], by_id["id"])
        self.assertRegex(by_id["started"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$")
        self.assertIsNone(by_id["ended"])

    def test_the_record_is_edited_and_cleared(self):
        answer = self.ask("PATCH", "/api/v1/lessons/math", {"teacher": "王老师", "grade": "高一"})
        self.assertEqual(answer.json()["info"]["teacher"], "王老师")
        answer = self.ask("PATCH", "/api/v1/lessons/math", {"teacher": None})
        self.assertNotIn("teacher", answer.json()["info"])
        self.assertEqual(answer.json()["info"]["grade"], "高一")

    def test_wrong_records_are_problems_and_change_nothing(self):
        before = self.relay.lesson("math")["info"]
        for body in ("{", "[]", '"x"', '{"title":1}', '{"title":"a","title":"b"}', '{"unheard-of":"x"}',
                     "[" * 10000, b'{"title":"\xff\xfe"}', ""):
            with self.subTest(body[:30]):
                self.is_problem(self.ask("PATCH", "/api/v1/lessons/math", body), 400, "invalid")
        long = {"title": "长" * 5000}
        self.is_problem(self.ask("PATCH", "/api/v1/lessons/math", long), 413, "too-large")
        self.assertEqual(self.relay.lesson("math")["info"], before)

    def test_a_body_that_is_too_large_is_refused(self):
        connection = raw(self.addCleanup, self.relay, b"PATCH /api/v1/lessons/math HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 1099511627776\r\n\r\n{")
        self.assertRegex(all_of(connection)[:12].decode(), r"^(HTTP/1.1 4\d\d)?")
        self.assertEqual(self.ask("GET", "/healthz").status, 200)

    def test_what_is_not_there(self):
        self.is_problem(self.ask("GET", "/api/v1/lessons/none"), 404, "not-found")
        self.is_problem(self.ask("POST", "/api/v1/lessons/none/end"), 404, "not-found")
        self.is_problem(self.ask("GET", "/api/v1/nothing"), 404, "not-found")
        self.is_problem(self.ask("GET", "/api/v1/lessons/math/more"), 404, "not-found")

    def test_wrong_methods_are_problems(self):
        for method, path in (("DELETE", "/api/v1/lessons/math"), ("POST", "/api/v1/lessons"),
                             ("GET", "/api/v1/lessons/math/end"), ("PUT", "/api/v1/relay")):
            with self.subTest(method + path):
                answer = self.ask(method, path)
                self.assertIn(answer.status, (405, 415))
                self.assertEqual(answer.headers.get_content_type(), "application/problem+json")

    def test_metrics_are_prometheus_text(self):
        answer = self.ask("GET", "/metrics")
        self.assertIn("text/plain; version=0.0.4", answer.headers["Content-Type"])
        seen = set()
        for line in answer.text().splitlines():
            if line.startswith("#"):
                continue
            self.assertRegex(line, r'^tongke_[a-z0-9_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? \d+(\.\d+)?$')
            seen.add(re.split(r"[ {]", line)[0])
        self.assertLessEqual({"tongke_lessons", "tongke_ws_viewers", "tongke_rtp_viewers",
                              "tongke_stream_chunks_total", "tongke_udp_backend_info",
                              "tongke_worker_cpu_seconds_total"}, seen)


class Promises(unittest.TestCase):
    """Every request of docs/openapi.yaml, asked of the programs."""

    def paths(self):
        """(path, method, tag), read without a YAML parser, which Debian's Python has not."""
        path = method = None
        for line in (ROOT / "docs" / "openapi.yaml").read_text().split("\ncomponents:")[0].splitlines():
            if found := re.match(r"  (/\S*):$", line):
                path = found[1]
            elif found := re.match(r"    (get|post|patch|delete|put):$", line):
                method = found[1].upper()
            elif found := re.match(r"      tags: \[(\w+)\]", line):
                yield path, method, found[1]

    def test_every_request_is_answered_by_who_is_said_to(self):
        relay = Relay(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, temporary(self.addCleanup))
        asked = list(self.paths())
        self.assertGreaterEqual(len(asked), 15)
        for path, method, tag in asked:
            target = path.replace("{lesson}", "none").replace("{stream}", "main")
            target = re.sub(r"\{\w+\}", "01JD0000000000000000000000", target)
            for name, program in (("relay", relay), ("library", recorder)):
                if tag not in (name, "both"):
                    continue
                with self.subTest(f"{method} {path} at {name}"):
                    answer = request(method, program.url + target, {} if method == "PATCH" else None)
                    self.is_as_promised(answer, path, method)

    def is_as_promised(self, answer, path, method):
        if path.endswith("/missing"):  # asks by a body: a lesson that is not there may be delivered
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid"))
        elif path.startswith("/hls/"):  # who was not told the grant does not learn what there is
            self.assertEqual((answer.status, answer.json()["code"]), (403, "forbidden"))
        elif "{" in path:  # nothing is there: said in the words that the paper gives for it
            self.assertEqual((answer.status, answer.json()["code"]), (404, "not-found"))
        elif path == "/api/v1/events":
            self.assertEqual(answer.status, 400)
        else:
            self.assertEqual(answer.status, 200)


class Abuse(unittest.TestCase):
    def setUp(self):
        self.folder = temporary(self.addCleanup)
        page = self.folder / "page"
        page.mkdir()
        (page / "index.html").write_text("<h1>the page</h1>")
        (self.folder / "secret.txt").write_text("the secret")
        (page / "link.txt").symlink_to(self.folder / "secret.txt")
        self.relay = Relay(self.addCleanup, {"web.page": page})

    def test_nothing_outside_the_page_is_served(self):
        self.assertIn("the page", request("GET", self.relay.url + "/").text())
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt",
                     "//../secret.txt", "/x/../../secret.txt", "/..\\secret.txt", "/%252e%252e/secret.txt",
                     f"/{self.folder}/secret.txt", f"/%2f{self.folder}/secret.txt", "/../../../../etc/passwd",
                     "/%c0%ae%c0%ae/secret.txt", "/....//secret.txt", "/live/../../secret.txt",
                     "/healthz/../../secret.txt"):
            with self.subTest(path):
                connection = raw(self.addCleanup, self.relay,
                                 f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                said = all_of(connection)
                self.assertNotIn(b"the secret", said)
                self.assertNotIn(b"root:", said)

    def test_half_a_request_is_closed(self):
        all_of(raw(self.addCleanup, self.relay, b"GET / HT"))

    def test_noise_is_no_harm(self):
        chance = random.Random(8080)
        for _ in range(60):
            connection = socket.create_connection(("127.0.0.1", self.relay.http_port), DEADLINE_S)
            with connection:
                try:
                    connection.sendall(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 3000))))
                except OSError:
                    pass
        self.assertEqual(request("GET", self.relay.url + "/healthz").status, 200)

    def test_broken_frames_of_a_websocket_are_no_harm(self):
        chance = random.Random(6455)
        for _ in range(40):
            viewer = WebSocket(self.addCleanup, self.relay.ws("/live/math"))
            try:
                viewer.socket.sendall(bytes(chance.randrange(256)
                                            for _ in range(chance.randrange(1, 400))))
            except OSError:
                pass
            viewer.socket.close()
        self.assertEqual(request("GET", self.relay.url + "/healthz").status, 200)

    def test_a_frame_of_many_gigabytes_is_refused(self):
        viewer = WebSocket(self.addCleanup, self.relay.ws("/live/math"))
        viewer.socket.sendall(b"\x81\xff" + (2 ** 40).to_bytes(8, "big") + b"mask" + b"x" * 8000)
        try:
            self.assertIn(viewer.drain(), (1002, 1006, 1008, 1009))
        except ConnectionError:
            pass  # cut off without a word serves as well
        self.assertEqual(request("GET", self.relay.url + "/healthz").status, 200)

    def test_other_sockets_are_refused(self):
        self.assertEqual(WebSocket(self.addCleanup, self.relay.ws("/api/v1/nothing")).drain(), 1008)
        for path in ("/live/..", "/live/a%2f..", "/live/a/b/c"):
            with self.subTest(path):
                self.assertEqual(WebSocket(self.addCleanup, self.relay.ws(path)).drain(), 1008)
