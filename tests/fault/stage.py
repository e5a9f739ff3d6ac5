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

NAME = "math"


class Stage:
    """A relay, a sender and a reference; all of it is gone when `close` is called."""

    def __init__(self, settings=None, env=None, lesson_id=None):
        self.stack = contextlib.ExitStack()
        self.place = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tongke-fault-")))
        self.settings, self.env = settings or {}, env
        self.cleanup = self.stack.callback
        self.references = []
        self.relay = tongke.Relay(self.cleanup, self.settings, self.env)
        if lesson_id:
            self.sender = tongke.capture(self.cleanup, self.relay, NAME, "--size", "320x180",
                                         "--lesson-id", lesson_id)
        else:
            self.sender = tongke.publish(self.cleanup, self.relay, NAME)
        self.follow()
        self.id = self.relay.lesson(NAME)["id"]

    def follow(self):
        self.references.append(Reference(self.cleanup, self.relay, NAME))
        self.reference.wait(1)

    @property
    def reference(self):
        return self.references[-1]

    def end(self):
        """The lesson is over: what was given out is all there will be."""
        self.sender.process.terminate()
        self.sender.wait()
        tongke.request("POST", f"{self.relay.url}/api/v1/lessons/{self.id}/end")
        for one in self.references:
            one.thread.join(tongke.DEADLINE_S)

    def close(self):
        self.stack.close()


class Recorder(tongke.Program):
    """A recorder whose disk and clock `control` rules; it need not have come up yet."""

    def __init__(self, stage, data, url=None, control=None, ready=True):
        self.data, self.stage = data, stage
        settings = {"http.port": 0, "relay.url": url or stage.relay.url, "archive.data": data,
                    "record.posters": "false", "disk.reserve_mb": 0, "disk.lesson_mb": 1}
        super().__init__(stage.cleanup, [tongke.BUILD / "recorder" / "tongke-recorder",
                                         *tongke.assignments(settings)],
                         control.env if control else None)
        if ready:
            port = int(self.wait_line(r"^listening http \S+:(\d+)$")[1])
            self.url = f"http://127.0.0.1:{port}"

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
    """A way to the relay that can be cut: connections end and none is taken, or all falls silent."""

    def __init__(self, stage):
        self.to = ("127.0.0.1", stage.relay.http_port)
        self.gate = threading.Event()
        self.gate.set()
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
            if self.refusing:
                near.close()
                continue
            far = socket.create_connection(self.to)
            self.open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                self.gate.wait()
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self, silent):
        if silent:
            self.gate.clear()
            return
        self.refusing = True
        gone, self.open = self.open, []
        for end in gone:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.refusing = False
        self.gate.set()

    def close(self):
        self.gate.set()
        self.listener.close()
        for end in self.open:
            end.close()
