# SPDX-License-Identifier: MIT
"""A class behind a line whose rate goes down and up again, and what a browser there gets of the
lesson: which rendition, and whether its sound stops. Run as a program: 4, 1, 0.3 and 4 Mbit/s, and
then 64 kbit/s, as a table."""

import argparse
import contextlib
import json
import sys
import threading
import time

from lines import City
from places import Place, Wire, possible
from websocket import CLOSE, TEXT, Chunk, WebSocket, is_init

VIDEO_TIMESCALE = 90000
AAC_SAMPLES = 1024
LATE_S = 0.35


CAMERA = ("--size", "1280x720", "--bitrate", "1500", "--low")
FILMS = {"main": ("480x270", 1200, 120), "low": ("320x180", 240, 120)}  # the same without an encoder


class Browser:
    """A page's player without a picture: it plays the sound with `store` seconds in store, reports
    once a second, and notes how long the sound stood still."""

    def __init__(self, lesson, place, address, store=1.0):
        url = (f"ws://{address}:{lesson.relay.http_port}/live/math?rendition=auto&token={lesson.token}")
        self.socket = place.call(lambda: WebSocket(lesson.cleanup, url))
        self.store = store
        self.began = time.monotonic()
        self.rendition = "main"
        self.sizes = [None]  # of the picture; None: there is none
        self.steps = []  # (when, rendition)
        self.gaps = []  # (when, seconds)
        self.late = 0.0
        self.rate, self.track = None, None
        self.end = None  # of the sound that came, media seconds
        self.played = None  # media seconds at `at`, playing on since
        self.at = None
        self.stalled = None
        self.told = 0
        self.open = True
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def now(self):
        return time.monotonic() - self.began

    def position(self):
        if self.played is None:
            return None
        if self.stalled is not None:
            return self.played
        return self.played + self.now() - self.at

    def take_sound(self, begin, end):
        now = self.now()
        if self.end is not None and begin > self.end + 0.05 and end > self.end:
            self.gaps.append((now, round(begin - self.end, 2), "missing"))
        self.end = end if self.end is None else max(self.end, end)
        if self.played is None:
            if self.end - begin >= 0 and not hasattr(self, "first"):
                self.first = begin
            if self.end - self.first >= self.store:
                self.played, self.at = self.first, now
            return
        if self.stalled is not None and self.end - self.played >= min(0.3, self.store):
            self.gaps.append((round(self.stalled, 1), round(now - self.stalled, 2), "stood"))
            self.stalled, self.at = None, now

    def gaps_but(self, late_s):
        """Without the stops of the machine itself: those no longer than a class beside the relay was
        late at worst, if that was more than chunks ever are."""
        return [gap for gap in self.gaps if late_s < LATE_S or gap[2] != "stood" or gap[1] > late_s]

    def check(self):
        position = self.position()
        if position is not None and self.stalled is None and position >= self.end:
            self.played, self.stalled = self.end, self.now()
        if position is not None and self.now() - self.told >= 1:
            self.told = self.now()
            position = self.position()
            self.socket.send_json({"type": "report", "played_s": position,
                                   "buffer_s": max(self.end - position, 0)})

    def take_text(self, text):
        if text["type"] == "rendition":
            self.rendition = text["rendition"]
            self.steps.append((round(self.now(), 1), self.rendition))
        elif text["type"] == "init":
            self.sizes.append((text["width"], text["height"]) if "width" in text else None)
            for track, scale in text["timescale"].items():
                if scale != VIDEO_TIMESCALE:
                    self.track, self.rate = int(track), scale
        elif text["type"] == "gap":
            self.gaps.append((round(self.now(), 1), text["to"] - text["from"] + 1, "chunks"))

    def read(self):
        with contextlib.suppress(OSError, AssertionError):
            while self.open:
                kind, data = self.socket.next()
                if kind == CLOSE:
                    break
                self.check()
                if kind == TEXT:
                    self.take_text(json.loads(data))
                elif not is_init(data):
                    chunk = Chunk(data)
                    if self.track in chunk.times:
                        begin = chunk.times[self.track] / self.rate
                        seconds = len(chunk.samples[self.track]) * AAC_SAMPLES / self.rate
                        self.take_sound(begin, begin + seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", default="4000:10,1000:20,300:25,4000:30,64:25,4000:30",
                        help="kbit/s and seconds of each step")
    parser.add_argument("--delay", type=float, default=25, help="ms, one way")
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--buffer", type=float, default=64, help="KiB at the narrow place")
    parser.add_argument("--stores", default="0.6,1.5,2.5")
    options = parser.parse_args()
    if not possible():
        sys.exit("no right to make network namespaces and tun devices")
    with contextlib.ExitStack() as stack:
        lesson = City(stack.callback, camera=CAMERA)
        schools = []
        for seed, store in enumerate(map(float, options.stores.split(",")), 1):
            place = Place(stack.callback)
            wire = Wire(stack.callback, lesson.place, place, seed=seed, delay=options.delay,
                        loss=options.loss, buffer=options.buffer)
            wire.set(rate=4000)
            schools.append((wire, Browser(lesson, place, wire.near, store)))
        for step in options.steps.split(","):
            rate, seconds = map(float, step.split(":"))
            for wire, _ in schools:
                wire.set(rate=rate)
            print(f"{schools[0][1].now():6.1f} s: {rate:.0f} kbit/s", flush=True)
            lesson.pass_time(seconds)
        for _, browser in schools:
            print(f"store {browser.store}: steps {browser.steps}\n   gaps {browser.gaps}")
        print(lesson.place.call(lesson.relay.metric, "ws_moved_down_total"),
              lesson.place.call(lesson.relay.metric, "ws_moved_up_total"))


if __name__ == "__main__":
    main()
