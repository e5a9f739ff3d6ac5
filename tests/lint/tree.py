# SPDX-License-Identifier: MIT
"""The source tree as the checks see it."""

import functools
import os
import pathlib
import re

SKIPPED_FOLDERS = re.compile(r"^(build.*|node_modules|__pycache__|\.git|\.cache|dist|corpus)$")
TEXT_SUFFIXES = {".c", ".h", ".py", ".js", ".jsx", ".mjs", ".ts", ".css", ".html", ".md", ".sh",
                 ".build", ".txt", ".conf", ".in", ".sysusers", ".json", ".yaml", ".yml", ".svg", ".supp",
                 ".1", ".5", ".8"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)

    @functools.cached_property
    def paths(self):
        found = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(f for f in folders if not SKIPPED_FOLDERS.match(f))
            for name in files:
                relative = (pathlib.Path(folder) / name).relative_to(self.root).as_posix()
                found.append(relative)
        return sorted(found)

    def matching(self, *suffixes, under=""):
        return [p for p in self.paths if p.startswith(under) and p.endswith(suffixes)]

    @functools.cached_property
    def texts(self):
        """Everything that people write and read: by suffix, or a script by its first line."""
        found = []
        for path in self.paths:
            suffix = pathlib.PurePosixPath(path).suffix
            if suffix in TEXT_SUFFIXES:
                found.append(path)
            elif path == "Dockerfile" or self.is_script(path):
                found.append(path)
        return found

    def is_script(self, path):
        named = "." in path.rsplit("/", 1)[-1]
        return not named and (self.root / path).open("rb").read(2) == b"#!"

    @functools.lru_cache(maxsize=None)
    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def exists(self, path):
        return (self.root / path).exists()

    def includes(self, path):
        """(line number, '<' or '"', name) of each include."""
        text = self.read(path)
        return [(text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))
                for m in INCLUDE.finditer(text)]

    def code(self, path):
        """The file without comments and text constants, lines kept."""
        pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
        return re.sub(pattern, lambda m: "\n" * m.group(0).count("\n"), self.read(path), flags=re.S)
