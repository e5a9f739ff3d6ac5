# SPDX-License-Identifier: MIT
"""The running part of tools/demo: starts the programs, says where to look, ends them in order."""

import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import webbrowser

HOST = "127.0.0.1"
FIELDS = ("title", "subject", "grade", "teacher", "school")
READY_S = 30  # a program that does not answer by then never will
CLOSE_S = 60  # closing a recording writes its index and makes its picture
STOP_S = 15
PORTS = {"rtsp": (8554, "tcp"), "rtp": (8000, "udp-pair"), "page": (8080, "tcp"),
         "library": (8081, "tcp")}


class Trouble(Exception):
    pass


class Told(Exception):
    """Ctrl-C, or a signal that means the same."""


def say(text):
    print(text, flush=True)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Program:
    def __init__(self, name, command, logs):
        self.name = name
        self.log = logs / f"{name}.log"
        with open(self.log, "wb") as out:
            # A session of its own: Ctrl-C is for the demo, which then ends them in order.
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)

    def text(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def trouble(self, what):
        tail = "\n".join(f"    {line}" for line in self.text().splitlines()[-20:])
        return Trouble(f"{self.name} {what}; the end of its log:\n{tail}")

    def check(self):
        if not self.running():
            raise self.trouble(f"ended with status {self.process.returncode}")

    def wait_port(self, what):
        def found():
            return re.search(rf"^listening {what} \S+:(\d+)$", self.text(), re.M)
        return int(wait(found, [self], READY_S, f"{self.name} does not say its {what} port")[1])

    def stop(self):
        if self.running():
            self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise self.trouble(f"did not end within {STOP_S} s and was killed") from None

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


def wait(condition, programs, seconds, otherwise):
    """The first true answer of `condition`, while all `programs` live."""
    end = time.monotonic() + seconds
    while True:
        for program in programs:
            program.check()
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Trouble(f"{otherwise} within {seconds:g} s")
        time.sleep(0.1)


def is_free(port, kind):
    wanted = [(port, socket.SOCK_STREAM)]
    if kind == "udp-pair":
        wanted = [(port, socket.SOCK_DGRAM), (port + 1, socket.SOCK_DGRAM)]
    for number, style in wanted:
        with socket.socket(socket.AF_INET, style) as probe:
            if style == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError:
                return False
    return True


def any_free():
    with socket.create_server((HOST, 0)) as probe:
        return probe.getsockname()[1]


def choose_ports():
    """The usual ports; 0, or for the library a number that is free now, for those in use."""
    chosen = {}
    for name, (port, kind) in PORTS.items():
        chosen[name] = port
        if not is_free(port, kind):
            # The relay has to be told the library's port before the recorder can say it.
            chosen[name] = any_free() if name == "library" else 0
            say(f"demo: port {port} ({name}) is in use, taking another one")
    return chosen


def get(url, method="GET"):
    """The JSON or text at `url`; None where nobody answers or the answer is an error."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            body = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return json.loads(body) if is_json else body.decode()
    except (OSError, ValueError):
        return None


def speak(port, lines):
    """The first line that a server answers to a request of these lines."""
    try:
        with socket.create_connection((HOST, port), 5) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return connection.makefile("rb").readline().decode(errors="replace")
    except OSError:
        return ""


class Demo:
    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build)
        self.data = pathlib.Path(args.data or self.build / "library").resolve()
        self.logs = pathlib.Path(tempfile.mkdtemp(prefix="tongke-demo-"))
        self.programs = []
        self.capture = self.recorder = self.relay = None
        self.page = self.library = self.rtsp = self.ws = None
        self.id = None

    def start(self, name, *command):
        program = Program(name, command, self.logs)
        self.programs.append(program)
        return program

    def start_servers(self):
        ports = choose_ports()
        self.relay = self.start(
            "tongke-relay", self.build / "relay/tongke-relay", "--set", f"rtsp.port={ports['rtsp']}",
            "--set", f"rtsp.rtp_port={ports['rtp']}", "--set", f"web.port={ports['page']}",
            "--set", f"web.library=:{ports['library']}",
            "--set", f"web.page={self.build / 'client/web/dist'}")
        rtsp, page = self.relay.wait_port("rtsp"), self.relay.wait_port("http")
        self.recorder = self.start(
            "tongke-recorder", self.build / "recorder/tongke-recorder", "--data", self.data,
            "--relay", f"http://{HOST}:{page}", "--set", f"http.port={ports['library']}")
        library = self.recorder.wait_port("http")
        self.page = f"http://{HOST}:{page}"
        self.library = f"http://{HOST}:{library}"
        self.rtsp = f"rtsp://{HOST}:{rtsp}/{self.args.lesson}"
        self.ws = f"ws://{HOST}:{page}/live/{self.args.lesson}"

    def start_servers_again(self):
        """Somebody may take a port between our look and the programs' start."""
        for attempt in range(3):
            try:
                return self.start_servers()
            except Trouble as trouble:
                if attempt == 2 or "in use" not in str(trouble):
                    raise
                while self.programs:
                    self.programs.pop().kill()

    def start_capture(self):
        options = ["--relay", self.rtsp, "--source", self.args.source, "--keep", "none"]
        if self.args.slides:
            options += ["--slides", self.args.slides]
        for field in FIELDS:
            if getattr(self.args, field):
                options += [f"--{field}", getattr(self.args, field)]
        if self.args.duration:
            options.append("--loop")
        self.capture = self.start("tongke-capture", self.build / "client/capture/tongke-capture",
                                  *options)

    def lesson(self):
        return get(f"{self.page}/api/v1/lessons/{self.args.lesson}")

    def is_live(self):
        lesson = self.lesson()
        wanted = 2 if self.args.slides else 1
        streams = lesson["streams"] if lesson else []
        if len([s for s in streams if s.get("chunk", {}).get("newest")]) < wanted:
            return None
        self.id = lesson["id"]
        return lesson

    def recording(self):
        return get(f"{self.library}/api/v1/recordings/{self.id}")

    def answers(self):
        """Whether all four addresses serve the lesson."""
        rtsp, page = (urllib.parse.urlsplit(url).port for url in (self.rtsp, self.page))
        return (get(self.page + "/") and self.recording() and
                " 200 " in speak(rtsp, [f"DESCRIBE {self.rtsp} RTSP/1.0", "CSeq: 1"]) and
                " 101 " in speak(page, [
                    f"GET /live/{self.args.lesson} HTTP/1.1", f"Host: {HOST}", "Upgrade: websocket",
                    "Connection: Upgrade", "Sec-WebSocket-Key: dG9uZ2tlLXRvbmdrZSEhIQ==",
                    "Sec-WebSocket-Version: 13"]))

    def begin(self):
        self.start_servers_again()
        self.start_capture()
        wait(self.is_live, self.programs, READY_S, "the lesson does not begin")
        begun = time.monotonic()
        wait(self.answers, self.programs, READY_S, "the lesson does not answer everywhere")
        url = f"{self.page}/#/live/{self.args.lesson}"
        say(f"page     {url}")
        say(f"library  {self.library}/api/v1/recordings")
        say(f"rtsp     {self.rtsp}")
        say(f"ws       {self.ws}")
        say(f"demo: the library in a browser is at {self.page}/#/library; recordings go to {self.data}")
        if self.args.browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(url)
        return begun

    def run(self):
        begun = self.begin()
        if self.args.duration:
            say(f"demo: the lesson ends after {self.args.duration:g} s")
            end = begun + self.args.duration
        else:
            say("demo: Ctrl-C ends the lesson")
            end = float("inf")
        while time.monotonic() < end:
            for program in self.programs:
                if program is not self.capture or program.process.poll():
                    program.check()
            if not self.capture.running():
                return  # a file is over
            time.sleep(min(0.2, max(0.0, end - time.monotonic())))

    def finish(self):
        """Sender first, so that all it sent is recorded; then the lesson, then the servers."""
        if self.capture and self.capture.stop() != 0:
            raise self.capture.trouble("did not end well")
        if self.id:
            get(f"{self.page}/api/v1/lessons/{self.id}/end", "POST")
            closed = wait(lambda: self.is_closed(), [self.recorder], CLOSE_S,
                          "the recording is not closed")
            folder = next(self.data.glob(f"lessons/*/*/{self.id}"), self.data)
            say(f"demo: recorded {closed['duration_s']:.1f} s in {folder}")
        for program in (self.recorder, self.relay):
            if program and program.stop() != 0:
                raise program.trouble("did not end well")

    def is_closed(self):
        recording = self.recording()
        return recording if recording and recording["state"] == "closed" else None

    def clear(self, keep_logs):
        for program in self.programs:
            program.kill()
        if keep_logs:
            say(f"demo: the logs are in {self.logs}")
        else:
            shutil.rmtree(self.logs, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(prog="tools/demo", usage="tools/demo --help", allow_abbrev=False)
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", default="test")
    parser.add_argument("--slides")
    for field in FIELDS:
        parser.add_argument(f"--{field}")
    parser.add_argument("--lesson", default="demo")
    parser.add_argument("--duration", type=float)
    parser.add_argument("--data")
    parser.add_argument("--no-browser", dest="browser", action="store_false")
    args = parser.parse_args()
    if args.duration is not None and not 0 < args.duration <= 86400:
        parser.error("--duration: must be above 0 and at most 86400 seconds")
    if args.source == "test":
        args.slides = args.slides or "test"
        args.title = args.title or "同课测试课"
    return args


def on_signal(number, _frame):
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)  # a second time ends at once
    raise Told(signal.Signals(number).name)


def main():
    demo = Demo(arguments())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    status = 0
    try:
        try:
            demo.run()
        except Told as told:
            say(f"demo: {told}: ending the lesson")
        demo.finish()
    except (Trouble, Told) as trouble:
        print(f"demo: {trouble}", file=sys.stderr, flush=True)
        status = 1
    finally:
        demo.clear(keep_logs=status != 0)
    return status


if __name__ == "__main__":
    sys.exit(main())
