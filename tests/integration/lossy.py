# SPDX-License-Identifier: MIT
"""A bad line between an RTSP client and a relay: RTP and RTCP lose packets and take their time, by a
seed, or pass a narrow place with a small buffer; RTSP itself passes whole, but for the ports that it
names."""

import heapq
import random
import re
import select
import socket
import struct
import threading
import time

LOCAL = "127.0.0.1"
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
HEADERS = 28  # IPv4 and UDP


class Line:
    """Takes its time from the start and loses from `bad` on. `loss`: of each direction; `burst`:
    packets lost in a row; `delay_s`: one way. `rate_bps`, `buffer_bytes`: what passes to the client,
    and what may wait for it; `spilt` counts what found no room."""

    def __init__(self, relay_port, *, loss=0.0, burst=1, delay_s=0.0, seed=1, rate_bps=None,
                 buffer_bytes=0):
        self.relay_port, self.loss, self.burst, self.delay_s = relay_port, loss, burst, delay_s
        self.rate_bps, self.buffer_bytes = rate_bps, buffer_bytes
        self.free_at = 0.0  # when all that entered the narrow place has left it
        self.spilt = 0
        self.random = random.Random(seed)
        self.losing = {}  # direction -> packets still to lose
        self.lost = self.passed = 0
        self.bad = False  # not yet
        self.tracks = []  # pairs of sockets; client's and relay's ports of each
        self.waiting, self.count = [], 0
        self.lock = threading.Lock()
        self.listener = socket.create_server((LOCAL, 0))
        self.port = self.listener.getsockname()[1]
        self.wake_in, self.wake_out = socket.socketpair()
        self.open = True
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.accept, self.carry)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.open = False
        self.listener.shutdown(socket.SHUT_RDWR)
        self.wake_out.send(b".")
        for thread in self.threads:
            thread.join(10)
        self.listener.close()
        for track in self.tracks:
            for sock in track["sockets"]:
                sock.close()
        self.wake_in.close()
        self.wake_out.close()

    # RTSP

    def accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            relay = socket.create_connection((LOCAL, self.relay_port))
            pending = []  # tracks whose SETUP is under way
            for words in ((client, relay, self.ask, pending), (relay, client, self.answer, pending)):
                threading.Thread(target=self.talk, args=words, daemon=True).start()

    def talk(self, source, sink, change, pending):
        data = b""
        with source:
            while True:
                try:
                    piece = source.recv(65536)
                except OSError:
                    piece = b""
                if not piece:
                    break
                data += piece
                while b"\r\n\r\n" in data and data[:1] != b"$":
                    head, rest = data.split(b"\r\n\r\n", 1)
                    length = re.search(rb"(?mi)^Content-Length: *(\d+)", head)
                    size = int(length[1]) if length else 0
                    if len(rest) < size:
                        break
                    sink.sendall(change(head, pending) + b"\r\n\r\n" + rest[:size])
                    data = rest[size:]
            try:
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def ask(self, head, pending):
        found = re.search(rb"client_port=(\d+)-(\d+)", head)
        if not found:
            return head
        pair = self.pair()
        for sock in pair:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        track = {"sockets": pair, "client": (int(found[1]), int(found[2])), "relay": None}
        pending.append(track)
        ports = tuple(s.getsockname()[1] for s in track["sockets"])
        track["ports"] = ports
        with self.lock:
            self.tracks.append(track)
        self.wake_out.send(b".")
        return head.replace(found[0], b"client_port=%d-%d" % ports)

    def answer(self, head, pending):
        found = re.search(rb"server_port=(\d+)-(\d+)", head)
        if not found or not pending:
            return head
        track = pending.pop(0)
        track["relay"] = (int(found[1]), int(found[2]))
        head = re.sub(rb"client_port=\d+-\d+", b"client_port=%d-%d" % track["client"], head)
        return head.replace(found[0], b"server_port=%d-%d" % track["ports"])

    @staticmethod
    def pair():
        while True:
            first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            first.bind((LOCAL, 0))
            port = first.getsockname()[1]
            second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                if port % 2 == 0:
                    second.bind((LOCAL, port + 1))
                    return first, second
            except OSError:
                pass
            first.close()
            second.close()

    # RTP and RTCP

    def loses(self, direction):
        if not self.bad:
            return False
        if self.losing.get(direction):
            self.losing[direction] -= 1
            return True
        if self.random.random() < self.loss / self.burst:
            self.losing[direction] = self.burst - 1
            return True
        return False

    def squeeze(self, size, came_at):
        """How long a packet takes through the narrow place, or None. By the kernel's time of its
        coming: a test that is late makes no queue."""
        if self.rate_bps is None:
            return 0.0
        queued = max(0.0, self.free_at - came_at) * self.rate_bps / 8
        if queued + size + HEADERS > self.buffer_bytes:
            self.spilt += 1
            return None
        self.free_at = max(self.free_at, came_at) + (size + HEADERS) * 8 / self.rate_bps
        return self.free_at - time.time()

    def take(self, track, index):
        sock = track["sockets"][index]
        data, ancillary, _, source = sock.recvmsg(65536, 64)
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
        to_client = track["relay"] is not None and source[1] == track["relay"][index]
        target = track["client"] if to_client else track["relay"]
        if target is None or self.loses(to_client):
            self.lost += 1
            return
        wait_s = self.squeeze(len(data), seconds + nanoseconds / 1e9) if to_client else 0.0
        if wait_s is None:
            return
        self.passed += 1
        self.count += 1
        due = time.monotonic() + max(0.0, wait_s) + self.delay_s
        heapq.heappush(self.waiting, (due, self.count, sock, data, target[index]))

    def carry(self):
        while self.open:
            with self.lock:
                places = {s: (t, i) for t in self.tracks for i, s in enumerate(t["sockets"])}
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, sock, data, port = heapq.heappop(self.waiting)
                try:
                    sock.sendto(data, (LOCAL, port))
                except OSError:
                    pass  # nobody listens there any longer
            patience = max(0.0, self.waiting[0][0] - now) if self.waiting else None
            ready, _, _ = select.select([self.wake_in, *places], [], [], patience)
            for sock in ready:
                if sock is self.wake_in:
                    sock.recv(1)
                    continue
                try:
                    self.take(*places[sock])
                except OSError:
                    pass  # an ICMP answer to what was sent before
