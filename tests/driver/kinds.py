# SPDX-License-Identifier: MIT
"""The kinds of tests, the builds they need, and how each form of test is run and counted."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from process import ROOT, stream
from tap import RESULT, Counts, Reader
from tasks import Task

TESTS = ROOT / "tests"
ALONE = "tools/test: alone"  # in a comment of a test file, with the reason after it
# What such a file asks of the relay it asks in real time, and sanitizers make it twice as slow; the
# simulations take the relay's core and fan-out through the same with them.
REAL_TIME = "tools/test: in real time"
APART = (sys.executable, TESTS / "driver" / "apart.py")  # whole programs have a network of their own
NICE = 10  # compilers and fuzzers give way to the tests that watch running programs

# The stacks of all allocations cost most of the time: they are walked as far as lsan.supp needs it.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:fast_unwind_on_malloc=0:malloc_context_size=14",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={TESTS}/data/lsan.supp:print_suppressions=0",
    "G_SLICE": "always-malloc",
}


@dataclass(frozen=True)
class Build:
    name: str
    options: tuple = ()
    targets: tuple = ()  # all, if none is named
    env: dict = field(default_factory=dict, hash=False)  # for the programs that it makes

    @property
    def folder(self):
        return ROOT / f"build-{self.name}"


# Here libraries keep nothing that would have to be suppressed, and the allocations are millions.
FUZZ_ENV = {**SANITIZER_ENV, "ASAN_OPTIONS": "detect_stack_use_after_return=1"}
# The simulation counts what it is given out itself.
SIM_ENV = {**SANITIZER_ENV, "ASAN_OPTIONS": "detect_stack_use_after_return=1:detect_leaks=0"}

PLAIN = Build("test", ("-Dpage=enabled",))
SANITIZED = Build("sanitize", ("-Db_sanitize=address,undefined",), env=SANITIZER_ENV)
# Only what has threads: the relay, a crowd for it, the own tests of what they share.
THREADED = Build("threads", ("-Db_sanitize=thread", "-Db_lundef=false", "-Dpage=disabled"),
                 ("relay/tongke-relay", "tests/bench/tongke-load",
                  *(f"tests/unit/relay/test-relay-{name}" for name in ("mailbox", "schools", "share"))),
                 # GLib's slices pass between threads under locks that the sanitizer does not see.
                 {"G_SLICE": "always-malloc"})
FUZZED = Build("fuzz", ("-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"),
               env=FUZZ_ENV)


def build(which, say, env=None):
    counts, tail = Counts(), []
    # A folder from another source tree or of other options is set up afresh, not guessed at.
    fresh = [] if not (which.folder / "build.ninja").exists() else ["--reconfigure"]
    werror = f"-Dwerror={'true' if os.environ.get('CI') == 'true' else 'false'}"
    for command in (["meson", "setup", *fresh, werror, *which.options, which.folder, ROOT],
                    ["ninja", "-C", which.folder, *which.targets]):
        if stream(command, tail.append, env, nice=NICE) != 0:
            for text in tail[-60:]:
                say(f"   {text}")
            counts.fail(f"building {which.folder.name}", tail[-60:])
            break
    return counts


def meson_suite(name, which, suite, say, env=None):
    """The tests that meson knows of in one suite, each with its own cases."""
    counts = Counts()
    listed = json.loads(subprocess.run(["meson", "introspect", "--tests", str(which.folder)],
                                       check=True, capture_output=True, text=True).stdout)
    names = [t for t in listed if any(s.split(":")[-1] == suite for s in t["suite"])]
    if not names:
        return counts
    protocols = {t["name"]: t["protocol"] for t in names}
    logs = which.folder / "meson-logs"
    log = logs / f"testlog-{suite}.json"
    log.unlink(missing_ok=True)
    status = stream(["meson", "test", "-C", which.folder, "--no-rebuild", "--suite", suite,
                     "--logbase", f"testlog-{suite}", "--timeout-multiplier", "10"],
                    lambda text: say(f"   {text}") if " / " in text else None, env or which.env,
                    nice=NICE)
    for line in log.read_text(errors="replace").splitlines() if log.exists() else []:
        entry = json.loads(line)
        test = entry["name"].split(" / ")[-1]
        one = meson_test(test, entry, protocols.pop(test, None))
        for failure in one.failures:
            for text in failure.lines:
                say(f"          {text}")
        counts.add(one, f"{name} ")
    for test in protocols:
        counts.fail(f"{name} {test}: was not run")
    if status != 0 and counts.failed == 0:
        counts.fail(f"{name}: exit status {status}")
    return counts


def meson_test(name, entry, protocol):
    good = entry["result"] in ("OK", "EXPECTEDFAIL")
    aside = entry.get("stderr", "").splitlines()
    if protocol != "tap":
        one = Counts(passed=1) if good else Counts()
        if not good:
            one.fail(f"{name}: {entry['result']}", entry.get("stdout", "").splitlines() + aside)
        return one
    reader = Reader()
    for text in entry.get("stdout", "").splitlines():
        reader.line(text)
    one, counts = reader.finish(entry.get("returncode", 1)), Counts()
    if not good and one.failed == 0:
        one.fail(f"{name}: {entry['result']}")
    if one.failures:
        one.failures[0].lines += aside
    counts.add(one, f"{name}: ")
    return counts


def tap_program(name, command, say, env=None, cwd=ROOT, nice=0):
    """What a program says of each of its cases; what it says of a failure is told as well."""
    def on_case(verdict, case, note):
        say(f"   {verdict:6} {case}" + (f"  ({note})" if note and note != "0 s" else ""))

    reader, silent = Reader(on_case), True

    def on_line(text):
        nonlocal silent
        failed = reader.explained is not None
        reader.line(text)
        if RESULT.match(text):
            silent = reader.explained is None
        elif failed and not silent:
            say(f"          {text.strip()}")
            silent = text.strip() == "..."  # the end of node:test's YAML

    status = stream(command, on_line, env, cwd, nice=nice)
    known = reader.counts.failed
    done, counts = reader.finish(status), Counts()
    for failure in done.failures[known:]:
        for text in failure.lines:
            say(f"          {text}")
    counts.add(done, f"{name}: ")
    return counts


def program_task(kind, name, command, needs=None, env=None, cwd=ROOT, path=None, **more):
    """One TAP program as a task; a test file says itself whether it has to be alone."""
    nice = NICE if more.get("busy") else 0
    return Task(name, kind, lambda say: tap_program(name, command, say, env, cwd, nice), needs,
                alone=bool(path) and ALONE in path.read_text(), key=str(path or ""), **more)


def file_tasks(kind, folder, which=None, needs=None, **more):
    """A task for each test file of a folder, the largest first: they tend to take longest."""
    env = {**which.env, "TONGKE_BUILD": str(which.folder)} if which else {}
    prefix = "" if kind == folder else f"{kind} "
    files = [*(TESTS / folder).glob("*.test.*js"), *(TESTS / folder).glob("test_*.py")]
    for path in sorted(files, key=lambda path: (-path.stat().st_size, path)):
        command = [sys.executable, TESTS / "driver" / "pytests.py", path]
        if path.suffix != ".py":
            command = ["node", "--test-reporter=tap", path.name]
        if which:
            command = [*APART, *command]
        yield program_task(kind, f"{prefix}{folder}/{path.name}", command, needs, env, path.parent,
                           path, **more)


def suite_task(kind, suite, which, needs, env=None):
    name = kind if kind == suite else f"{kind} {suite}"
    return Task(name, kind, lambda say: meson_suite(name, which, suite, say, env), needs, busy=True)


@dataclass
class Kind:
    build: Build      # what it needs, if anything
    tasks: Callable   # gives its tasks, from its build and the task that makes that
    quick: bool = False


def sanitized(which, built):
    for suite, env in (("unit", None), ("sim", SIM_ENV), ("fuzz", FUZZ_ENV)):
        yield suite_task("sanitize", suite, which, built, env)
    yield from (task for task in file_tasks("sanitize", "integration", which, built)
                if REAL_TIME not in Path(task.key).read_text())


# In the order in which they are told; a new kind is a row here and one in tools/test.
KINDS = {
    "driver": Kind(None, lambda which, built: file_tasks("driver", "driver"), True),
    "lint": Kind(None, lambda which, built: [program_task(
        "lint", "lint", [sys.executable, "tests/lint/lint.py"], busy=True)], True),
    "unit": Kind(PLAIN, lambda which, built: [suite_task("unit", "unit", which, built)], True),
    "sim": Kind(PLAIN, lambda which, built: [suite_task("sim", "sim", which, built)], True),
    "fuzz": Kind(PLAIN, lambda which, built: [suite_task("fuzz", "fuzz", which, built)], True),
    "page": Kind(None, lambda which, built: file_tasks("page", "unit/web"), True),
    "integration": Kind(PLAIN, lambda which, built: file_tasks("integration", "integration", which,
                                                               built)),
    "fault": Kind(PLAIN, lambda which, built: [program_task(
        "fault", "faults of the recorder", [
            *APART, sys.executable, "tests/fault/run.py", "--quick", "--tap", "--build", which.folder],
        built, lanes=2)]),
    "browser": Kind(PLAIN, lambda which, built: file_tasks("browser", "browser", which, built,
                                                           lanes=2)),
    "sanitize": Kind(SANITIZED, sanitized),
    "threads": Kind(THREADED, lambda which, built: file_tasks("threads", "threads", which, built)),
}


def plan(kinds, files=()):
    """The tasks of these kinds and the builds they need; of these files only, if any is named."""
    builds, ordered = {}, []
    for kind in kinds:
        which = KINDS[kind].build
        maker = builds.get(which) or (which and Task(
            f"building {which.folder.name}", "build", lambda say, which=which: build(which, say),
            busy=True))
        found = [task for task in KINDS[kind].tasks(which, maker) if not files or task.key in files]
        if not found and not files:
            found = [Task(kind, kind, lambda say, kind=kind: nothing(kind))]
        if found and maker and which not in builds:
            # The first begins at once; the next ones while tests of the first are waiting.
            ordered.insert(len(ordered) if builds else 0, maker)
            builds[which] = maker
        ordered += found
    return ordered


def nothing(kind):
    counts = Counts()
    counts.fail(f"{kind}: there is no test of this kind")
    return counts
