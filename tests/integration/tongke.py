# SPDX-License-Identifier: MIT
"""The real programs, started on free ports and stopped by their process ids."""

import contextlib
import ctypes
import functools
import http.client
import json
import os
import pathlib
import queue
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TONGKE_BUILD", ROOT / "build")).resolve()
MEDIA = ROOT.parent / "shared" / "media"  # real footage; not everybody has it
DEADLINE_S = 100  # against a hang only: nothing here is measured by time
IN_CHANGES = 0x2 | 0x80 | 0x100 | 0x200  # inotify(7): modify, moved to, create, delete
REPORT_LINES = 80  # of the first of a sanitizer's
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")


class Deadline:
    def __init__(self, seconds=DEADLINE_S):
        self.at = time.monotonic() + seconds

    def left(self):
        return max(0.0, self.at - time.monotonic())

    def over(self):
        return time.monotonic() >= self.at


def wait_below(folder, holds):
    """Until `holds()` gives something, asked again whenever a file below `folder` changes."""
    libc = ctypes.CDLL(None, use_errno=True)
    deadline, watched = Deadline(), set()
    with os.fdopen(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as events:
        while True:
            for place in {folder, *(p for p in folder.rglob("*") if p.is_dir())} - watched:
                libc.inotify_add_watch(events.fileno(), os.fsencode(place), IN_CHANGES)
                watched.add(place)
            found = holds()
            if found or deadline.over():
                return found
            select.select([events], [], [], deadline.left())
            events.read(65536)


class Program:
    """A process of ours: its lines are kept, and it is never left behind."""

    living = []

    def __init__(self, cleanup, command, env=None, cwd=None):
        self.command = [str(part) for part in command]
        self.name = pathlib.Path(self.command[0]).name
        Program.living.append(self)
        self.out, self.err = [], []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}, cwd=cwd, text=True,
            errors="replace")
        self.readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err), daemon=True)]
        for reader in self.readers:
            reader.start()
        cleanup(self.kill)

    def _read(self, pipe, lines):
        for line in pipe:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        pipe.close()
        with self.changed:
            self.changed.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def wait_line(self, pattern, lines=None, after=0):
        """The match of the first line that `pattern` is found in, from line `after` on."""
        lines = self.out if lines is None else lines
        deadline, expression = Deadline(), re.compile(pattern)
        with self.changed:
            while True:
                for line in lines[after:]:
                    found = expression.search(line)
                    if found:
                        return found
                after = len(lines)
                ended = not any(reader.is_alive() for reader in self.readers)
                if ended or deadline.over():
                    why = "ended" if ended else "is silent"
                    raise AssertionError(f"no line with {pattern!r}: {self.name} {why}\n{self.tail()}")
                self.changed.wait(min(deadline.left(), 1.0))

    def wait_log(self, pattern, after=0):
        return self.wait_line(pattern, self.err, after)

    def tail(self, count=30):
        return "\n".join([" ".join(self.command)] + self.out[-count:] + self.err[-count:])

    def wait(self, seconds=DEADLINE_S):
        """The exit status, once all it said has been read."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end\n{self.tail()}") from None
        for reader in self.readers:
            reader.join(DEADLINE_S)
        return status

    def stop(self, expected=0, by=signal.SIGTERM):
        """Asks it to end, and holds it to the status and to silence of the sanitizers."""
        if self.running():
            self.process.send_signal(by)
        status = self.wait()
        if status != expected:
            self.check_clean()
            raise AssertionError(f"{self.name}: exit status {status}, not {expected}\n{self.tail(60)}")
        self.check_clean()
        Program.living.remove(self)
        return status

    def stop_if_running(self):
        """For the end of a test: a server that serves still must end well, too."""
        if self in Program.living:
            self.stop()

    def check_clean(self):
        for number, line in enumerate(self.err):
            if SANITIZER.search(line):
                report = "\n".join(self.err[number:number + REPORT_LINES])
                raise AssertionError(f"{self.name}: {report}\n{self.tail(80)}")

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        if self in Program.living:
            Program.living.remove(self)
        for reader in self.readers:
            reader.join(DEADLINE_S)


def run(command, seconds=DEADLINE_S, env=None, cwd=None):
    """Runs to the end; gives (status, standard output, standard error)."""
    try:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=seconds,
                              env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}, check=False,
                              cwd=cwd)
    except subprocess.TimeoutExpired as hung:
        around = "\n".join(program.tail() for program in Program.living)
        raise AssertionError(f"{hung}\n{hung.stderr}\n{around}") from None
    return done.returncode, done.stdout, done.stderr


def assignments(values):
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


class Relay(Program):
    def __init__(self, cleanup, settings=None, env=None, place=None):
        values = {"rtsp.port": 0, "rtsp.rtp_port": 0, "web.port": 0, **(settings or {})}
        command = [BUILD / "relay" / "tongke-relay", *assignments(values)]
        super().__init__(cleanup, place.inside(command) if place else command, env)
        port = r" (\S+):(\d+)$"
        self.rtsp_port = int(self.wait_line("^listening rtsp" + port)[2])
        self.rtp_port = int(self.wait_line("^listening rtp" + port)[2])
        self.http_port = int(self.wait_line("^listening http" + port)[2])
        self.url = f"http://127.0.0.1:{self.http_port}"
        cleanup(self.stop_if_running)

    def ws(self, path):
        return f"ws://127.0.0.1:{self.http_port}{path}"

    def rtsp(self, path):
        return f"rtsp://127.0.0.1:{self.rtsp_port}/{path}"

    def get(self, path, token=None):
        return request("GET", self.url + path, token=token).json()

    def lesson(self, word):
        return self.get(f"/api/v1/lessons/{word}")

    def metric(self, name):
        return self.metrics(name)[0]

    def metrics(self, *names):
        """Several, as they are at one moment."""
        text = request("GET", self.url + "/metrics").text()
        found = [re.search(rf"^tongke_{re.escape(name)} (\d+)$", text, re.M) for name in names]
        if None in found:
            raise AssertionError(f"no metric {names[found.index(None)]} in\n{text}")
        return [int(one[1]) for one in found]


class Recorder(Program):
    def __init__(self, cleanup, relay_url, data, settings=None, place=None):
        values = {"http.port": 0, "relay.url": relay_url, "archive.data": data,
                  # Whoever runs tests has the room that they need.
                  "disk.reserve_mb": 0, "disk.lesson_mb": 1, **(settings or {})}
        command = [BUILD / "recorder" / "tongke-recorder", *assignments(values)]
        super().__init__(cleanup, place.inside(command) if place else command)
        port = int(self.wait_line(r"^listening http \S+:(\d+)$")[1])
        self.url = f"http://127.0.0.1:{port}"
        cleanup(self.stop_if_running)

    def get(self, path, token=None):
        return request("GET", self.url + path, token=token).json()

    def playlist(self, recording_id, stream="main", token=None):
        """The address of a stream's playlist."""
        recording = self.get(f"/api/v1/recordings/{recording_id}", token)
        return self.url + next(s["playlist"] for s in recording["streams"] if s["name"] == stream)


def segments(playlist):
    """The addresses that a playlist of that address names, with its initialisation segments."""
    text = request("GET", playlist).text()
    names = re.findall(r'#EXT-X-MAP:URI="([^"]+)"|^([^#\n].*)$', text, re.M)
    return [urllib.parse.urljoin(playlist, first or second) for first, second in names]


def capture(cleanup, relay, lesson, *options, **kwargs):
    return Program(cleanup, [BUILD / "client" / "capture" / "tongke-capture", "--relay",
                          relay.rtsp(lesson), "--keep", "none", *options], **kwargs)


def ctl(*arguments, env=None):
    return run([BUILD / "client" / "ctl" / "tongkectl", *arguments], env=env)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def request(method, url, body=None, token=None, headers=None):
    parts = urllib.parse.urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    sent = dict(headers or {})
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        sent.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def temporary(cleanup):
    folder = tempfile.TemporaryDirectory(prefix="tongke-test-")
    cleanup(folder.cleanup)
    return pathlib.Path(folder.name)


@functools.lru_cache(maxsize=None)
def _clips():
    """Where films are kept: tools/test gives a folder for all that run at the same time."""
    if "TONGKE_CLIPS" in os.environ:
        return pathlib.Path(os.environ["TONGKE_CLIPS"])
    import atexit
    folder = tempfile.TemporaryDirectory(prefix="tongke-clips-")
    atexit.register(folder.cleanup)
    return pathlib.Path(folder.name)


def _film(name, *words):
    """What ffmpeg makes of `words`, once for all who ask for that name."""
    path = _clips() / f"{name}.mp4"
    if path.exists():
        return path
    unfinished = path.with_suffix(f".{os.getpid()}.mp4")
    status, _, text = run(["ffmpeg", "-v", "error", *words, "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "1",
                           unfinished])
    if status:
        raise AssertionError(f"ffmpeg made no film: {text}")
    unfinished.rename(path)
    return path


def clip(seconds=20, b_frames=2, fps=25, bitrate=None):
    """A film of a moving test picture and a tone: H.264 with B-frames and AAC."""
    rate = [] if bitrate is None else ["-vf", "noise=alls=60:allf=t", "-b:v", bitrate]
    return _film(
        f"clip-{seconds}-{b_frames}-{fps}-{bitrate}", "-f", "lavfi", "-i",
        f"testsrc2=size=320x180:rate={fps}", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-t", str(seconds), *rate, "-c:v", "libx264", "-preset", "veryfast", "-bf", str(b_frames), "-g",
        str(fps))


def even(size, kbps, seconds=20):
    """A film of an even rate, for renditions()."""
    rate = f"{kbps}k"
    return _film(
        f"even-{size}-{kbps}-{seconds}", "-f", "lavfi", "-i",
        f"testsrc2=size={size}:rate=25,noise=alls=12:allf=t", "-f", "lavfi", "-i",
        "sine=frequency=440:sample_rate=48000", "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast",
        "-tune", "zerolatency", "-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", "50",
        "-keyint_min", "50", "-sc_threshold", "0", "-b:a", "40k")


def renditions(films, url):
    """The command that publishes even() films as streams of one lesson: what of an encoder's moves with
    all that the processor has to do besides. `films`: stream → what even() needs."""
    inputs = [part for film in films.values() for part in ("-re", "-stream_loop", "-1", "-i", even(*film))]
    outputs = [part for number, stream in enumerate(films)
               for part in ("-map", str(number), "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "rtsp",
                            "-rtsp_transport", "tcp", url(stream))]
    return ["ffmpeg", "-nostdin", "-v", "warning", *inputs, *outputs]


def from_film():
    """What tells a capture to send a film as it is: no encoder that has to wait leaves out pictures.
    Longer than any test looks at it."""
    return "--source", clip(120, 0), "--loop", "--copy", "always"


def lecture(seconds=40):
    """A board that never changes beside a small moving picture: 1.2 Mbit/s, with a keyframe of
    100 kB every 2 s."""
    return _film(
        f"lecture-{seconds}", "-f", "lavfi", "-i", "color=gray:s=480x360:r=30,noise=alls=60", "-f", "lavfi",
        "-i", "testsrc2=s=336x192:r=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-filter_complex", "[0][1]overlay[v]", "-map", "[v]", "-map", "2:a", "-t", str(seconds), "-c:v",
        "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60", "-sc_threshold", "0", "-qp",
        "24", "-x264-params", "ip-factor=1")


def publish(cleanup, relay, path, *, transport="tcp", loop=True, film=None, output=()):
    """ffmpeg publishes a film in real time, bit for bit."""
    return Program(cleanup, ["ffmpeg", "-nostdin", "-v", "warning", "-re",
                          *(["-stream_loop", "-1"] if loop else []), "-i", film or clip(), "-c", "copy",
                          *output, "-f", "rtsp", "-rtsp_transport", transport, relay.rtsp(path)])


class Mailbox:
    """What a thread reads, for another to wait for."""

    def __init__(self):
        self.queue = queue.Queue()

    def put(self, item):
        self.queue.put(item)

    def get(self):
        try:
            return self.queue.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError("nothing came any more") from None
