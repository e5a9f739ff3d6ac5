# SPDX-License-Identifier: MIT
"""What a power cut may leave of a folder, from the trace that tests/fault/shim.c wrote.

What was synced is there. Of the rest any part may be: pages of a file in any subset, its length
anywhere between, what is missing inside as zeros; names of files in the order in which they were
made, up to any of them. Names are certain once their folder was synced. The catalogue
(library.sqlite) is not traced and so never there.
"""

import os
import pathlib
import struct

RECORD = struct.Struct("<IIQqq")
PAGE = 4096


def records(path):
    """(kind, inode, time_ns, at, payload) as they happened; a torn last one is left out."""
    data, at = path.read_bytes(), 0
    while at + RECORD.size <= len(data):
        size, kind, inode, time_ns, where = RECORD.unpack_from(data, at)
        at += RECORD.size
        if at + size > len(data):
            return
        yield chr(kind), inode, time_ns, where, data[at:at + size]
        at += size


def seed_trace(data, control):
    """A trace that begins with what is there, all of it durable."""
    with open(control.trace, "wb") as trace:
        def put(kind, inode, at, payload):
            trace.write(RECORD.pack(len(payload), ord(kind), inode, 0, at) + payload)
        for path in [data, *sorted(data.rglob("*"))]:
            if path.is_dir():
                put("M", 0, 0, str(path).encode())
            else:
                inode = path.stat().st_ino
                put("C", inode, 0, str(path).encode())
                put("W", inode, 0, path.read_bytes())
                put("S", inode, 0, str(path).encode())
            put("S", 0, 0, str(path.parent).encode())


class File:
    def __init__(self):
        self.durable = bytearray()
        self.pending = []  # ("W", at, bytes) or ("T", size, b"")

    @staticmethod
    def do(data, kind, at, payload):
        if kind == "T":
            del data[at:]
            data.extend(bytes(at - len(data)))
        else:
            data.extend(bytes(max(0, at - len(data))))
            data[at:at + len(payload)] = payload

    def sync(self):
        for change in self.pending:
            self.do(self.durable, *change)
        self.pending = []

    def after_cut(self, random):
        """What of it may be there: all, a part of the pages, or nothing of what was not synced."""
        data = bytearray(self.durable)
        how = random.choice(("none", "pages", "torn"))
        if how == "none" or not self.pending:
            return bytes(data)
        for kind, at, payload in self.pending[:random.randint(1, len(self.pending))]:
            if kind == "T":
                self.do(data, kind, at, payload)
            elif how == "torn":
                self.do(data, kind, at, payload[:random.randint(0, len(payload))])
            else:
                for begin in range(at - at % PAGE, at + len(payload), PAGE):
                    first, last = max(begin, at), min(begin + PAGE, at + len(payload))
                    piece = payload[first - at:last - at]
                    self.do(data, kind, first, piece if random.random() < 0.5 else bytes(len(piece)))
        return bytes(data)


def move(names, old, new):
    """A folder takes with it what is in it."""
    for path in [path for path in names if path == old or path.startswith(old + "/")]:
        names[new + path[len(old):]] = names.pop(path)


class Disk:
    """The folder as the trace tells it, up to some moment."""

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        self.files = {}  # inode → File
        self.names, self.durable_names = {}, {}  # path → inode; None: a folder
        self.pending = []  # changes of names that no sync has made certain: (folder, change)

    def _name(self, path, change):
        self.pending.append((os.path.dirname(path), change))
        change(self.names)

    def take(self, kind, inode, at, payload):
        text = payload.decode() if kind in "CSRUM" else ""
        if kind == "C":
            self.files[inode] = File()
            self._name(text, lambda names: names.update({text: inode}))
        elif kind == "M":
            self._name(text, lambda names: names.update({text: None}))
        elif kind == "U":
            self._name(text, lambda names: names.pop(text, None))
        elif kind == "R":
            old, new = text.split("\n")
            self._name(new, lambda names: move(names, old, new))
        elif kind == "S" and inode in self.files:
            self.files[inode].sync()
        elif kind == "S":
            self._folder_synced(text)
        elif inode in self.files:
            self.files[inode].pending.append((kind, at, payload))

    def _folder_synced(self, path):
        path = path.rstrip("/")
        left = []
        for where, change in self.pending:
            if where == path:
                change(self.durable_names)
            else:
                left.append((where, change))
        self.pending = left

    def cut(self, place, random):
        """Writes what a power cut now may leave to `place`."""
        names = dict(self.durable_names)
        for _, change in self.pending[:random.randint(0, len(self.pending))]:
            change(names)
        for path in sorted(names):
            target = pathlib.Path(place, os.path.relpath(path, self.folder))
            if names[path] is None:
                target.mkdir(parents=True, exist_ok=True)
            elif os.path.dirname(path) == self.folder or os.path.dirname(path) in names:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.files[names[path]].after_cut(random))
