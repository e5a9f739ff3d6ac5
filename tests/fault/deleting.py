# SPDX-License-Identifier: MIT
"""The power cut while recordings are deleted."""

import contextlib
import json
import pathlib
import tempfile

import tongke
from control import Control
from disk import Disk, records, seed_trace
from scene import Scene
from stage import controlled, place_for

RECORDER = tongke.BUILD / "recorder" / "tongke-recorder"


class Shelf:
    """Nothing is on the air."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.place = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tongke-fault-")))

    def end(self):
        pass

    def close(self):
        self.stack.close()


def good(command, env=None):
    status, text, said = tongke.run(command, env=env)
    if status:
        raise AssertionError(f"{command}: {said}")
    return text


class PowerCut(Scene):
    """At each change that the deletion of two recordings makes to the disk. What was answered is gone;
    before, each is whole and not noted, or noted and gone."""

    title = "power cut, deleting"
    stage_new = Shelf

    def run(self):
        self.data, self.control = controlled(self.stage, "deleting", trace=True)
        self.whole = {}  # id → name → bytes
        for _ in range(2):
            made = good([tongke.BUILD / "tests" / "fault" / "tongke-long-lesson", self.data, "1"])
            folder = next(self.data.glob(f"lessons/*/*/{made.strip()}"))
            lesson = json.loads((folder / "lesson.json").read_text())
            lesson["started"], lesson["ended"] = "2025-03-01T10:00:00Z", "2025-03-01T10:01:00Z"
            (folder / "lesson.json").write_text(json.dumps(lesson))
            self.whole[folder.name] = {path.name: path.read_bytes() for path in folder.iterdir()}
        seed_trace(self.data, self.control)
        self.before = sum(1 for _ in records(self.control.trace))
        text = good([RECORDER, "--data", self.data, "--retention", "--set", "retention.days=1"],
                    self.control.env)
        if "2 recordings deleted" not in text:
            raise AssertionError(text)

    def result(self):
        trace = list(records(self.control.trace))
        moments = [*range(self.before, len(trace) + 1), *[len(trace)] * (50 if self.full else 5)]
        for number, count in enumerate(moments):
            self.figures.rounds += 1
            self.once(number, trace[:count], answered=count == len(trace))

    def once(self, number, trace, answered):
        disk, place = Disk(self.data), place_for(self.stage, f"deleting-{number}") / "data"
        for kind, inode, _, at, payload in trace:
            disk.take(kind, inode, at, payload)
        disk.cut(place, self.rng)
        good([RECORDER, "--data", place, "--rebuild-index"], Control(place.parent).env)
        # A line that was torn is none.
        lines = (place / "deletions.jsonl").read_bytes().split(b"\n")[:-1]
        notes = [json.loads(line)["id"] for line in lines if line.endswith(b"}")]
        for lesson, whole in self.whole.items():
            folder = next(place.glob(f"lessons/*/*/{lesson}"), None)
            there = folder and {path.name: path.read_bytes() for path in folder.iterdir()}
            if (there != (None if answered or lesson in notes else whole)
                    or notes.count(lesson) != (there is None)):
                self.figures.damaged += 1
                self.figures.notes.append(
                    f"cut behind change {len(trace) - self.before}: {lesson} "
                    f"{'noted' if lesson in notes else 'not noted'}, "
                    f"{sorted(there) if there else 'gone'}{', answered' if answered else ''}")
