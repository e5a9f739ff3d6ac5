# SPDX-License-Identifier: MIT
"""An RTSP client that can be as rude as a test needs."""

import socket

from tongke import DEADLINE_S, Deadline


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Rtsp:
    def __init__(self, cleanup, relay, receive_bytes=None):
        self.relay = relay
        self.socket = socket.create_connection(("127.0.0.1", relay.rtsp_port), DEADLINE_S)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        cleanup(self.socket.close)
        self.buffer = b""
        self.cseq = 0
        self.session = None

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Whether the relay still takes it."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def is_closed(self):
        """Waits for the relay to close; what it says before is passed over."""
        deadline = Deadline()
        try:
            while self.socket.recv(65536):
                if deadline.over():
                    return False
        except ConnectionResetError:
            pass
        return True  # a time-out is an error of its own

    def frame(self):
        """The next interleaved frame with its four bytes of head."""
        while len(self.buffer) < 4:
            self._more()
        size = 4 + int.from_bytes(self.buffer[2:4], "big")
        while len(self.buffer) < size:
            self._more()
        frame, self.buffer = self.buffer[:size], self.buffer[size:]
        return frame

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed by the relay")
        self.buffer += piece

    def read_reply(self):
        """The next reply; interleaved media before it is passed over."""
        while True:
            while len(self.buffer) < 4:
                self._more()
            if self.buffer[:1] != b"$":
                break
            size = 4 + int.from_bytes(self.buffer[2:4], "big")
            while len(self.buffer) < size:
                self._more()
            self.buffer = self.buffer[size:]
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        while len(self.buffer) < size:
            self._more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Reply(int(first.split()[1]), headers, body.decode())

    def ask(self, method, path="", headers=None, body="", url=None):
        self.request(method, path, headers, body, url)
        return self.answer()

    def request(self, method, path="", headers=None, body="", url=None):
        self.cseq += 1
        lines = [f"{method} {url or self.relay.rtsp(path)} RTSP/1.0", f"CSeq: {self.cseq}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if self.session:
            lines.append(f"Session: {self.session}")
        if body:
            lines += [f"Content-Length: {len(body.encode())}"]
        self.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def answer(self):
        reply = self.read_reply()
        if reply.headers.get("cseq") != str(self.cseq):
            raise AssertionError(f"CSeq {reply.headers.get('cseq')} answers {self.cseq}")
        if reply.status == 200 and "session" in reply.headers:
            self.session = reply.headers["session"].split(";")[0]
        return reply


def sdp(*media, title="x"):
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 127.0.0.1", f"s={title}", "c=IN IP4 127.0.0.1", "t=0 0",
                        *media, ""])


H264 = ("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1"
        "\r\na=control:streamid=0")
H265 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:streamid=0"
