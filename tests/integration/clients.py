# SPDX-License-Identifier: MIT
"""Programs that run while a test watches what they say."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

BUILD = pathlib.Path(os.environ["TONGKE_BUILD"])
PATIENCE_S = 100  # only a hang is ended by the clock

CAPTURE = BUILD / "client" / "capture" / "tongke-capture"
PLAYER = BUILD / "client" / "player" / "tongke-player"
CTL = BUILD / "client" / "ctl" / "tongkectl"
RELAY = BUILD / "relay" / "tongke-relay"


class Running:
    """A program; its lines of standard output and error in the order they came."""

    def __init__(self, *command, env=None):
        self.lines = []
        self.read = 0  # lines that wait_for() has passed
        self.changed = threading.Condition()
        self.open = 2
        self.process = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
        self.threads = [threading.Thread(target=self.pump, args=[pipe], daemon=True)
                        for pipe in (self.process.stdout, self.process.stderr)]
        for thread in self.threads:
            thread.start()

    def pump(self, pipe):
        with pipe:
            for line in pipe:
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.open -= 1
            self.changed.notify_all()

    def said(self):
        with self.changed:
            return "\n".join(self.lines)

    def wait_for(self, pattern, again=False):
        """The match of the next line that has `pattern`, looking on from the last one found;
        with `again` from the first line of all."""
        with self.changed:
            if again:
                self.read = 0
            def look():
                while self.read < len(self.lines):
                    self.read += 1
                    match = re.search(pattern, self.lines[self.read - 1])
                    if match:
                        return match
                return self.open == 0
            found = self.changed.wait_for(look, PATIENCE_S)
        if not isinstance(found, re.Match):
            raise AssertionError(f"never said {pattern!r}:\n{self.said()}")
        return found

    def wait(self):
        """Its exit status, when it ends by itself."""
        status = self.process.wait(PATIENCE_S)
        for thread in self.threads:
            thread.join(PATIENCE_S)
        return status

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()


class Relay(Running):
    """A relay on free ports, or again on those that it had."""

    def __init__(self, *settings, like=None):
        ports = [f"rtsp.port={like.port if like else 0}", "rtsp.rtp_port=0",
                 f"web.port={like.web if like else 0}"]
        words = [word for setting in [*ports, *settings] for word in ("--set", setting)]
        super().__init__(RELAY, *words)
        self.port = int(self.wait_for(r"^listening rtsp .*:(\d+)$")[1])
        self.web = int(self.wait_for(r"^listening http .*:(\d+)$")[1])

    def url(self, lesson, stream=None):
        return f"rtsp://127.0.0.1:{self.port}/{lesson}" + (f"/{stream}" if stream else "")

    def lesson(self, name):
        url = f"http://127.0.0.1:{self.web}/api/v1/lessons/{name}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return json.load(answer)


def run(*command):
    """What a program that ends soon prints."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def publishes(capture, relay, stream="main"):
    """Returns when the stream has come to the relay."""
    capture.wait_for(f"{stream}: connected", again=True)
    relay.wait_for(f"a sender begins .*stream={stream}\\b", again=True)


def view(*command):
    """The same for a viewer, who may be earlier than the stream's first keyframe."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return run(*command)
        except AssertionError as error:
            if "404 Not Found" not in str(error) or time.monotonic() > end:
                raise


def probe(url, packets=0):
    """What ffprobe says of a stream's tracks, by kind; with `packets` also that many of each."""
    words = ["-show_streams"]
    if packets:
        words += ["-show_packets", "-read_intervals", f"%+#{packets}"]
    way = ["-rtsp_transport", "tcp"] if str(url).startswith("rtsp:") else []
    said = json.loads(view("ffprobe", "-v", "error", *way, "-of", "json", *words, url))
    return {s["codec_type"]: s for s in said["streams"]}, said.get("packets", [])


def brightness(url):
    """Mean of the newest picture, 0 to 255."""
    return view("ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-map", "0:v",
                "-frames:v", "1", "-vf", "scale=1:1", "-pix_fmt", "gray", "-f", "rawvideo", "-")[0]


def becomes(wanted, look):
    """Whether what `look` gives becomes as `wanted` says."""
    end = time.monotonic() + PATIENCE_S
    while not wanted(look()):
        if time.monotonic() > end:
            return False
    return True
