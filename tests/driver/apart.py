# SPDX-License-Identifier: MIT
"""Runs a command in a network of its own, where that is allowed: a port that was free, or that a
program has had before, is nobody else's there."""

import ctypes
import fcntl
import os
import socket
import struct
import sys

NEW_NET = 0x40000000  # of unshare(2)
SET_FLAGS, UP = 0x8914, 1  # of netdevice(7)


def main():
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NET) == 0:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
