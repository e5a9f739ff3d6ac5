# SPDX-License-Identifier: MIT
"""What breaks in a lesson, and how long each kind of viewer saw its picture stand: the sender killed, its
address changed, the viewers' address changed, the relay killed, the relay above it out of reach and back.
Nobody does anything at a viewer. Run as a program: a table."""

import argparse
import contextlib
import os
import random
import sys
import threading
import time

from places import Place, Wire, possible
from test_door import Key
from tongke import BUILD, Program, Relay, clip, temporary
from watching import VIDEO_TRACK
from websocket import BINARY, CLOSE, Chunk, Refused, WebSocket, is_init

STORE_S = 2         # what a viewer may still have of before
UNIT_RESTART_S = 2  # RestartSec of the units in configs/systemd
CUT_S = 5
RETURN_S = 5        # that a relay above has been well before it is preferred again
SETTLED_S = 5       # of the lesson, before something breaks
PIXELS = 16 * 16
BLINK_S = 0.25      # shorter is no stop
FLOW = 6            # so many pictures, or chunks, a second are a lesson; a slate has fewer


class Viewer:
    """Notes when pictures of the lesson come."""

    def __init__(self):
        self.came = []
        self.changed = threading.Condition()

    def note(self):
        with self.changed:
            self.came.append(time.monotonic())
            self.changed.notify_all()

    def tail(self):
        return ""

    def wait_after(self, moment, seconds):
        """Until pictures come again after `moment`, FLOW of them within a second; FALSE: they do not."""
        def flows():
            return len(self.came) > FLOW and self.came[-FLOW] > max(moment, self.came[-1] - 1)
        with self.changed:
            return self.changed.wait_for(flows, seconds)

    def stood(self, since):
        """Seconds that the picture stood since then, all stops together."""
        came = [at for at in self.came if at >= since - 1]
        steps = [b - a for a, b in zip(came, came[1:])]
        return sum(step for step in steps if step > BLINK_S)


class Page(Viewer):
    """What the page does: takes a socket that is silent for 8 s for dead, and comes again after 1, 2, 4 …
    seconds, with what it has if that is not older than 8 s. Without its store."""

    SILENCE_S, CONNECT_S, RESUME_S, RETRY_MAX_S = 8, 10, 8, 15

    def __init__(self, show):
        super().__init__()
        self.show, self.newest, self.open = show, None, True
        show.cleanup(self.close)
        threading.Thread(target=self.live, daemon=True).start()

    def close(self):
        self.open = False

    def connect(self):
        resume = f"&from={self.newest + 1}" if self.newest else ""
        relay = f"{self.show.wire.near}:{self.show.relay.http_port}"
        url = f"ws://{relay}/live/math?token={self.show.token}{resume}"
        return self.show.school.call(
            lambda: WebSocket(self.show.cleanup, url, patience_s=self.CONNECT_S))

    def read(self, viewer):
        viewer.patience_s = self.SILENCE_S
        while self.open:
            kind, data = viewer.next()
            if kind == CLOSE:
                return
            if kind == BINARY and not is_init(data):
                chunk = Chunk(data)
                self.newest = chunk.number
                if chunk.samples.get(VIDEO_TRACK):
                    self.note()

    def live(self):
        attempt, lost = 0, None
        while self.open:
            if lost and time.monotonic() - lost > self.RESUME_S:
                self.newest = None
            with contextlib.suppress(OSError, AssertionError, Refused):
                viewer = self.connect()
                attempt, lost = 0, None
                self.read(viewer)
            lost = lost or time.monotonic()
            pause = min(self.RETRY_MAX_S, 2 ** attempt * random.uniform(0.8, 1.2))
            attempt += 1
            threading.Event().wait(pause)


class Watched(Viewer):
    """A program whose pictures, 16 by 16 and grey, come by a pipe; its slate stands nearly still."""

    def __init__(self, show, command):
        super().__init__()
        path = temporary(show.cleanup) / "pictures"
        os.mkfifo(path)
        self.program = Program(show.cleanup, show.school.inside(command(path)), {"TONGKE_TOKEN": show.token})
        threading.Thread(target=self.read, args=[path], daemon=True).start()

    def tail(self):
        return self.program.tail()

    def read(self, path):
        last = None
        with open(path, "rb") as pipe:
            while len(picture := pipe.read(PIXELS)) == PIXELS:
                if picture != last:
                    self.note()
                last = picture


def player(show):
    return Watched(show, lambda path: [
        BUILD / "client" / "player" / "tongke-player", "--audio-sink", "fakesink", "--video-sink",
        f"video/x-raw,format=GRAY8,width=16,height=16 ! filesink buffer-mode=2 location={path}", show.rtsp()])


def stock(show):
    return Watched(show, lambda path: [
        "ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "udp", "-i",
        f"{show.rtsp()}?token={show.token}", "-an", "-vf", "scale=16:16,format=gray", "-f", "rawvideo",
        "-flush_packets", "1", "-y", path])


VIEWERS = {"browser": Page, "tongke-player": player, "ffmpeg": stock}


class Show:
    """A sender, a relay and a school, each in a place of its own."""

    def __init__(self, cleanup, viewers=tuple(VIEWERS)):
        self.cleanup = cleanup
        self.key = Key(temporary(cleanup))
        self.token = self.key.token("viewer")
        self.room, self.city, self.school = (Place(cleanup) for _ in range(3))
        self.uplink = Wire(cleanup, self.city, self.room, delay=5)
        self.wire = Wire(cleanup, self.city, self.school, delay=25)
        self.start_relay()
        self.start_sender()
        began = time.monotonic()
        self.sender.wait_log("main: connected")
        self.viewers = {name: VIEWERS[name](self) for name in viewers}
        for name, viewer in self.viewers.items():
            if not viewer.wait_after(began + SETTLED_S, 60):
                raise AssertionError(f"{name} sees nothing {viewer.tail()}")

    def start_relay(self, **ports):
        self.relay = Relay(self.cleanup, {"auth.key_file": self.key.path, "rtsp.listen": "0.0.0.0",
                                          "web.listen": "0.0.0.0", **ports}, place=self.city)

    def origin(self):
        """The relay that the sender sends to."""
        return self.relay

    def start_sender(self):
        self.sender = Program(self.cleanup, self.room.inside([
            BUILD / "client" / "capture" / "tongke-capture",
            "--source", clip(), "--loop", "--keep", "none",
            "--relay", f"rtsp://{self.uplink.near}:{self.origin().rtsp_port}/math"]),
            {"TONGKE_TOKEN": self.key.token("sender", "--lesson", "math")})

    def rtsp(self):
        return f"rtsp://{self.wire.near}:{self.relay.rtsp_port}/math"

    def kill_sender(self):
        self.sender.kill()
        threading.Event().wait(UNIT_RESTART_S)  # what systemd does
        self.start_sender()

    def kill_relay(self):
        relay = self.relay
        relay.kill()
        threading.Event().wait(UNIT_RESTART_S)
        self.start_relay(**{"rtsp.port": relay.rtsp_port, "rtsp.rtp_port": relay.rtp_port,
                            "web.port": relay.http_port})

    def move_sender(self):
        self.uplink.close()
        self.uplink = Wire(self.cleanup, self.city, self.room, instead=self.uplink, delay=5)

    def cut_line(self):
        self.wire.set(loss=100)
        threading.Event().wait(CUT_S)
        self.wire.set(loss=0)

    def move_viewers(self):
        self.wire.close()
        self.wire = Wire(self.cleanup, self.city, self.school, instead=self.wire, delay=25)

    def suffer(self, fault, seconds=60):
        since = time.monotonic()
        fault(self)
        done = time.monotonic() + STORE_S
        back = {name: viewer.wait_after(done, seconds) for name, viewer in self.viewers.items()}
        return {name: round(viewer.stood(since), 1) if back[name] else None
                for name, viewer in self.viewers.items()}


class Fed(Show):
    """The relay that is watched gets the lesson from the first of two others, each in a place of its own
    that is reached over a line; these two get it from where the sender is."""

    def start_relay(self):
        spec = {"auth.key_file": self.key.path, "rtsp.listen": "0.0.0.0", "web.listen": "0.0.0.0"}
        token = temporary(self.cleanup) / "token"
        token.write_text(self.key.token("recorder"))
        spec["upstream.token_file"] = token
        self.source = Relay(self.cleanup, spec, place=self.city)
        self.lines, urls = [], []
        for _ in range(2):
            place = Place(self.cleanup)
            up = Wire(self.cleanup, self.city, place)
            above = Relay(self.cleanup, {
                **spec, "upstream.relays": f"http://{up.near}:{self.source.http_port}"}, place=place)
            self.lines.append(Wire(self.cleanup, place, self.city, delay=10))
            urls.append(f"http://{self.lines[-1].near}:{above.http_port}")
        self.relay = Relay(self.cleanup, {
            **spec, "upstream.relays": " ".join(urls), "upstream.return_s": RETURN_S}, place=self.city)

    def origin(self):
        return self.source

    def fetched_from(self, line):
        return f"fetched from upstream .*peer=http://{line.near}:"

    def lose_first(self):
        self.lines[0].set(loss=100)
        self.relay.wait_log(self.fetched_from(self.lines[1]))

    def first_is_back(self):
        begun = len(self.relay.err)
        self.lines[0].set(loss=0)
        self.relay.wait_log(self.fetched_from(self.lines[0]), begun)


# Each in such a setting; what comes before the last is its beginning and not told.
FAULTS = {"the sender is killed": (Show, Show.kill_sender),
          "the sender's address changes": (Show, Show.move_sender),
          "the viewers' address changes": (Show, Show.move_viewers),
          f"the viewers' line is cut for {CUT_S} s": (Show, Show.cut_line),
          "the relay is killed": (Show, Show.kill_relay),
          "the relay above is out of reach": (Fed, Fed.lose_first),
          "the relay above is back": (Fed, Fed.lose_first, Fed.first_is_back)}


def suffer(cleanup, word, viewers=tuple(VIEWERS)):
    """{viewer: seconds its picture stood; None: it does not come back}"""
    setting, *faults = FAULTS[word]
    show = setting(cleanup, viewers)
    return [show.suffer(fault) for fault in faults][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="faults with this word")
    options = parser.parse_args()
    if not possible():
        sys.exit("no right to make network namespaces and tun devices")
    print("| seconds that the picture stood | " + " | ".join(VIEWERS) + " |\n|---|" + "---:|" * len(VIEWERS))
    for word in FAULTS:
        if options.only not in word:
            continue
        rounds = []
        for _ in range(options.rounds):
            with contextlib.ExitStack() as stack:
                rounds.append(suffer(stack.callback, word))
        cells = [", ".join("never back" if one[name] is None else str(one[name]) for one in rounds)
                 for name in VIEWERS]
        print(f"| {word} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
