# SPDX-License-Identifier: MIT
"""The recorder killed, and its power cut, while it heals a recording from the capture's copy."""

import collections
import contextlib
import json
import re
import shutil
import subprocess

import tongke
from disk import Disk, records, seed_trace
from examine import Figures, check_bytes, folders
from scene import Scene, on_disk
from stage import Recorder, Stage, controlled, place_for

PICTURE_S = 0.04
CAPTURE = tongke.BUILD / "client" / "capture" / "tongke-capture"


def samples(url, stream):
    """(bytes, sum) of each coded picture or piece of sound, in order."""
    status, text, said = tongke.run(["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", url, "-map",
                                     f"0:{stream}", "-c", "copy", "-f", "framecrc", "-"])
    if status or said:
        raise AssertionError(f"{url}: {said}")
    return [tuple(re.split(", *", line)[4:6]) for line in text.splitlines() if line[0] != "#"]


class Healing(Scene):
    """A recording that lacks its beginning, a stretch in the middle and its end is delivered to;
    that is cut off, the recorder is started again, and delivered to again."""

    word = ""

    @staticmethod
    def stage_new():
        # What the recorder misses for longer is missing.
        return Stage({"history.chunk_s": 2}, keeps=True)

    def run(self):
        self.data = place_for(self.stage, f"{self.word}-gaps") / "data"
        reference = self.stage.reference
        reference.wait(50)
        for _ in range(2):
            recorder = Recorder(self.stage, self.data)
            recorder.wait_flow()
            reference.wait(15)
            recorder.kill()
            reference.wait(50)

    def result(self):
        recorder = Recorder(self.stage, self.data)
        recorder.wait_log("recording closed")
        recorder.stop()
        self.there = on_disk(self.data)
        for cut_off in self.moments():
            self.figures.add(self.once(*cut_off))

    def moments(self):
        """Does an undisturbed delivery, and gives what once() needs for each round."""
        raise NotImplementedError

    def begin(self, name, trace=False):
        """(recorder, what rules its disk, copies) of a library of its own."""
        data, control = controlled(self.stage, f"{self.word}-{name}", trace=trace)
        shutil.copytree(self.data, data)
        if trace:
            seed_trace(data, control)
        return Recorder(self.stage, data, control=control), control, self.copies(data)

    def copies(self, data):
        copies = data.parent / "copies"
        shutil.copytree(self.stage.copies, copies)
        return copies

    def some(self, moments, count):
        """So many of them, or all; half of some near the end, where files are put in place."""
        if count >= len(moments):
            return list(moments)
        late = min(len(moments) - count // 2, 40)
        return sorted(self.rng.sample(moments[:-late], count // 2) +
                      self.rng.sample(moments[-late:], count - count // 2))

    def deliver(self, recorder, copies):
        return tongke.Program(self.stage.cleanup, [CAPTURE, "--deliver", "--keep", copies,
                                                   "--library", recorder.url])

    def undisturbed(self, trace=False):
        """The control over a delivery that nothing befell, and its count of changes to the disk before
        and after; `expected` is what came of it."""
        recorder, control, copies = self.begin("undisturbed", trace)
        before = len(list(records(control.trace))) if trace else control.get("steps")
        self.deliver(recorder, copies).wait()
        found = Figures()
        self.expected = self.read(recorder, found)
        recorder.stop()
        if found.damaged:
            raise AssertionError(found.notes)
        return control, before, len(list(records(control.trace))) if trace else control.get("steps")

    def read(self, recorder, figures):
        """All that the healed recording shows."""
        folder = folders(recorder.data, "math")[0]
        check_bytes(folder, figures)
        missing = [gap for gap in json.loads((folder / "lesson.json").read_text())["gaps"]
                   if not gap.get("healed")]
        left = [path.name for path in folder.iterdir()
                if path.name.endswith((".mp4.new", ".index.new", ".upload")) or path.name == "heal.json"]
        if missing or left:
            figures.damaged = 1
            figures.notes.append(f"still missing: {missing}; left behind: {left}")
        url = f"{recorder.url}/api/v1/recordings/{folder.name}/main/download.mp4"
        return {stream: samples(url, stream) for stream in "va"}

    def check(self, recorder, delivery, copies, what):
        """What is there after the fault, and that it is healed in the end."""
        figures = Figures(rounds=1)
        check_bytes(folders(recorder.data, "math")[0], figures)
        lost = self.there - on_disk(recorder.data)
        figures.at_once_s = self.stage.reference.length_s(lost)
        delivery = delivery or self.deliver(recorder, copies)
        if delivery.wait():
            figures.notes.append(f"not delivered: {delivery.err[-3:]}")
        shown = self.read(recorder, figures)
        recorder.stop()
        if shown != self.expected:
            more = collections.Counter(shown["v"]) - collections.Counter(self.expected["v"])
            less = collections.Counter(self.expected["v"]) - collections.Counter(shown["v"])
            figures.damaged, figures.twice = 1, more.total()
            figures.lost_s = less.total() * PICTURE_S
            figures.notes.append(f"{what}: other samples than expected")
        if not figures.damaged:
            shutil.rmtree(recorder.data.parent)
        return figures


class Killed(Healing):
    """SIGKILL before a change of the disk, any of those that a delivery makes, from the first
    uploaded byte to the last file that is removed."""

    title, word = "SIGKILL, healing", "kill"

    def moments(self):
        _, before, after = self.undisturbed()
        for number in self.some(range(1, after - before + 1), 1000 if self.full else 8):
            yield (number,)

    def once(self, number):
        recorder, control, copies = self.begin(str(number))
        control.set("die_at", control.get("steps") + number)
        delivery = self.deliver(recorder, copies)
        while recorder.running() and delivery.running():
            with contextlib.suppress(subprocess.TimeoutExpired):
                recorder.process.wait(0.05)
        recorder.kill()  # this time the delivery took fewer changes
        if self.rng.random() < 0.7:  # else it goes on by itself
            delivery.kill()
            delivery = None
        again = Recorder(self.stage, recorder.data, port=recorder.port)
        return self.check(again, delivery, copies, f"killed before change {number}")


class PowerCut(Healing):
    """The power is cut at any moment of a delivery, and what may be left is delivered to again."""

    title, word = "power cut, healing", "power"

    def moments(self):
        control, before, _ = self.undisturbed(trace=True)
        trace = list(records(control.trace))
        for number in self.some(range(before + 1, len(trace) + 1), 1000 if self.full else 6):
            yield number, trace[:number]

    def once(self, number, trace):
        disk = Disk(self.stage.place / f"{self.word}-undisturbed" / "data")
        for kind, inode, _, at, payload in trace:
            disk.take(kind, inode, at, payload)
        data, control = controlled(self.stage, f"{self.word}-{number}")
        disk.cut(data, self.rng)
        recorder = Recorder(self.stage, data, control=control)
        return self.check(recorder, None, self.copies(data), f"cut before change {number}")
