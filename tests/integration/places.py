# SPDX-License-Identifier: MIT
"""Places that see each other only by lines that a test makes: network namespaces, and tongke-line
between them. Needs the right to make namespaces and tun devices; `possible` says so."""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

from tongke import BUILD, DEADLINE_S, Program

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
LINE = BUILD / "tests" / "line" / "tongke-line"


def possible():
    made = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    return made and os.access("/dev/net/tun", os.R_OK | os.W_OK)


def _bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


class Here:
    """The place of the test itself, for one end of a wire."""

    pid = os.getpid()


class Place:
    def __init__(self, cleanup):
        self.holder = Program(cleanup, ["unshare", "-n", "sh", "-c", "echo here; exec sleep infinity"])
        self.holder.wait_line("^here$")
        self.call(_bring_loopback_up)

    @property
    def pid(self):
        return self.holder.pid

    def inside(self, command):
        """The command that runs another one there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]

    def call(self, function, *arguments):
        """What the function gives there; sockets that it opens stay there."""
        result = {}

        def work():
            try:
                with open(f"/proc/{self.pid}/ns/net", "rb") as space:
                    if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function(*arguments)
            except Exception as error:  # pylint: disable=broad-exception-caught
                result["error"] = error

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(DEADLINE_S * 10)
        if "error" in result:
            raise result["error"]
        return result["value"]


class Wire:
    """A line between two places; `near` and `far` are the addresses at its ends."""

    made = 0

    def __init__(self, cleanup, one, other, *, seed=1, instead=None, **settings):
        """`instead` of a wire that was closed: the same near end, another address at the far one."""
        Wire.made += 1
        net, host = (instead.net, instead.host + 1) if instead else (Wire.made % 250, 2)
        self.net, self.host = net, host
        self.near, self.far = f"10.77.{net}.1", f"10.77.{net}.{host}"
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [LINE, str(one.pid), self.near, str(other.pid), self.far, str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cleanup(self.close)
        if self.process.stdout.readline().strip() != "ready":
            raise AssertionError("tongke-line did not begin")
        self.set(**settings)

    def _say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def set(self, **settings):
        """loss (per cent), burst, delay (ms, one way), rate (kbit/s), buffer (KiB)."""
        for name, value in settings.items():
            if self._say(f"{name} {value}") != ["ok"]:
                raise AssertionError(f"the line knows no {name}")

    def count(self):
        """Packets passed, lost and refused by a full buffer: from near to far, and back."""
        numbers = [int(word) for word in self._say("count")[1:]]
        return numbers[:3], numbers[3:]

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
