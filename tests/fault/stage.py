# SPDX-License-Identifier: MIT
"""A lesson on the air, and recorders that faults are done to."""

import contextlib
import pathlib
import socket
import tempfile
import threading

import tongke
from control import Control
from reference import Reference
from test_door import Key

NAME = "math"


class Stage:
    """A relay, a sender and a reference; all of it is gone when `close` is called.

    keeps: the sender keeps a copy in `copies`. locked: whoever comes needs a token, so that the
    relay may be reached from other places."""

    def __init__(self, settings=None, env=None, lesson_id=None, keeps=False, locked=False):
        self.stack = contextlib.ExitStack()
        self.place = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tongke-fault-")))
        self.settings, self.env = settings or {}, env
        self.cleanup = self.stack.callback
        self.references, self.copies = [], self.place / "copies"
        self.key = Key(self.place) if locked else None
        if locked:
            self.settings |= {"auth.key_file": self.key.path, "web.listen": "0.0.0.0"}
        self.relay = tongke.Relay(self.cleanup, self.settings, self.env)
        words = ["--lesson-id", lesson_id] if lesson_id else []
        words += ["--keep", self.copies, "--deliver-for", "0"] if keeps else []
        if words or locked:
            self.sender = tongke.capture(self.cleanup, self.relay, NAME, "--size", "320x180", *words,
                                         env={"TONGKE_TOKEN": self.token("sender") or ""})
        else:
            self.sender = tongke.publish(self.cleanup, self.relay, NAME)
        self.follow()
        self.id = self.relay.get(f"/api/v1/lessons/{NAME}", self.token("viewer"))["id"]

    def token(self, role):
        return self.key.token(role) if self.key else None

    def follow(self):
        self.references.append(Reference(self.cleanup, self.relay, NAME, self.token("viewer")))
        self.reference.wait(1)

    @property
    def reference(self):
        return self.references[-1]

    def end(self):
        """The lesson is over: what was given out is all there will be."""
        self.sender.process.terminate()
        self.sender.wait()
        tongke.request("POST", f"{self.relay.url}/api/v1/lessons/{self.id}/end",
                       token=self.token("admin"))
        for one in self.references:
            one.thread.join(tongke.DEADLINE_S)

    def close(self):
        self.stack.close()


class Recorder(tongke.Program):
    """A recorder whose disk and clock `control` rules; it need not have come up yet."""

    def __init__(self, stage, data, url=None, control=None, ready=True, place=None, port=0):
        self.data, self.stage = data, stage
        settings = {"http.port": port, "relay.url": url or stage.relay.url, "archive.data": data,
                    "record.posters": "false", "disk.reserve_mb": 0, "disk.lesson_mb": 1}
        if stage.key:
            token_file = data.parent / "token"
            token_file.write_text(stage.token("recorder"))
            settings["relay.token_file"] = token_file
        command = [tongke.BUILD / "recorder" / "tongke-recorder", *tongke.assignments(settings)]
        super().__init__(stage.cleanup, place.inside(command) if place else command,
                         control.env if control else None)
        if ready:
            self.port = int(self.wait_line(r"^listening http \S+:(\d+)$")[1])
            self.url = f"http://127.0.0.1:{self.port}"

    def wait_flow(self):
        """Until chunks come in."""
        self.wait_log(r"state \S+ -> recording")



def place_for(stage, name):
    place = stage.place / name
    place.mkdir()
    return place


def controlled(stage, name, trace=False):
    """(folder for a library, the control over who works there)"""
    place = place_for(stage, name)
    return place / "data", Control(place, place / "data", trace)


class Line:
    """A way to the relay that can be shut."""

    def __init__(self, stage):
        self.to = ("127.0.0.1", stage.relay.http_port)
        self.lock = threading.Lock()
        self.refusing = False
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        stage.cleanup(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.refusing:
                    near.close()
                    continue
                far = socket.create_connection(self.to)
                self.open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def refuse(self):
        """Ends all connections and takes none."""
        with self.lock:
            self.refusing = True
            gone, self.open = self.open, []
        for end in gone:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def take(self):
        with self.lock:
            self.refusing = False

    def close(self):
        self.refuse()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
