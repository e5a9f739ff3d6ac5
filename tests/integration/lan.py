# SPDX-License-Identifier: MIT
"""Networks of a test's own."""

import ctypes
import os
import subprocess
import unittest

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # of unshare(2)
RELAY_HOST = "10.85.0.1"


def ip(words, inside=()):
    subprocess.run([*inside, "ip", *words.split()], check=True)


def enter_lan():
    """This process, and what it starts, has a network of its own from here on."""
    root, user, group = os.geteuid() == 0, os.geteuid(), os.getegid()
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(NEW_NET if root else NEW_USER | NEW_NET) != 0:
        raise unittest.SkipTest(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    if not root:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    ip("link set lo up")


class Room:
    """Another host in the relay's LAN, by a cable of its own: on the loopback a receiver would hear
    its own reports and take itself for another."""

    def __init__(self, cleanup):
        # Ends with this process, whose end of the pipe is closed then.
        self.host = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; cat"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cleanup(self.close)
        self.host.stdout.readline()
        self.inside = ["nsenter", "--target", str(self.host.pid), "--net"]
        ip(f"link add lan type veth peer name room netns {self.host.pid}")
        ip(f"address add {RELAY_HOST}/24 dev lan")
        ip("link set lan up")
        for words in ("link set lo up", "address add 10.85.0.2/24 dev room", "link set room up",
                      "route add 224.0.0.0/4 dev room"):
            ip(words, self.inside)

    def close(self):
        self.host.communicate()
