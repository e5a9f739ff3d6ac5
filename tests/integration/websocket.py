# SPDX-License-Identifier: MIT
"""A WebSocket client (RFC 6455) over a plain socket, as a stranger would write one."""

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import struct
import urllib.parse

from tongke import DEADLINE_S, Deadline

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f"no WebSocket: HTTP {status}")
        self.status = status


class WebSocket:
    def __init__(self, cleanup, url, token=None, receive_bytes=None, patience_s=DEADLINE_S):
        parts = urllib.parse.urlsplit(url)
        self.patience_s = patience_s
        self.socket = socket.socket()
        cleanup(self.socket.close)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(self.patience_s)
        self.socket.connect((parts.hostname, parts.port))
        self.buffer = b""
        self.closed = None  # the close code
        self._shake_hands(parts, token)

    def _shake_hands(self, parts, token):
        key = base64.b64encode(os.urandom(16)).decode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.hostname}:{parts.port}",
                 "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                 "Sec-WebSocket-Version: 13"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            raise Refused(status)
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest())
        if b"sec-websocket-accept: " + accept.lower() not in head.lower():
            raise AssertionError(f"wrong Sec-WebSocket-Accept in {head!r}")

    def _more(self):
        self.socket.settimeout(self.patience_s)
        try:
            piece = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError("the WebSocket fell silent") from None
        if not piece:
            raise ConnectionError("the connection ended without a close frame")
        self.buffer += piece

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _frame(self):
        first, second = self._take(2)
        if first & 0x70 or second & 0x80:
            raise AssertionError("a reserved bit, or a masked frame from a server")
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return bool(first & 0x80), first & 0x0F, self._take(size)

    def send(self, opcode, data=b"", final=True):
        mask = os.urandom(4)
        head = bytes([(0x80 if final else 0) | opcode])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        elif len(data) < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(data))
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def send_json(self, value):
        self.send(TEXT, json.dumps(value).encode())

    def next(self):
        """(opcode, bytes) of the next whole message; (CLOSE, code) at the end."""
        kind, data, deadline = None, b"", Deadline()
        while True:
            if deadline.over():
                raise AssertionError("nothing but pings comes any more")
            final, opcode, piece = self._frame()
            if opcode == CLOSE:
                self.closed = struct.unpack(">H", piece[:2])[0] if len(piece) >= 2 else 1005
                with contextlib.suppress(OSError):
                    self.send(CLOSE, piece[:2])
                return CLOSE, self.closed
            if opcode == PING:
                self.send(PONG, piece)
            elif opcode in (TEXT, BINARY, 0):
                if (opcode == 0) == (kind is None):
                    raise AssertionError("a continuation without a beginning, or two beginnings")
                kind, data = kind or opcode, data + piece
                if final:
                    return kind, data

    def waiting(self):
        """Whether something has come that next() would give."""
        return bool(self.buffer or select.select([self.socket], [], [], 0)[0])

    def next_json(self):
        kind, data = self.next()
        if kind != TEXT:
            raise AssertionError(f"a text was due, not {kind} {data[:40] if kind == BINARY else data}")
        return json.loads(data)

    def wait_json(self, wanted):
        """The first text that `wanted` is true of; media in between is passed over."""
        deadline = Deadline()
        while not deadline.over():
            kind, data = self.next()
            if kind == CLOSE:
                raise AssertionError(f"closed with {data}")
            if kind == TEXT:
                value = json.loads(data)
                if wanted(value):
                    return value
        raise AssertionError("the text that was waited for did not come")

    def next_binary(self):
        deadline, said = Deadline(), None
        while not deadline.over():
            kind, data = self.next()
            if kind == CLOSE:
                raise AssertionError(f"closed with {data}")
            if kind == BINARY:
                return data
            said = data
        raise AssertionError(f"no media; the relay's last word: {said}")

    def drain(self):
        """All messages until the close; gives the code."""
        deadline = Deadline()
        while not deadline.over():
            kind, data = self.next()
            if kind == CLOSE:
                return data
        raise AssertionError("the WebSocket is not closed")

    def close(self):
        with contextlib.suppress(OSError):
            self.send(CLOSE, struct.pack(">H", 1000))
        self.socket.close()


def boxes(data, begin=0, end=None):
    """(type, first byte of its content, end) of the boxes that stand one behind the other."""
    end = len(data) if end is None else end
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8 or begin + size > end:
            raise AssertionError(f"a box of {size} bytes in {end - begin}")
        yield kind.decode(), begin + 8, begin + size
        begin += size


class Chunk:
    """What the boxes of a chunk say: number, media time of each track, capture time."""

    def __init__(self, data):
        self.types = [kind for kind, _, _ in boxes(data)]
        self.times = {}  # track -> decode time in its timescale
        self.number = None
        self.captured_ns = None
        self.samples = {}  # track -> its samples' bytes, in order
        self.spans = {}  # track -> their durations in its timescale
        for kind, begin, end in boxes(data):
            if kind == "prft":
                seconds, fraction = struct.unpack_from(">II", data, begin + 8)
                self.captured_ns = seconds * 10**9 + (fraction * 10**9 >> 32)
            elif kind == "moof":
                self._read_moof(data, begin, end)

    def _read_run(self, data, at, track, moof):
        flags, count, offset = struct.unpack_from(">III", data, at)
        at += 12 + (4 if flags & 4 else 0)
        width = 4 * bin(flags & 0xF00).count("1")  # a duration and a size are ever among them
        place = moof - 8 + offset
        for index in range(count):
            span, size = struct.unpack_from(">II", data, at + index * width)
            self.samples.setdefault(track, []).append(data[place:place + size])
            self.spans.setdefault(track, []).append(span)
            place += size

    def timed(self, track):
        """Its samples, each with its decode time."""
        at = self.times.get(track)
        for sample, span in zip(self.samples.get(track, []), self.spans.get(track, [])):
            yield at, sample
            at += span

    def _read_moof(self, data, begin, end):
        for kind, at, stop in boxes(data, begin, end):
            if kind == "mfhd":
                self.number = struct.unpack_from(">I", data, at + 4)[0]
            elif kind == "traf":
                track = None
                for inner, place, _ in boxes(data, at, stop):
                    if inner == "tfhd":
                        track = struct.unpack_from(">I", data, place + 4)[0]
                    elif inner == "tfdt":
                        wide = data[place] == 1
                        self.times[track] = struct.unpack_from(">Q" if wide else ">I", data,
                                                               place + 4)[0]
                    elif inner == "trun":
                        self._read_run(data, place, track, begin)


def is_init(data):
    return data[4:8] == b"ftyp"
