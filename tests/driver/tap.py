# SPDX-License-Identifier: MIT
"""The Test Anything Protocol as our tests speak it: cmocka, node:test and our own Python."""

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"^(?P<indent>\s*)(?P<verdict>not ok|ok)\b\s*\d*\s*-?\s*(?P<rest>.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\b")


@dataclass
class Failure:
    name: str
    lines: list = field(default_factory=list)  # all that was said about it


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    def fail(self, name, lines=()):
        self.failed += 1
        self.failures.append(Failure(name, list(lines)))

    def add(self, other, prefix=""):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += [Failure(prefix + f.name, f.lines) for f in other.failures]

    @property
    def total(self):
        return self.passed + self.failed + self.skipped


class Reader:
    """Counts the leaves: a result that has indented results above it only sums them up."""

    def __init__(self, on_case=None):
        self.counts = Counts()
        self.plan = None
        self.top_level = 0
        self.open = []  # (indent, leaves, failed leaves) of blocks whose parent is still to come
        self.on_case = on_case or (lambda verdict, name, note: None)
        self.said = []  # since the last result: it may be about the next one
        self.explained = None  # the failure that what comes now is about

    def line(self, text):
        plan = PLAN.match(text)
        if plan:
            self.plan = int(plan.group(1))
            return
        result = RESULT.match(text)
        if not result or result.group("rest").startswith("- "):
            (self.said if self.explained is None else self.explained.lines).append(text)
            return
        failed_before = self.counts.failed
        self._result(result)
        self.explained = None
        if self.counts.failed > failed_before:
            self.explained = self.counts.failures[-1]
            self.explained.lines += [*self.said, text]
        self.said = []

    def _result(self, result):
        indent = len(result.group("indent").expandtabs(4))
        if indent == 0:
            self.top_level += 1
        children = failed_children = 0
        while self.open and self.open[-1][0] > indent:
            _, more, more_failed = self.open.pop()
            children += more
            failed_children += more_failed
        good = result.group("verdict") == "ok"
        name, _, directive = result.group("rest").partition(" # ")
        if children == 0:
            self._leaf(good, name, directive)
        elif not good and failed_children == 0:
            self.counts.fail(name)  # the block failed by itself, as in its set-up
            self.on_case("not ok", name, directive)
        leaves, failed = max(children, 1), failed_children if children else int(not good)
        if self.open and self.open[-1][0] == indent:
            _, more, more_failed = self.open.pop()
            leaves, failed = leaves + more, failed + more_failed
        self.open.append((indent, leaves, failed))

    def _leaf(self, good, name, note):
        if note.upper().startswith(("SKIP", "TODO")):
            self.counts.skipped += 1
            self.on_case("skip", name, note)
        elif good:
            self.counts.passed += 1
            self.on_case("ok", name, note)
        else:
            self.counts.fail(name)
            self.on_case("not ok", name, note)

    def finish(self, exit_status):
        """What the program did not say itself: it died, or fell silent before its plan was done."""
        missing = self.plan is None or self.plan != self.top_level
        if self.counts.failed == 0 and (exit_status != 0 or missing):
            what = f"exit status {exit_status}" if exit_status else "not all of its tests were run"
            self.counts.fail(what, self.said[-200:])
        return self.counts
