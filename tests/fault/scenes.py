# SPDX-License-Identifier: MIT
"""The faults. Each scene runs on a stage and gives one row of figures."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import threading

import tongke
from control import Control
from disk import Disk, records
from examine import Figures, examine, folders, lines, pieces
from stage import Line, Recorder, Stage, controlled, place_for

CHUNK_S = 0.1


def moment(rng, chunks):
    """A random while of up to so many chunks' time: where in the program it falls is the test."""
    threading.Event().wait(rng.random() * chunks * CHUNK_S)


def on_disk(data, name="math"):
    found = folders(data, name)
    media = found[0] / "main.mp4" if found else None
    return set(pieces(media)) if media and media.exists() else set()


class Scene:
    """`run` is called while the lesson is on the air, `result` when it is over."""

    title, bound_s = "", 1.0
    lost_max_s = 0.0  # of what may be missing in the end

    def __init__(self, stage, rng, full):
        self.stage, self.rng, self.full = stage, rng, full
        self.last = None  # the recorder that sees the end
        self.figures = Figures()

    def mark(self):
        """The lesson is about to end."""
        self.said = len(self.last.err) if self.last else 0

    def finish(self, recorder):
        recorder.wait_log("recording closed", self.said)
        source = f"{recorder.url}/api/v1/recordings/{self.stage.id}/main/download.mp4"
        found = examine(recorder.data, "math", self.stage.references, source)
        found.rounds = 0
        self.figures.add(found)
        recorder.stop()


class Kill(Scene):
    """SIGKILL at random moments, also while it starts; restarted at once."""

    title = "SIGKILL"

    def run(self):
        self.data = place_for(self.stage, "kill") / "data"
        reference = self.stage.reference
        for _ in range(200 if self.full else 12):
            early = self.rng.random() < 0.3
            recorder = Recorder(self.stage, self.data, ready=not early)
            if early:
                moment(self.rng, 2)
            else:
                recorder.wait_flow()
                reference.wait(self.rng.randint(2, 6))
                moment(self.rng, 3)
            newest = reference.newest
            recorder.kill()
            self.figures.rounds += 1
            if not early:
                there = on_disk(self.data)
                missing = [s for s in range(1, newest + 1) if s not in there]
                self.figures.at_once_s = max(self.figures.at_once_s, reference.length_s(missing))
        self.last = Recorder(self.stage, self.data)

    def result(self):
        self.finish(self.last)


class Power(Scene):
    """The lesson is recorded once with every write and sync written down; then the power is cut at
    random moments of it, and what may be left is salvaged. And cut on the air, then gone on with."""

    title = "power cut"
    lost_max_s = 1.0  # what is salvaged without a relay

    def run(self):
        self.data, self.control = controlled(self.stage, "power", trace=True)
        recorder = Recorder(self.stage, self.data, control=self.control)
        recorder.wait_flow()
        self.stage.reference.wait(80)
        recorder.kill()

    def result(self):
        trace = list(records(self.control.trace))
        wrote = [record for record in trace if record[0] == "W" and b"mfhd" in record[4][:200]]
        for number in range(200 if self.full else 10):
            # Not before the first chunk: there is nothing to lose.
            cut = self.rng.randrange(trace.index(wrote[0]) + 1, len(trace) + 1)
            self.figures.add(self.once(trace[:cut], number))

    def once(self, trace, number):
        disk, place = Disk(self.data), place_for(self.stage, f"power-{number}") / "data"
        written = {}  # sequence → when it was written
        for kind, inode, time_ns, at, payload in trace:
            disk.take(kind, inode, at, payload)
            if kind == "W" and b"mfhd" in payload[:200]:
                where = payload.index(b"mfhd") + 8
                written[int.from_bytes(payload[where:where + 4], "big")] = time_ns
        disk.cut(place, self.rng)
        status, _, said = tongke.run([tongke.BUILD / "recorder" / "tongke-recorder", "--data", place,
                                      "--rebuild-index"], env=Control(place.parent).env)
        found = examine(place, "math", self.stage.references)
        # What was not written yet cannot be lost; the rest counts from its writing to the cut.
        there = on_disk(place)
        lost = [moment_ns for sequence, moment_ns in written.items() if sequence not in there]
        found.at_once_s = found.lost_s = (trace[-1][2] - min(lost)) / 1e9 if lost else 0.0
        found.notes = [note for note in found.notes if not note.startswith("missing")]
        if status or "left out of the library" in said:
            found.damaged = 1
            found.notes.append(said.strip()[-300:])
        if not found.damaged:
            shutil.rmtree(place.parent)
        return found


class PowerResumed(Scene):
    """The same on the air: what was not synced is gone, and the relay gives it again."""

    title = "power cut, restarted"

    def run(self):
        name, cuts = "resumed-0", 10 if self.full else 2
        for number in range(cuts):
            data, control = controlled(self.stage, name, trace=True) if number == 0 else (data, control)
            recorder = Recorder(self.stage, data, control=control)
            recorder.wait_flow()
            self.stage.reference.wait(self.rng.randint(5, 25))
            moment(self.rng, 3)
            recorder.kill()
            self.figures.rounds += 1
            disk = Disk(data)
            for kind, inode, _, at, payload in records(control.trace):
                disk.take(kind, inode, at, payload)
            # Its new disk holds what the cut left, and all of that is durable.
            name = f"resumed-{number + 1}"
            fresh, control = controlled(self.stage, name, trace=True)
            disk.cut(fresh, self.rng)
            self.seed_trace(fresh, control)
            data = fresh
        self.last = Recorder(self.stage, data)

    @staticmethod
    def seed_trace(data, control):
        """A trace that begins with what is there."""
        from disk import RECORD
        with open(control.trace, "wb") as trace:
            def put(kind, inode, at, payload):
                trace.write(RECORD.pack(len(payload), ord(kind), inode, 0, at) + payload)
            for path in sorted(data.rglob("*")):
                if path.is_dir():
                    put("M", 0, 0, str(path).encode())
                else:
                    inode = path.stat().st_ino
                    put("C", inode, 0, str(path).encode())
                    put("W", inode, 0, path.read_bytes())
                    put("S", inode, 0, str(path).encode())
                put("S", 0, 0, str(path.parent).encode())

    def result(self):
        self.finish(self.last)


class DiskFull(Scene):
    """The disk takes a random number of bytes more, and then, after a while, anything again."""

    title = "disk full"

    def run(self):
        self.data, control = controlled(self.stage, "full")
        self.last = Recorder(self.stage, self.data, control=control)
        self.last.wait_flow()
        for _ in range(30 if self.full else 3):
            self.stage.reference.wait(self.rng.randint(1, 10))
            felt, after = control.get("failed"), len(self.last.err)
            control.set("space_bytes", self.rng.randrange(60000))
            while control.get("failed") == felt:
                self.stage.reference.wait(1)
            self.stage.reference.wait(self.rng.randint(1, 20))
            control.set("space_bytes", -1)
            self.last.wait_log(r"state \S+ -> recording", after)
            self.figures.rounds += 1

    def result(self):
        self.finish(self.last)


class DiskFullReal(Scene):
    """The same without the shim, catalogue and all: a small file system that something else fills."""

    title = "disk full, real"

    def run(self):
        place = place_for(self.stage, "small")
        mounted(self.stage, place, 12)
        self.last = Recorder(self.stage, place / "data")
        self.last.wait_flow()
        filler = place / "filler"
        for _ in range(20 if self.full else 2):
            self.stage.reference.wait(self.rng.randint(1, 10))
            after = len(self.last.err)
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(self.rng.randint(1, 8192)))
            self.last.wait_log(r"state \S+ -> gap", after)
            self.stage.reference.wait(self.rng.randint(1, 20))
            after = len(self.last.err)
            filler.unlink()
            self.last.wait_log(r"state \S+ -> recording", after)
            self.figures.rounds += 1

    def result(self):
        self.finish(self.last)


def mounted(stage, place, megabytes):
    status, _, said = tongke.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place])
    if status:
        raise PermissionError(said)
    stage.cleanup(tongke.run, ["umount", "--lazy", place])


def may_mount():
    """Only root may, and not in every container."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(prefix="tongke-fault-") as place:
        good = tongke.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place])[0] == 0
        if good:
            tongke.run(["umount", place])
    return good


class Refused(Scene):
    """Writes or syncs fail with EIO, one or several."""

    member = ""

    def run(self):
        self.data, control = controlled(self.stage, self.member)
        self.last = Recorder(self.stage, self.data, control=control)
        self.last.wait_flow()
        for _ in range(30 if self.full else 3):
            self.stage.reference.wait(self.rng.randint(1, 10))
            felt, after = control.get("failed"), len(self.last.err)
            control.set(self.member, self.rng.randint(1, 3))
            while control.get("failed") == felt:
                self.stage.reference.wait(1)
            # The media's file, or lesson.json alone.
            self.last.wait_log(r"state \S+ -> recording|is written after all", after)
            control.set(self.member, 0)
            self.figures.rounds += 1

    def result(self):
        self.finish(self.last)


class WriteError(Refused):
    title, member = "write error", "fail_writes"


class SyncError(Refused):
    title, member = "fsync error", "fail_syncs"


class Cut(Scene):
    """No way between recorder and relay for a while."""

    seconds, silent, history_s = 1, False, 60

    def run(self):
        data = place_for(self.stage, f"cut-{self.seconds}-{self.silent}") / "data"
        line = Line(self.stage)
        self.last = Recorder(self.stage, data, url=line.url)
        self.last.wait_flow()
        self.stage.reference.wait(5)
        line.cut(self.silent)
        self.stage.reference.wait_s(self.seconds)
        line.mend()
        newest = self.stage.reference.newest
        while max(on_disk(data), default=0) < newest:
            self.stage.reference.wait(1)
        self.figures.rounds += 1

    def result(self):
        self.finish(self.last)


def cut(seconds_, silent_=False):
    class One(Cut):
        title = f"network {'silent' if silent_ else 'cut'} {seconds_} s"
        seconds, silent = seconds_, silent_
        # What has left the relay's history is a gap, and no more than that.
        lost_max_s = max(0.0, seconds_ - Cut.history_s + 20.0) if seconds_ > 50 else 0.0
    return One


class RelayRestarted(Scene):
    """The relay is killed and comes back; its sender goes on with the same lesson."""

    title = "relay restarted"
    lost_max_s = 1.0

    @staticmethod
    def stage_new():
        return Stage(lesson_id="01KAN0000000000000000000AA")

    def run(self):
        stage = self.stage
        self.last = Recorder(stage, place_for(stage, "relay") / "data")
        self.last.wait_flow()
        for _ in range(5 if self.full else 1):
            stage.reference.wait(self.rng.randint(10, 30))
            moment(self.rng, 3)
            after = len(self.last.err)
            stage.relay.kill()
            stage.reference.thread.join(tongke.DEADLINE_S)
            stage.relay = tongke.Relay(stage.cleanup, {"rtsp.port": stage.relay.rtsp_port,
                                                       "web.port": stage.relay.http_port})
            stage.follow()
            self.last.wait_log(r"state \S+ -> recording", after)
            self.figures.rounds += 1
        stage.reference.wait(20)

    def result(self):
        self.finish(self.last)


def stage_with_clock(offset_s=0, **more):
    """A stage whose relay's clock is `offset_s` wrong, and can be stepped."""
    # pylint: disable-next=consider-using-with
    place = tempfile.TemporaryDirectory(prefix="tongke-fault-")
    control = Control(pathlib.Path(place.name))
    control.set("wall_offset_ns", offset_s * 10**9)
    stage = Stage(env=control.env, **more)
    stage.cleanup(place.cleanup)
    stage.control = control
    return stage


class RelayBack(RelayRestarted):
    """The relay that comes back has its clock put right: an hour back."""

    title = "relay restarted, its clock back"

    @staticmethod
    def stage_new():
        return stage_with_clock(3600, lesson_id="01KAN0000000000000000000AB")

    def result(self):
        self.finish(self.last)
        times = [line[4] for line in lines(folders(self.last.data, "math")[0]) if line[3] != "i"]
        if times != sorted(times):
            self.figures.damaged += 1
            self.figures.notes.append("media time went back")


class ClockStepped(Scene):
    """The wall clock of relay and recorder jumps by an hour, forth and back."""

    title = "clock stepped"
    stage_new = staticmethod(stage_with_clock)

    def run(self):
        stage = self.stage
        self.last = Recorder(stage, place_for(stage, "clock") / "data", control=stage.control)
        self.last.wait_flow()
        for offset_s in (3600, -3600, 0):
            stage.reference.wait(self.rng.randint(5, 15))
            moment(self.rng, 3)
            stage.control.set("wall_offset_ns", offset_s * 10**9)
            self.figures.rounds += 1
        stage.reference.wait(10)

    def result(self):
        self.finish(self.last)
        found = folders(self.last.data, "math")[0]
        # Only labels may change: no gap, and media time goes on evenly.
        if json.loads((found / "lesson.json").read_text())["gaps"]:
            self.figures.damaged += 1
            self.figures.notes.append("a step of the clock made a gap")


def scenes(full):
    cuts = [cut(1), cut(5), cut(5, True)] + ([cut(30), cut(30, True), cut(300)] if full else [])
    real = [DiskFullReal] if may_mount() else []
    return [Kill, Power, PowerResumed, DiskFull, *real, WriteError, SyncError, *cuts, RelayRestarted,
            RelayBack, ClockStepped]
