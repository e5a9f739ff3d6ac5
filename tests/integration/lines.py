# SPDX-License-Identifier: MIT
"""Classes behind bad lines: one relay in the city, schools that reach it over lines of their own, and
how every one of them saw the lesson. Run as a program: a minute of all kinds, as a table."""

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import threading
import time

from places import Place, Wire, possible
from test_door import Key
from tongke import BUILD, Program, Relay, from_film, renditions, run, temporary
from websocket import BINARY, CLOSE, Chunk, WebSocket, is_init

TOLD = re.compile(r"received (\d+) packets; (\d+) lost, (\d+) late; (\d+) asked for again, "
                  r"(\d+) repaired; (\d+) pictures, (\d+) missing")
LOSS, DELAY_MS = 10, 100  # each way
FPS = 25
NTP_EPOCH_NS = 2208988800 * 10**9  # between NTP's beginning and Unix'


class City:
    """A relay in a place of its own, with a lesson, and a browser beside it: what that one lacks the
    camera did not send."""

    def __init__(self, cleanup, *, camera=(), films=None, **settings):
        self.cleanup = cleanup
        self.folder = temporary(cleanup)
        self.key = Key(self.folder)
        self.place = Place(cleanup)
        self.token = self.key.token("viewer")
        self.relay = Relay(cleanup, {"auth.key_file": self.key.path, "rtsp.listen": "0.0.0.0",
                                     "web.listen": "0.0.0.0", **settings}, place=self.place)
        sender = self.key.token("sender", "--lesson", "math")
        url = f"rtsp://127.0.0.1:{self.relay.rtsp_port}/math"
        self.capture = Program(cleanup, self.place.inside(
            renditions(films, lambda stream: f"{url}/{stream}?token={sender}") if films else
            [BUILD / "client" / "capture" / "tongke-capture", "--fps", FPS, *(camera or from_film()),
             "--relay", url]), {"TONGKE_TOKEN": sender})
        self.chunks = self.place.call(self.socket, "127.0.0.1")
        self.chunks.next_binary()
        self.least_way_ns = 10**18
        self.browser = Browser(self, self.place, "127.0.0.1")

    def socket(self, address):
        url = f"ws://{address}:{self.relay.http_port}/live/math?token={self.token}"
        return WebSocket(self.cleanup, url)

    def pass_time(self, seconds):
        """So much of the lesson from now on, by the moments at which it was captured: chunks that have
        piled up are older. Gives by how many seconds one came here later than the soonest did."""
        until_ns, late_ns, captured_ns = time.time_ns() + NTP_EPOCH_NS + int(seconds * 1e9), 0, 0
        while captured_ns < until_ns:
            captured_ns = Chunk(self.chunks.next_binary()).captured_ns or captured_ns
            way_ns = time.time_ns() + NTP_EPOCH_NS - captured_ns
            self.least_way_ns = min(self.least_way_ns, way_ns)
            late_ns = max(late_ns, way_ns - self.least_way_ns)
        return late_ns / 1e9


class School:
    def __init__(self, city, *, burst=1, seed=1):
        self.city = city
        self.burst = burst
        self.place = Place(city.cleanup)
        self.wire = Wire(city.cleanup, city.place, self.place, seed=seed, delay=DELAY_MS)

    def spoil(self):
        self.wire.set(burst=self.burst, loss=LOSS)

    def url(self):
        return f"rtsp://{self.wire.near}:{self.city.relay.rtsp_port}/math"


def figures(text):
    found = TOLD.search(text)
    if not found:
        raise AssertionError(f"no account of losses in\n{text}")
    names = ("packets", "lost", "late", "asked", "repaired", "pictures", "missing")
    return dict(zip(names, map(int, found.groups())))


class Player:
    """tongke-player with a second of buffer."""

    def __init__(self, school):
        self.program = Program(school.city.cleanup, school.place.inside([
            BUILD / "client" / "player" / "tongke-player", "--latency", "1000", "--transport", "udp",
            "--video-sink", "fakevideosink", "--audio-sink", "fakesink", school.url()]),
            {"TONGKE_TOKEN": school.city.token})
        self.program.wait_line("^state=playing")

    def saw(self):
        self.program.stop(by=signal.SIGINT)
        return figures("\n".join(self.program.err))


class Stock:
    """GStreamer's rtspsrc as it is."""

    def __init__(self, school):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            list(map(str, school.place.inside([BUILD / "tests" / "line" / "tongke-stock",
                                               f"{school.url()}?token={school.city.token}"]))),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        school.city.cleanup(self.process.wait)
        school.city.cleanup(self.process.kill)

    def saw(self):
        return figures(self.process.communicate(timeout=30)[0])


def browser(school):
    return Browser(school.city, school.place, school.wire.near)


class Browser:
    """A WebSocket viewer that keeps what it gets."""

    def __init__(self, city, place, address):
        self.socket = place.call(city.socket, address)
        self.path = city.folder / f"{id(self)}.mp4"
        self.numbers = []
        self.open = True
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with open(self.path, "wb") as file, contextlib.suppress(OSError, AssertionError):
            while self.open:
                kind, data = self.socket.next()
                if kind == CLOSE:
                    break
                if kind == BINARY:
                    file.write(data)
                    if not is_init(data):
                        self.numbers.append(Chunk(data).number)

    def saw(self):
        """Chunks and pictures, and how many of each are missing."""
        self.open = False
        self.thread.join(30)
        self.socket.close()
        status, out, err = run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                                "frame=pts_time", "-of", "csv=p=0", self.path], seconds=120)
        if status or err:
            raise AssertionError(f"damaged: {err[-500:]}")
        times = [float(line.strip(",")) for line in out.split()]
        due = round((times[-1] - times[0]) * FPS) + 1
        return {"chunks": len(self.numbers), "pictures": len(times), "missing": due - len(times),
                "chunks_missing": self.numbers[-1] - self.numbers[0] + 1 - len(self.numbers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if not possible():
        sys.exit("no right to make network namespaces and tun devices")
    for name, settings in (("repair on", {}), ("repair off", {"repair.enabled": "false"})):
        with contextlib.ExitStack() as stack:
            city = City(stack.callback, **settings)
            schools = [School(city, burst=burst, seed=seed) for burst, seed in ((1, 1), (5, 2))]
            viewers = [(school, kind(school)) for school in schools for kind in (Player, Stock, browser)]
            city.pass_time(3)
            for school in schools:
                school.spoil()
            city.pass_time(options.seconds)
            for school, viewer in viewers:
                told = ", ".join(f"{value} {word}" for word, value in viewer.saw().items())
                print(f"{name}, bursts of {school.burst}, {type(viewer).__name__}: {told}", flush=True)
            for school in schools:
                print(f"the line, bursts of {school.burst}: passed, lost, refused {school.wire.count()}")
            print("no line at all, Browser:", city.browser.saw())
            print("sent again:", city.place.call(city.relay.metric, "rtp_packets_resent_total"))


if __name__ == "__main__":
    main()
