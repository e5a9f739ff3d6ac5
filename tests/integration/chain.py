# SPDX-License-Identifier: MIT
"""City, county and school in places of their own, a relay in each and a bad line between every two; and
what a class at the far end saw. Run as a program: ten minutes of it, as a table."""

import argparse
import contextlib
import sys
import threading
import time

from lines import NTP_EPOCH_NS
from places import Place, Wire, possible
from test_door import Key
from tongke import BUILD, Program, Recorder, Relay, renditions, temporary
from watching import Picture
from websocket import BINARY, CLOSE, Chunk, WebSocket, is_init

FPS = 25
COUNTRY = {"rate": 2000, "buffer": 64, "delay": 50, "loss": 5}  # a school's line: 100 ms there and back


class Level:
    """A relay in a place of its own; what is in `above` comes over a wire."""

    def __init__(self, chain, name, above=None, **settings):
        self.place, self.chain, self.name = Place(chain.cleanup), chain, name
        self.wire = None
        if above:
            self.wire = Wire(chain.cleanup, above.place, self.place, seed=len(chain.levels))
            settings["upstream.relays"] = f"http://{self.wire.near}:{above.relay.http_port}"
            settings["upstream.token_file"] = chain.token_file
        self.relay = Relay(chain.cleanup, {
            "relay.name": name, "auth.key_file": chain.key.path, "rtsp.listen": "0.0.0.0",
            "web.listen": "0.0.0.0", "lesson.teardown_s": 1, **settings}, place=self.place)
        chain.levels.append(self)

    def get(self, path):
        return self.place.call(self.relay.get, path, self.chain.token)

    def lesson(self):
        return self.get("/api/v1/lessons/math")


class Chain:
    def __init__(self, cleanup):
        self.cleanup = cleanup
        self.folder = temporary(cleanup)
        self.key = Key(self.folder)
        self.token = self.key.token("recorder")
        self.token_file = self.folder / "token"
        self.token_file.write_text(self.token)
        self.levels = []

    def level(self, name, **settings):
        return Level(self, name, self.levels[-1] if self.levels else None, **settings)

    def publish(self, *options, bitrate=300, size="320x180"):
        city = self.levels[0]
        return Program(self.cleanup, city.place.inside([
            BUILD / "client" / "capture" / "tongke-capture", "--size", size, "--fps", FPS, "--bitrate",
            bitrate, *options, "--relay", f"rtsp://127.0.0.1:{city.relay.rtsp_port}/math"]),
            {"TONGKE_TOKEN": self.key.token("sender", "--lesson", "math")})

    def publish_films(self, films):
        city, token = self.levels[0], self.key.token("sender", "--lesson", "math")
        url = f"rtsp://127.0.0.1:{city.relay.rtsp_port}/math"
        return Program(self.cleanup, city.place.inside(
            renditions(films, lambda stream: f"{url}/{stream}?token={token}")))

    def record(self, level):
        return Recorder(self.cleanup, f"http://127.0.0.1:{level.relay.http_port}",
                        temporary(self.cleanup), {"relay.token_file": self.token_file},
                        place=level.place)


class Village:
    """A place without a relay behind a line to one that has; `near` as of a wire."""

    def __init__(self, level, **settings):
        self.place = Place(level.chain.cleanup)
        self.wire = Wire(level.chain.cleanup, level.place, self.place, seed=77, **settings)
        self.near = self.wire.near


class Class:
    """Reads chunks as they come, and notes when: as a browser would see them."""

    def __init__(self, level, village=None):
        """Beside its relay; in a village the county's own."""
        self.level, self.name = level, level.name if not village else f"{level.name}, over a line"
        self.address = village.near if village else "127.0.0.1"
        self.socket = (village.place if village else level.place).call(self.open)
        self.came = []  # (monotonic, number, captured)
        self.picture = Picture(FPS)
        self.changed = threading.Condition()
        self.reading = True
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def open(self):
        url = f"ws://{self.address}:{self.level.relay.http_port}/live/math?token={self.level.chain.token}"
        return WebSocket(self.level.chain.cleanup, url)

    def read(self):
        with contextlib.suppress(OSError, AssertionError):
            while self.reading:
                kind, data = self.socket.next()
                if kind == CLOSE:
                    break
                if kind == BINARY and not is_init(data):
                    chunk = Chunk(data)
                    now = time.monotonic()
                    self.picture.take(now, chunk)
                    with self.changed:
                        self.came.append((now, chunk.number, chunk.captured_ns))
                        self.changed.notify_all()
        with self.changed:
            self.reading = False
            self.changed.notify_all()

    def pass_time(self, seconds):
        """Until so much more of the lesson, by the camera's clock, has come here."""
        until_ns = time.time_ns() + NTP_EPOCH_NS + int(seconds * 1e9)
        with self.changed:
            done = self.changed.wait_for(
                lambda: not self.reading or (self.came and (self.came[-1][2] or 0) >= until_ns),
                seconds + 60)
        if not done or not self.reading:
            raise AssertionError(f"the class at {self.name} sees nothing any more")

    def numbers(self):
        return [number for _, number, _ in self.came]

    def saw(self, since=0.0):
        """Longest silence, how far behind the camera, how long the picture stood: seconds."""
        came = [one for one in self.came if one[0] >= since]
        silences = [b[0] - a[0] for a, b in zip(came, came[1:])]
        behind = sorted(at_wall(at) - (captured - NTP_EPOCH_NS) / 1e9 for at, _, captured in came if captured)
        numbers = [number for _, number, _ in came]
        return {"chunks": len(came), "missing": numbers[-1] - numbers[0] + 1 - len(numbers),
                "longest_silence_s": round(max(silences), 2),
                "behind_median_s": round(behind[len(behind) // 2], 3),
                "behind_worst_s": round(behind[-1], 2), **self.picture.saw(since)}

    def after(self, above, since=0.0):
        """How much later than `above` it has the same pictures: median and 99 of 100, in ms."""
        there, here = above.picture.moments(), self.picture.moments(since)
        late = sorted(at - there[which] for which, at in here.items() if which in there)
        return [round(late[len(late) * part // 100] * 1000) for part in (50, 99)]

    def close(self):
        self.reading = False
        self.thread.join(30)


OFFSET = time.time() - time.monotonic()


def at_wall(monotonic):
    return monotonic + OFFSET


def pass_time(classes, seconds):
    for one in classes:  # all of them that long, not one after the other
        one.pass_time(seconds if one is classes[0] else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cut", type=float, default=5)
    parser.add_argument("--bitrate", type=int, default=1100)
    parser.add_argument("--loss", type=float, default=COUNTRY["loss"], help="per cent, each way")
    options = parser.parse_args()
    if not possible():
        sys.exit("no right to make network namespaces and tun devices")
    with contextlib.ExitStack() as stack:
        chain = Chain(stack.callback)
        city = chain.level("city", **{"history.packet_s": 60, "history.packet_mib": 64})
        county = chain.level("county", **{"history.packet_s": 60, "history.packet_mib": 64})
        school = chain.level("school")
        county.wire.set(delay=10)
        line = COUNTRY | {"loss": options.loss}
        school.wire.set(**line)
        chain.publish("--low", bitrate=options.bitrate, size="640x360")
        here = [Class(level) for level in (city, county, school)]
        village = Class(county, Village(county, **line))
        classes = [*here, village]
        pass_time(classes, 10)
        since = time.monotonic()
        pass_time(classes, options.seconds)
        for one in classes:
            print(one.name, one.saw(since), "lost", one.picture.lost(classes[0].picture, since), flush=True)
        for above, one in ((here[0], here[1]), (here[1], here[2]), (here[1], village)):
            print(f"{one.name} after {above.name}: median, p99 ms", one.after(above, since))
        since = time.monotonic()
        county.wire.set(loss=100)
        classes[0].pass_time(options.cut)
        county.wire.set(loss=0)
        pass_time(classes, 20)
        print(f"the line of the county cut for {options.cut} s:")
        for one in classes:
            print(one.name, one.saw(since), "lost", one.picture.lost(classes[0].picture, since), flush=True)
        for level in chain.levels[1:]:
            print(level.name, "line: passed, lost, refused", level.wire.count(), flush=True)


if __name__ == "__main__":
    main()
