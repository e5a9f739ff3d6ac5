# SPDX-License-Identifier: MIT
"""tongkectl as a technician uses it: alone, and against a relay and a library with a key."""

import json
import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["TONGKE_BUILD"])
CTL = BUILD / "client" / "ctl" / "tongkectl"


def ctl(*words, token=None, status=0):
    """What tongkectl prints, when it ends with the expected exit status."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    env.pop("TONGKE_TOKEN", None)
    if token:
        env["TONGKE_TOKEN"] = token
    done = subprocess.run([CTL, *map(str, words)], env=env, capture_output=True, text=True)
    if done.returncode != status:
        raise AssertionError(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if status == 0 else done.stderr


class Program:
    """One of the servers: started on free ports, stopped at the end with its exit status looked at."""

    def __init__(self, *command, env=None):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, env={**os.environ, **(env or {})})

    def listening(self, *names):
        """The addresses of its lines "listening NAME ADDRESS"."""
        found = {}
        while not set(names) <= set(found):
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"ended early:\n{self.said()}")
            words = line.split()
            if words[:1] == ["listening"]:
                found[words[1]] = words[2]
        return [found[name] for name in names]

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.process.terminate()
        status = self.process.wait()
        self.process.stdout.close()
        said = self.said()
        self.log.close()
        if status != 0:
            raise AssertionError(f"exit status {status}:\n{said}")


class Alone(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.key = pathlib.Path(self.folder.name) / "key.jwk"

    def test_a_key_is_its_owners_and_stays(self):
        ctl("key", "new", self.key)
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        before = self.key.read_bytes()
        self.assertIn("exists", ctl("key", "new", self.key, status=1))
        self.assertEqual(self.key.read_bytes(), before)

    def test_a_key_that_others_may_read_is_refused(self):
        ctl("key", "new", self.key)
        self.key.chmod(0o644)
        said = ctl("token", "--key", self.key, "--role", "viewer", status=1)
        self.assertIn("chmod 600", said)

    def test_a_public_key_makes_no_token(self):
        public = self.key.with_suffix(".pub")
        ctl("key", "new", "--algorithm", "EdDSA", "--public", public, self.key)
        self.assertNotIn('"d"', public.read_text())
        self.assertEqual(ctl("token", "--key", self.key, "--role", "admin").count("."), 2)
        ctl("token", "--key", public, "--role", "admin", status=1)

    def test_what_a_token_needs_is_said(self):
        ctl("key", "new", self.key)
        self.assertIn("--key", ctl("token", "--role", "viewer", status=1))
        self.assertIn("recorder", ctl("token", "--key", self.key, "--role", "pupil", status=1))
        self.assertIn("30d", ctl("token", "--key", self.key, "--role", "viewer",
                                 "--expires", "soon", status=1))
        ctl("token", "--key", self.key, "--role", "viewer", "--lesson", "../x", status=1)

    def test_senseless_command_lines_show_the_commands(self):
        for words in ([], ["lesson"], ["lesson", "lost"], ["lesson", "show"], ["health", "now"],
                      ["lesson", "list", "--role", "viewer"], ["--nonsense"]):
            self.assertIn("usage:", ctl(*words, status=2))
        self.assertIn("recording delete", ctl("--help").replace(
            "recording show ID | edit ID FIELD=VALUE… | delete", "recording delete"))
        self.assertRegex(ctl("--version"), r"^tongkectl \d+\.\d+\.\d+\n$")

    def test_a_relay_that_is_not_there_is_named(self):
        # Port 1 of loopback: nobody may listen there who is not root, and nobody does.
        said = ctl("--relay", "http://127.0.0.1:1", "lesson", "list", status=1)
        self.assertIn("http://127.0.0.1:1", said)
        self.assertIn("--relay", said)
        self.assertIn("not a URL", ctl("--relay", "relay", "lesson", "list", status=1))


class WithServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        folder = pathlib.Path(cls.folder.name)
        key = folder / "key.jwk"
        ctl("key", "new", key)

        def token(role, *more):
            return ctl("token", "--key", key, "--role", role, *more).strip()

        cls.viewer, cls.admin = token("viewer"), token("admin")
        cls.sender, cls.stranger = token("sender", "--lesson", "math"), token("viewer", "--lesson", "art")
        cls.relay = Program(BUILD / "relay" / "tongke-relay", "--set", "rtsp.port=0",
                            "--set", "rtsp.rtp_port=0", "--set", "web.port=0",
                            "--set", f"auth.key_file={key}")
        cls.addClassCleanup(cls.relay.stop)
        cls.rtsp, http = cls.relay.listening("rtsp", "http")
        (folder / "token").write_text(token("recorder") + "\n")
        cls.recorder = Program(BUILD / "recorder" / "tongke-recorder", "--data", folder / "data",
                               "--relay", f"http://{http}", "--set", "http.port=0",
                               "--set", f"relay.token_file={folder / 'token'}",
                               "--set", f"auth.key_file={key}")
        cls.addClassCleanup(cls.recorder.stop)
        library, = cls.recorder.listening("http")
        cls.places = ["--relay", f"http://{http}", "--library", f"http://{library}"]

    def ask(self, *words, token=None, status=0):
        return ctl(*self.places, *words, token=token, status=status)

    def until(self, good, *words):
        """The answer to `words` once it is good. Each question waits for its answer, none sleeps."""
        while True:
            answer = json.loads(self.ask("--json", *words, token=self.admin))
            if good(answer):
                return answer

    def test_all_are_ready(self):
        answer = json.loads(self.ask("--json", "health", token=self.admin))
        self.assertTrue(answer["relay"]["ready"])
        self.assertTrue(answer["library"]["ready"])

    def test_health_fails_when_one_is_away(self):
        said = ctl("--relay", "http://127.0.0.1:1", *self.places[2:], "health", status=1)
        self.assertIn("not everything is ready", said)

    def test_the_door_is_shut_without_a_token(self):
        self.assertIn("token", self.ask("lesson", "list", status=1))
        self.assertIn("token", self.ask("recording", "list", status=1))
        self.assertIn("token", self.ask("lesson", "list", token=self.viewer[:-2] + "AA", status=1))

    def test_what_is_not_there_is_said(self):
        self.assertIn("404", self.ask("lesson", "show", "nobody", token=self.viewer, status=1))
        self.ask("recording", "show", "01JD0000000000000000000000", token=self.viewer, status=1)

    def test_a_lesson_from_beginning_to_deletion(self):
        camera = Program(BUILD / "client" / "capture" / "tongke-capture", "--source", "test",
                         "--relay", f"rtsp://{self.rtsp}/math", "--title", "函数", "--size", "320x180",
                         env={"TONGKE_TOKEN": self.sender})
        try:
            lesson = self.until(lambda a: a["lessons"], "lesson", "list")["lessons"][0]
            self.assertEqual(lesson["name"], "math")
            self.assertIn("函数", self.ask("lesson", "list", token=self.viewer))
            self.ask("lesson", "edit", "math", "title=单调性", "grade=高一", token=self.viewer, status=1)
            self.ask("lesson", "edit", "math", "title=单调性", "grade=高一", token=self.sender)
            shown = self.ask("lesson", "show", lesson["id"], token=self.viewer)
            self.assertIn("title: 单调性", shown)
            self.assertIn("grade: 高一", shown)
            self.ask("lesson", "show", "math", token=self.stranger, status=1)
            self.until(lambda a: a["recordings"] and a["recordings"][0]["streams"],
                       "recording", "list")
            self.ask("lesson", "end", "math", token=self.viewer, status=1)
            self.ask("lesson", "end", "math", token=self.sender)
        finally:
            camera.process.terminate()
            camera.process.wait()
            camera.process.stdout.close()
            camera.log.close()

        def closed(answer):
            return [r for r in answer["recordings"] if r["id"] == lesson["id"]
                    and r["state"] == "closed"]

        found = self.until(closed, "recording", "search", "单调")["recordings"][0]
        self.ask("recording", "edit", found["id"], "teacher=王老师", token=self.viewer, status=1)
        self.ask("recording", "edit", found["id"], "teacher=王老师", token=self.admin)
        self.assertIn("王老师", self.ask("recording", "list", "--grade", "高一", token=self.viewer))
        decided = json.loads(self.ask("--json", "recording", "edit", found["id"], "review=approved",
                                      "consent=given", "keep=yes", "title=函数的单调性",
                                      token=self.admin))
        self.assertEqual(("approved", "given", True),
                         (decided["review"], decided["consent"], decided["keep"]))
        self.ask("recording", "edit", found["id"], "review=nice", token=self.admin, status=1)
        self.ask("recording", "edit", found["id"], "keep=often", token=self.admin, status=1)
        decided = json.loads(self.ask("--json", "recording", "edit", found["id"], "consent=", "keep=no",
                                      token=self.admin))
        self.assertFalse(decided.get("consent") or decided.get("keep"))
        self.assertIn("0 of 0", self.ask("recording", "list", "--grade", "高二", token=self.viewer))
        self.assertIn("--reason", self.ask("recording", "delete", found["id"], token=self.admin,
                                           status=1))
        self.assertIn("would delete", self.ask("recording", "delete", found["id"], "--dry-run",
                                               "--reason", "test", token=self.admin))
        self.assertIn("王老师", self.ask("recording", "show", found["id"], token=self.viewer))
        self.ask("recording", "delete", found["id"], "--reason", "test", token=self.viewer, status=1)
        self.assertIn("deleted", self.ask("recording", "delete", found["id"], "--reason", "test",
                                          token=self.admin))
        self.ask("recording", "show", found["id"], token=self.viewer, status=1)


if __name__ == "__main__":
    unittest.main()
