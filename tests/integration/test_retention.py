# SPDX-License-Identifier: MIT
"""Room on the disk, and recordings whose time has come."""

import hashlib
import json
import unittest

from tongke import BUILD, Recorder, Relay, clip, publish, request, run, temporary

RECORDER = BUILD / "recorder" / "tongke-recorder"


class Disk(unittest.TestCase):
    def test_no_lesson_is_begun_without_room(self):
        relay = Relay(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, temporary(self.addCleanup),
                            {"disk.reserve_mb": 100000000})
        publish(self.addCleanup, relay, "math", film=clip(6))
        recorder.wait_log("not recorded: the disk has no room for math")
        recorder.wait_log("disk full: ")
        ready = request("GET", recorder.url + "/readyz")
        self.assertEqual((ready.status, ready.text()), (503, "the disk has no room for a lesson\n"))
        self.assertEqual(recorder.get("/api/v1/recordings")["total"], 0)
        waiting, disk = recorder.get("/api/v1/alarms")["alarms"]
        self.assertEqual(waiting, {"what": "waiting", "count": 1, "names": ["math"]})
        self.assertEqual((disk["what"], disk["level"]), ("disk", "full"))
        self.assertGreater(disk["free_bytes"], 0)
        metrics = request("GET", recorder.url + "/metrics").text()
        self.assertIn("\ntongke_recorder_disk_level 2\n", metrics)
        self.assertIn("\ntongke_recorder_lessons_waiting 1\n", metrics)
        # The lesson itself goes on.
        self.assertEqual(relay.lesson("math")["state"], "live")
        # What a relay that was started again does not know waits no longer.
        relay.kill()
        recorder.wait_log("the relay at .* cannot be reached")
        away = recorder.get("/api/v1/alarms")["alarms"][0]
        self.assertEqual((away["what"], away["refused"]), ("relay", False))
        Relay(self.addCleanup, {"web.port": relay.http_port})
        recorder.wait_log("the relay is back")
        self.assertEqual([alarm["what"] for alarm in recorder.get("/api/v1/alarms")["alarms"]], ["disk"])


class NoRoom:
    """No file may grow beyond 16 KiB: an index finds no room there, a note does."""

    @staticmethod
    def inside(command):
        return ["sh", "-c", 'trap "" XFSZ; ulimit -f 32; exec "$@"', "sh", *command]


class Retention(unittest.TestCase):
    def setUp(self):
        self.data = temporary(self.addCleanup)
        self.ids = [self.make() for _ in range(2)]

    def make(self):
        """A recording of long ago."""
        status, text, said = run([BUILD / "tests" / "fault" / "tongke-long-lesson", self.data, "1"])
        self.assertEqual(status, 0, said)
        path = self.folder(text.strip()) / "lesson.json"
        lesson = json.loads(path.read_text())
        lesson["started"], lesson["ended"] = "2025-03-01T10:00:00+08:00", "2025-03-01T10:01:00+08:00"
        path.write_text(json.dumps(lesson))
        return text.strip()

    def folder(self, recording_id):
        return next(self.data.glob(f"lessons/*/*/{recording_id}"))

    def retain(self, *rules):
        settings = [part for rule in rules for part in ("--set", "retention." + rule)]
        status, text, said = run([RECORDER, "--data", self.data, "--retention", *settings])
        self.assertEqual(status, 0, said)
        return text

    def due(self, *rules):
        settings = [part for rule in rules for part in ("--set", "retention." + rule)]
        status, text, said = run([RECORDER, "--data", self.data, "--retention", "--dry-run",
                                  *settings])
        self.assertEqual(status, 0, said)
        self.assertIn("recordings would be deleted", text)
        return [line.split()[0] for line in text.splitlines()[:-1]]

    def test_rules(self):
        kept, old = self.ids
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data)
        url = f"{recorder.url}/api/v1/recordings/"
        answer = request("PATCH", url + kept, {"keep": True, "review": "approved", "title": "函数"})
        self.assertEqual((answer.status, answer.json()["keep"], answer.json()["review"]),
                         (200, True, "approved"))
        self.assertEqual(request("PATCH", url + kept, {"review": "nice"}).status, 400)
        self.assertEqual(self.due(), [])
        self.assertEqual(self.due("days=30"), [old])
        self.assertEqual(self.due("unreviewed_days=30"), [old])
        self.assertEqual(self.due("rejected_days=1"), [])
        self.assertEqual(self.due("days=20000"), [])
        request("PATCH", url + kept, {"consent": "withdrawn"})
        self.assertEqual(sorted(self.due("no_consent_days=1")), sorted([kept, old]))
        request("PATCH", url + kept, {"consent": None})
        recorder.stop()

        index = (self.folder(old) / "main.index").read_bytes()
        self.assertIn("1 recordings deleted", self.retain("days=30"))
        self.assertEqual(list(self.data.glob(f"lessons/*/*/{old}*")), [])
        self.assertTrue(self.folder(kept).exists())
        note = json.loads((self.data / "deletions.jsonl").read_text())
        self.assertEqual((note["id"], note["by"], note["reason"]),
                         (old, "retention", "retention: age"))
        self.assertEqual(note["streams"][0]["index_sha256"], hashlib.sha256(index).hexdigest())
        again = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data)
        self.assertEqual([r["id"] for r in again.get("/api/v1/recordings")["recordings"]], [kept])

    def test_an_index_from_before_decides_nothing(self):
        """As after a power cut: lesson.json was synced, what the index had heard since is gone."""
        kept, old = self.ids
        Recorder(self.addCleanup, "http://127.0.0.1:1", self.data).stop()
        before = (self.data / "library.sqlite").read_bytes()
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data)
        url = "/api/v1/recordings/" + kept
        decided = {"keep": True, "consent": "given", "title": "函数"}
        self.assertEqual(request("PATCH", recorder.url + url, decided).status, 200)
        recorder.kill()
        for path in self.data.glob("library.sqlite*"):
            path.unlink()
        (self.data / "library.sqlite").write_bytes(before)
        self.assertEqual(self.due("days=30"), [old])
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data)
        there = recorder.get(url)
        self.assertEqual((there["keep"], there["consent"], there["info"]["title"]),
                         (True, "given", "函数"))

        # What is changed is what the folder tells, too.
        path = self.folder(kept) / "lesson.json"
        lesson = json.loads(path.read_text())
        lesson["started"], lesson["review"] = "2025-03-01T09:59:00+08:00", "approved"
        path.write_text(json.dumps(lesson))
        there = request("PATCH", recorder.url + url, {"consent": None}).json()
        self.assertEqual((there["keep"], there["review"], there["started"][:19]),
                         (True, "approved", "2025-03-01T01:59:00"))
        recorder.stop()
        self.assertIn("1 recordings deleted", self.retain("days=30"))
        self.assertTrue(path.exists())

    def test_a_full_disk_can_be_emptied(self):
        kept, old = sorted(self.ids)
        Recorder(self.addCleanup, "http://127.0.0.1:1", self.data).stop()
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data, place=NoRoom)
        recorder.wait_log("error .* the index is kept in memory")
        self.assertIn("index", [alarm["what"] for alarm in recorder.get("/api/v1/alarms")["alarms"]])
        url = f"{recorder.url}/api/v1/recordings"
        self.assertEqual(sorted(r["id"] for r in request("GET", url).json()["recordings"]), [kept, old])
        self.assertEqual(request("DELETE", f"{url}/{old}?reason=room").status, 204)
        self.assertEqual(list(self.data.glob(f"lessons/*/*/{old}*")), [])
        recorder.stop()
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", self.data)
        self.assertEqual([r["id"] for r in recorder.get("/api/v1/recordings")["recordings"]], [kept])
        self.assertEqual(list(self.data.glob("*.damaged*")), [])
        self.assertNotIn("index", [alarm["what"] for alarm in recorder.get("/api/v1/alarms")["alarms"]])


if __name__ == "__main__":
    unittest.main()
