# SPDX-License-Identifier: MIT
"""The faults. Each scene runs on a stage and gives one row of figures."""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import tempfile

import deleting
import healing
import places
import tongke
from control import Control
from disk import Disk, records, seed_trace
from examine import examine, folders, lines
from scene import Scene, moment, on_disk
from stage import Line, Recorder, Stage, controlled, place_for

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
        # It may come when the lesson is over.
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
            seed_trace(fresh, control)
            data = fresh
        self.last = Recorder(self.stage, data)

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


class SyncErrorAtEnd(Scene):
    """No sync succeeds while the lesson ends, and then any again."""

    title = "fsync error at the end"

    def run(self):
        self.data, self.control = controlled(self.stage, "end")
        self.last = Recorder(self.stage, self.data, control=self.control)
        self.last.wait_flow()
        self.stage.reference.wait(10)
        self.figures.rounds += 1

    def mark(self):
        super().mark()
        self.control.set("fail_syncs", 1 << 30)

    def result(self):
        self.last.wait_log(r"state \S+ -> closing", self.said)
        self.last.wait_log("cannot sync", len(self.last.err))
        self.control.set("fail_syncs", 0)
        self.finish(self.last)


class Refusing(Scene):
    """All connections between recorder and relay end, and none is taken for a while."""

    title = "connections refused 5 s"

    def run(self):
        line = Line(self.stage)
        self.last = Recorder(self.stage, place_for(self.stage, "refused") / "data", url=line.url)
        self.last.wait_flow()
        self.stage.reference.wait(5)
        line.refuse()
        self.stage.reference.wait_s(5)
        line.take()
        self.catch_up()
        self.figures.rounds += 1

    def catch_up(self):
        newest = self.stage.reference.newest
        while max(on_disk(self.last.data), default=0) < newest:
            self.stage.reference.wait(1)

    def result(self):
        self.finish(self.last)


class Cut(Refusing):
    """The network between recorder and relay carries nothing at all for a while: no packet, so no
    end of a connection and no refusal either."""

    seconds = 1

    @staticmethod
    def stage_new():
        return Stage(locked=True)

    def run(self):
        here, there = places.Here(), places.Place(self.stage.cleanup)
        wire = places.Wire(self.stage.cleanup, here, there)
        url = f"http://{wire.near}:{self.stage.relay.http_port}"
        data = place_for(self.stage, f"cut-{self.seconds}") / "data"
        self.last = Recorder(self.stage, data, url=url, place=there)
        self.last.wait_flow()
        self.stage.reference.wait(5)
        wire.set(loss=100)
        self.stage.reference.wait_s(self.seconds)
        wire.set(loss=0)
        self.catch_up()
        self.figures.rounds += 1

    def result(self):
        self.last.wait_log("recording closed", self.said)
        self.last.stop()
        # Its HTTP was for its own place alone.
        again = Recorder(self.stage, self.last.data)
        self.examine(again)


def cut(seconds_):
    class One(Cut):
        title = f"network cut {seconds_} s"
        seconds = seconds_
        # What has left the relay's history (60 s) is a gap: 40 s until the silence is believed and
        # a connection given up, 25 s between two tries.
        lost_max_s = max(0.0, seconds_ - 60 + 25.0) if seconds_ > 50 else 0.0
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
        for number in range(5 if self.full else 2):
            stage.reference.wait(self.rng.randint(10, 30))
            moment(self.rng, 3)
            if number % 2:  # one that was started in between knows what the last one did
                self.last.kill()
                self.last = Recorder(stage, self.last.data)
                self.last.wait_flow()
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
        relays, before = [[]], 0  # times of each relay's chunks: of one they may be some samples apart
        for sequence, _, _, flags, media_ns, *_ in lines(folders(self.last.data, "math")[0]):
            if flags == "i":
                continue
            if sequence <= before:
                relays.append([])
            before = sequence
            relays[-1].append(media_ns)
        if any(max(one) >= min(then) for one, then in itertools.pairwise(relays)):
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
    cuts = [cut(seconds) for seconds in ((1, 5, 30, 300) if full else (1, 5, 30))]
    return [Kill, Power, PowerResumed, DiskFull, *([DiskFullReal] if may_mount() else []), WriteError,
            SyncError, SyncErrorAtEnd, Refusing, *(cuts if places.possible() else []),
            RelayRestarted, RelayBack, ClockStepped, healing.Killed, healing.PowerCut,
            deleting.PowerCut]
