# SPDX-License-Identifier: MIT
"""The page that tests/fault/shim.c shares with the harness."""

import mmap
import os
import pathlib
import struct
import uuid

import tongke

SHIM = tongke.BUILD / "tests" / "fault" / "libtongke-fault.so"
NAMES = ("space_bytes", "fail_syncs", "fail_writes", "wall_offset_ns", "failed", "steps",
         "die_at")


class Control:
    """One program's disk and clock; attributes are the page's members."""

    def __init__(self, place: pathlib.Path, folder=None, trace=False):
        self.path = place / "control"
        self.trace = place / "trace" if trace else None
        self.path.write_bytes(bytes(8 * len(NAMES)))
        with open(self.path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 8 * len(NAMES))
        self.set("space_bytes", -1)
        boot = place / "boot"
        boot.write_text(f"{uuid.uuid4()}\n")
        self.env = {"LD_PRELOAD": str(SHIM), "TONGKE_FAULT_CONTROL": str(self.path),
                    "TONGKE_FAULT_BOOT": str(boot)}
        if folder:
            self.env["TONGKE_FAULT_FOLDER"] = os.fspath(folder)
        if trace:
            self.env["TONGKE_FAULT_TRACE"] = str(self.trace)

    def set(self, name, value):
        struct.pack_into("<q", self.page, 8 * NAMES.index(name), value)

    def get(self, name):
        return struct.unpack_from("<q", self.page, 8 * NAMES.index(name))[0]
