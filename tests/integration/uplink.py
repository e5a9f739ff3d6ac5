# SPDX-License-Identifier: MIT
"""A line between a capture and its relay that a test can cut and mend: TCP, passed on byte by byte."""

import contextlib
import socket
import threading


class Uplink:
    def __init__(self, cleanup, port):
        self.target = port
        self.lock = threading.Lock()
        self.up = True
        self.pairs = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        cleanup(self.close)

    def url(self, lesson):
        return f"rtsp://127.0.0.1:{self.port}/{lesson}"

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                if not self.up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.target))
                self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        with contextlib.suppress(OSError):
            while part := one.recv(65536):
                other.sendall(part)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        one.close()

    def cut(self):
        """Ends what is connected; nothing gets through until it is mended."""
        with self.lock:
            self.up = False
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        with self.lock:
            self.up = True

    def close(self):
        self.cut()
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
