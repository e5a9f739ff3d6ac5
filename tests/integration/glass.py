# SPDX-License-Identifier: MIT
"""From screen to screen: a teacher's screen that shows the time, captured, sent over a line, and read off
a class's screen. What a camera and a panel add is not in it. Run as a program: a table."""

import argparse
import contextlib
import mmap
import pathlib
import struct
import sys
import threading
import time

from chain import Chain
from places import Place, Wire, possible
from tongke import BUILD, DEADLINE_S, Deadline, Program, temporary

WIDTH, HEIGHT = 1280, 720
BITS = 14        # of a clock that turns in 82 s
CELL = WIDTH // (BITS + 2)
TOP, BAND = HEIGHT // 2 - 64, 64  # two bands of cells, the second the first's negative
TICK_S = 0.005
LOOK_S = 0.002
SANE_S = 20
BLACK, WHITE = b"\x10\x10\x10\0", b"\xeb\xeb\xeb\0"
LINES = {
    "beside the relay": {},
    "50 ms away": {"delay": 50},
    "50 ms away, 2 Mbit/s, 5 % lost": {"delay": 50, "rate": 2000, "buffer": 64, "loss": 5},
}
PLAYERS = {"tongke-player": (), "tongke-player --latency 120": ("--latency", 120)}
PAGE = "Chromium, the page"


class Screen:
    """An X server of its own, whose picture is a file that can be read and written."""

    def __init__(self, cleanup):
        folder = temporary(cleanup)
        self.server = Program(cleanup, [
            "Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", folder,
            "-nolisten", "tcp", "-nocursor"])
        self.name = ":" + self.server.wait_line(r"^(\d+)$")[1]
        # pylint: disable-next=consider-using-with
        file = open(folder / "Xvfb_screen0", "r+b")
        cleanup(file.close)
        self.picture = mmap.mmap(file.fileno(), 0)
        head = struct.unpack_from(">25I", self.picture)  # XWDFile.h
        self.begin, self.stride = head[0] + 12 * head[19], head[12]

    def at(self, x, y):
        """How bright, 0 to 255."""
        return self.picture[self.begin + y * self.stride + x * 4 + 1]

    def row(self, y, pixels):
        offset = self.begin + y * self.stride
        self.picture[offset:offset + len(pixels)] = pixels


class Clock:
    """Draws the time on a screen: in Gray's code, so that a picture taken while it changes is right."""

    def __init__(self, cleanup, screen):
        self.screen, self.ended = screen, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        cleanup(self.stop)

    def stop(self):
        self.ended.set()
        self.thread.join(DEADLINE_S)

    def run(self):
        while not self.ended.wait(TICK_S / 2):
            tick = int(time.monotonic() / TICK_S) % (1 << BITS)
            code = tick ^ (tick >> 1)
            cells = [True] + [bool(code >> bit & 1) for bit in range(BITS)] + [False]
            for band, turned in enumerate((False, True)):
                pixels = b"".join((WHITE if cell != turned else BLACK) * CELL for cell in cells)
                for y in range(TOP + band * BAND, TOP + (band + 1) * BAND):
                    self.screen.row(y, pixels)


def read(screen):
    """The tick that a screen shows; None: it shows none."""
    code = 0
    for cell in range(BITS + 2):
        x = cell * CELL + CELL // 2
        lit, turned = (screen.at(x, TOP + band * BAND + BAND // 2) > 128 for band in (0, 1))
        if lit == turned or (cell == 0 and not lit) or (cell == BITS + 1 and lit):
            return None
        if 0 < cell <= BITS:
            code |= lit << (cell - 1)
    tick = 0
    while code:
        tick ^= code
        code >>= 1
    return tick


class Watch:
    """When each picture was first seen on a screen."""

    def __init__(self, screen):
        self.screen = screen
        self.seen = {}  # tick -> monotonic seconds
        self.last, self.longest = None, 0.0

    def look(self, counts):
        tick, now = read(self.screen), time.monotonic()
        if tick is None:
            return
        age = (now / TICK_S - tick) % (1 << BITS) * TICK_S
        if age > SANE_S:
            return  # a damaged picture
        if counts:
            self.longest = max(self.longest, age)
            if tick != self.last:
                self.seen[tick] = now
        self.last = tick

    def ages(self):
        return [(now / TICK_S - tick) % (1 << BITS) * TICK_S for tick, now in self.seen.items()]


def watch(clock, screens, settle_s, seconds):
    """Watches of that many seconds, once each shows something and has settled."""
    watches = [Watch(screen) for screen in screens]
    deadline = Deadline()
    while not all(one.last for one in watches) and not deadline.over():
        for one in watches:
            one.look(False)
        clock.ended.wait(LOOK_S)
    begun = time.monotonic() + settle_s
    while time.monotonic() < begun + seconds:
        for one in watches:
            one.look(time.monotonic() >= begun)
        clock.ended.wait(LOOK_S)
    return watches


def show(stack, viewer, chain, place, near, screen):
    relay, display = chain.levels[0].relay, {"DISPLAY": screen.name}
    if viewer == PAGE:
        return Program(stack.callback, place.inside([
            "chromium", "--no-sandbox", "--kiosk", "--no-first-run", "--window-position=0,0",
            f"--window-size={WIDTH},{HEIGHT}", "--autoplay-policy=no-user-gesture-required",
            f"--user-data-dir={temporary(stack.callback)}", "--disable-gpu",
            f"--unsafely-treat-insecure-origin-as-secure=http://{near}:{relay.http_port}",
            f"http://{near}:{relay.http_port}/?token={chain.token}#/live/math"]), display)
    return Program(stack.callback, place.inside([
        BUILD / "client" / "player" / "tongke-player", *PLAYERS[viewer], "--audio-sink", "fakesink",
        "--video-sink", "ximagesink", f"rtsp://{near}:{relay.rtsp_port}/math"]),
        {**display, "TONGKE_TOKEN": chain.token})


def told(values, longest):
    values = sorted(values)
    if not values:
        return " nothing"
    shown = [values[len(values) * part // 100] for part in (50, 95, 99)] + [longest]
    return "".join(f"{value * 1000:7.0f}" for value in shown)


class Hall:
    """The teacher's screen, and the classes'."""

    def __init__(self, stack, options):
        self.options = options
        self.chain = Chain(stack.callback)
        self.city = self.chain.level("city", **{"web.page": BUILD / "client" / "web" / "dist"})
        board = Screen(stack.callback)
        self.clock = Clock(stack.callback, board)
        self.chain.publish("--source", f"screen:{board.name}", "--audio", "test",
                           size=f"{WIDTH}x{HEIGHT}", bitrate=options.bitrate)

    def see(self, *pairs):
        """Watches of (viewer, line) pairs that look at the same time."""
        with contextlib.ExitStack() as once:
            screens = []
            for viewer, line in pairs:
                place = Place(once.callback)
                wire = Wire(once.callback, self.city.place, place, seed=7, **LINES[line])
                screens.append(Screen(once.callback))
                show(once, viewer, self.chain, place, wire.near, screens[-1])
            watches = watch(self.clock, screens, self.options.settle, self.options.seconds)
            if self.options.pictures:
                for (viewer, line), screen in zip(pairs, screens):
                    keep(screen, self.options.pictures / f"{line}, {viewer}.ppm".replace("/", " "))
            return watches


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--settle", type=float, default=15, help="seconds before they count")
    parser.add_argument("--bitrate", type=int, default=1200)
    parser.add_argument("--pictures", help="folder for the last screen of each, as PPM", type=pathlib.Path)
    parser.add_argument("--only", default="", help="viewers whose name has this in it")
    options = parser.parse_args()
    if not possible():
        sys.exit("no right to make network namespaces and tun devices")
    viewers = [viewer for viewer in (*PLAYERS, PAGE) if options.only in viewer]
    with contextlib.ExitStack() as stack:
        hall = Hall(stack, options)
        print(f"{'ms from screen to screen':35}{'':28}    p50    p95    p99   most")
        for line in LINES:
            for viewer in viewers:
                seen = hall.see((viewer, line))[0]
                print(f"{line:35}{viewer:28}{told(seen.ages(), seen.longest)}", flush=True)
        print("ms between the same picture on two screens")
        near, far, *_ = LINES
        for viewer in viewers:
            one, other = hall.see((viewer, near), (viewer, far))
            apart = [abs(other.seen[tick] - at) for tick, at in one.seen.items() if tick in other.seen]
            print(f"{near + ' and ' + far:35}{viewer:28}{told(apart, max(apart, default=0))}", flush=True)


def keep(screen, path):
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (WIDTH, HEIGHT))
        for y in range(HEIGHT):
            begin = screen.begin + y * screen.stride
            row = screen.picture[begin:begin + WIDTH * 4]
            pixels = bytearray(WIDTH * 3)
            for colour in range(3):
                pixels[colour::3] = row[2 - colour::4]
            file.write(pixels)


if __name__ == "__main__":
    main()
