# SPDX-License-Identifier: MIT
"""What the relay gave out: every piece of a stream, kept by a viewer of our own."""

import json
import struct
import threading
import time
import zlib

import websocket


def sequence_of(piece):
    at = piece.index(b"mfhd")
    return struct.unpack_from(">I", piece, at + 8)[0]


def decode_time(piece):
    """(track, ticks) of the first run."""
    track = struct.unpack_from(">I", piece, piece.index(b"tfhd") + 8)[0]
    at = piece.index(b"tfdt")
    wide = piece[at + 4] == 1
    return track, struct.unpack_from(">Q" if wide else ">I", piece, at + 8)[0]


class Reference:
    """Follows one stream of one relay until it is closed. `moments` and `sums` go by sequence."""

    def __init__(self, cleanup, relay, lesson, token=None):
        self.socket = websocket.WebSocket(cleanup, relay.ws(f"/live/{lesson}/main?from=1"), token)
        self.sums, self.media_s, self.moments = {}, {}, {}
        self.scales, self.newest, self.why = {}, 0, None
        self.more = threading.Condition()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                kind, data = self.socket.next()
                if kind == websocket.CLOSE:
                    return
                if kind == websocket.TEXT:
                    message = json.loads(data)
                    if message["type"] == "init":
                        self.scales = {int(k): v for k, v in message["timescale"].items()}
                    if message["type"] == "gap":
                        raise AssertionError("the reference itself missed chunks")
                elif data[4:8] != b"ftyp":
                    self._take(data)
        except (OSError, ConnectionError, AssertionError) as error:
            self.why = str(error)
        finally:
            with self.more:
                self.thread_over = True
                self.more.notify_all()

    def _take(self, piece):
        sequence, (track, ticks) = sequence_of(piece), decode_time(piece)
        with self.more:
            self.sums[sequence] = zlib.crc32(piece)
            self.media_s[sequence] = ticks / self.scales[track]
            self.moments[sequence] = time.monotonic()
            self.newest = sequence
            self.more.notify_all()

    def wait(self, count):
        """Until so many chunks more have come: a lesson's own clock."""
        with self.more:
            until = self.newest + count
            while self.newest < until:
                if not self.more.wait(30):
                    raise AssertionError(f"the lesson stands still at chunk {self.newest}: {self.why}")

    def wait_s(self, seconds):
        """Until chunks have come for so many seconds. Not of media time: a film that begins anew may
        leap in that."""
        until = time.monotonic() + seconds
        while self.moments[self.newest] < until:
            self.wait(1)

    def length_s(self, sequences):
        """Seconds of media in these chunks."""
        after = {s: self.media_s.get(s + 1, self.media_s[s] + 0.1) for s in sequences}
        return sum(max(0.0, after[s] - self.media_s[s]) for s in sequences)
