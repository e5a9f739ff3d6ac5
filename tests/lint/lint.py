# SPDX-License-Identifier: MIT
"""Runs every check on the tree, and every check on trees that it must refuse. Speaks TAP."""

import inspect
import pathlib
import sys
import tempfile

import checks
from samples import BROKEN, SOUND
from tree import Tree

ROOT = pathlib.Path(__file__).resolve().parents[2]


def all_checks():
    found = [f for _, f in inspect.getmembers(checks, inspect.isgeneratorfunction)]
    return sorted(found, key=lambda f: f.__code__.co_firstlineno)


def planted(files):
    """A tree of these files; it lasts as long as the folder that is returned with it."""
    folder = tempfile.TemporaryDirectory()
    for path, text in files.items():
        place = pathlib.Path(folder.name) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder, Tree(folder.name)


def self_test(check):
    samples = BROKEN.get(check, [])
    if not samples:
        yield "no sample shows that it can fail"
    for files in samples:
        folder, tree = planted(files)
        with folder:
            if not list(check(tree)):
                yield f"passed over {sorted(files)}"
    folder, tree = planted(SOUND)
    with folder:
        for complaint in check(tree):
            yield f"refuses a sound tree: {complaint}"


def main():
    tree = Tree(ROOT)
    todo = [(check.__name__, lambda c=check: c(tree)) for check in all_checks()]
    todo += [(f"{check.__name__} can fail", lambda c=check: self_test(c)) for check in all_checks()]
    bad = False
    print(f"1..{len(todo)}", flush=True)
    for number, (name, run) in enumerate(todo, 1):
        complaints = list(run())
        bad = bad or bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {name.replace('_', ' ')}", flush=True)
        for complaint in complaints[:50]:
            print(f"# {complaint}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
