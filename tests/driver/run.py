# SPDX-License-Identifier: MIT
"""Builds and runs every kind of test; the last line is `N passed, N failed`."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "driver"))

from tap import RESULT, Counts, Reader  # noqa: E402

PLAIN = ROOT / "build-test"
SANITIZED = ROOT / "build-sanitize"
FUZZED = ROOT / "build-fuzz"
IN_CI = os.environ.get("CI") == "true"
KIND_MAX_S = 900  # against a hang only

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:fast_unwind_on_malloc=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={ROOT}/tests/data/lsan.supp:print_suppressions=0",
    "G_SLICE": "always-malloc",
}


def say(text):
    print(text, flush=True)


def stream(command, on_line, env=None, cwd=ROOT, limit_s=KIND_MAX_S):
    """Runs `command`, hands over each line as it comes, and returns the exit status."""
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        text=True, errors="replace", start_new_session=True)

    def stop():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    timer = threading.Timer(limit_s, stop)
    timer.start()
    try:
        for line in process.stdout:
            on_line(line.rstrip("\n"))
        return process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            stop()


class Progress:
    """A tail of what a step said, shown only when it fails."""

    def __init__(self, title):
        self.title, self.tail, self.began = title, [], time.monotonic()
        say(f"== {title}")

    def line(self, text):
        self.tail = (self.tail + [text])[-60:]

    def end(self, good):
        if not good:
            for text in self.tail:
                say(f"   {text}")
        say(f"== {self.title}: {'done' if good else 'FAILED'} "
            f"({time.monotonic() - self.began:.0f} s)")
        return good


def build(folder, *options):
    progress = Progress(f"building {folder.name}")
    options = [f"-Dwerror={'true' if IN_CI else 'false'}", *options]
    # A folder from another source tree or of other options is set up afresh, not guessed at.
    fresh = [] if (folder / "build.ninja").exists() else None
    command = ["meson", "setup", *options, folder, ROOT]
    if fresh is not None:
        command.insert(2, "--reconfigure")
    status = stream(command, progress.line)
    if status == 0:
        last = [0.0]

        def on_line(text):
            progress.line(text)
            if text.startswith("[") and time.monotonic() - last[0] > 10:
                last[0] = time.monotonic()
                say(f"   {text.split(']')[0]}]")

        status = stream(["ninja", "-C", folder], on_line)
    return progress.end(status == 0)


def meson_suite(folder, suite, env=None):
    """The tests that meson knows of in one suite, each with its own cases."""
    counts = Counts()
    listed = json.loads(subprocess.run(["meson", "introspect", "--tests", str(folder)], check=True,
                                       capture_output=True, text=True).stdout)
    names = [t for t in listed if any(s.split(":")[-1] == suite for s in t["suite"])]
    if not names:
        return counts
    protocols = {t["name"]: t["protocol"] for t in names}
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    status = stream(["meson", "test", "-C", folder, "--no-rebuild", "--suite", suite,
                     "--print-errorlogs", "--timeout-multiplier", "4" if env else "2"],
                    lambda text: say(f"   {text}") if text.strip() else None, env)
    for line in log.read_text(errors="replace").splitlines() if log.exists() else []:
        entry = json.loads(line)
        name = entry["name"].split(" / ")[-1]
        good = entry["result"] in ("OK", "EXPECTEDFAIL")
        if protocols.get(name) == "tap":
            reader = Reader()
            for text in entry.get("stdout", "").splitlines():
                reader.line(text)
            one = reader.finish(name, entry.get("returncode", 1))
            if not good and one.failed == 0:
                one.fail(f"{name}: {entry['result']}")
            one.failures = [f"{name}: {case}" for case in one.failures]
        else:
            one = Counts(passed=1) if good else Counts()
            if not good:
                one.fail(f"{name}: {entry['result']}")
        protocols.pop(name, None)
        counts.add(one)
    for name in protocols:
        counts.fail(f"{name}: was not run")
    if status != 0 and counts.failed == 0:
        counts.fail(f"suite {suite}: exit status {status}")
    return counts


def tap_program(name, command, env=None, cwd=ROOT):
    notes = []
    explained = [False]  # what follows a failure explains it: our comments, or node:test's YAML

    def on_case(verdict, case):
        explained[0] = verdict == "not ok"
        say(f"   {verdict:6} {case}")

    reader = Reader(on_case)

    def on_line(text):
        reader.line(text)
        notes.append(text)
        if explained[0] and not RESULT.match(text):
            say(f"          {text.strip()}")
            explained[0] = text.strip() != "..."

    status = stream(command, on_line, env, cwd)
    known = reader.counts.failed
    counts = reader.finish(name, status)
    if counts.failed > known:
        for text in notes[-40:]:
            say(f"          {text}")
    counts.failures = [f"{name}: {case}" for case in counts.failures]
    return counts


def python_cases(folder, build_folder, env=None):
    where = ROOT / "tests" / folder
    if not list(where.glob("test_*.py")):
        return Counts()
    return tap_program(folder, [sys.executable, "tests/driver/pytests.py", where],
                       {"TONGKE_BUILD": str(build_folder), **(env or {})})


def node_cases(folder, env=None):
    counts = Counts()
    where = ROOT / "tests" / folder
    for path in sorted(p for p in where.glob("*.test.*") if p.suffix in (".js", ".mjs")):
        counts.add(tap_program(f"{folder}/{path.name}",
                               ["node", "--test-reporter=tap", path.name], env, where))
    return counts


def lint(_folder):
    return tap_program("lint", [sys.executable, "tests/lint/lint.py"])


def integration(folder, env=None):
    return python_cases("integration", folder, env)


def browser(folder):
    counts = node_cases("browser", {"TONGKE_BUILD": str(folder)})
    counts.add(python_cases("browser", folder))
    return counts


def sanitize(_folder):
    counts = Counts()
    for suite in ("unit", "sim", "fuzz"):
        counts.add(meson_suite(SANITIZED, suite, SANITIZER_ENV))
    counts.add(integration(SANITIZED, SANITIZER_ENV))
    return counts


def driver(_folder):
    return python_cases("driver", PLAIN)


# kind: what runs it, whether --quick has it, which build it needs
KINDS = {
    "driver": (driver, True, None),
    "lint": (lint, True, None),
    "unit": (lambda folder: meson_suite(folder, "unit"), True, PLAIN),
    "sim": (lambda folder: meson_suite(folder, "sim"), True, PLAIN),
    "fuzz": (lambda folder: meson_suite(folder, "fuzz"), True, PLAIN),
    "page": (lambda _folder: node_cases("unit/web"), True, None),
    "integration": (integration, False, PLAIN),
    "browser": (browser, False, PLAIN),
    "sanitize": (sanitize, False, SANITIZED),
}


def run_kind(kind):
    begun = time.monotonic()
    say(f"== {kind}")
    counts = KINDS[kind][0](KINDS[kind][2])
    if counts.total == 0:
        counts.fail(f"{kind}: there is no test of this kind")
    say(f"== {kind}: {counts.passed} passed, {counts.failed} failed"
        f" ({time.monotonic() - begun:.0f} s)")
    return counts


def explore(seconds):
    """libFuzzer, each target in turn; what it finds is kept under build-fuzz/findings."""
    counts = Counts()
    findings = FUZZED / "findings"
    findings.mkdir(exist_ok=True)
    for corpus in sorted((ROOT / "tests" / "fuzz" / "corpus").iterdir()):
        target = FUZZED / "tests" / "fuzz" / f"fuzz-{corpus.name}"
        grown = FUZZED / "grown" / corpus.name
        grown.mkdir(parents=True, exist_ok=True)
        progress = Progress(f"libFuzzer {corpus.name}, {seconds} s")
        status = stream([target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
                         f"-artifact_prefix={findings}/{corpus.name}-", grown, corpus],
                        progress.line, SANITIZER_ENV, limit_s=seconds + 120)
        if progress.end(status == 0):
            counts.passed += 1
        else:
            counts.fail(f"libFuzzer {corpus.name}")
    return counts


def arguments():
    parser = argparse.ArgumentParser(usage="tools/test --help")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=list(KINDS), default=[])
    parser.add_argument("--fuzz", type=int, metavar="SECONDS")
    return parser.parse_args()


def run_all(args):
    counts = Counts()
    kinds = args.only or [kind for kind in KINDS if KINDS[kind][1] or not args.quick]
    needed = {KINDS[kind][2] for kind in kinds}
    failed_builds = set()
    for folder, options in ((PLAIN, ["-Dpage=enabled"]),
                            (SANITIZED, ["-Db_sanitize=address,undefined"])):
        if folder in needed and not build(folder, *options):
            failed_builds.add(folder)
            counts.fail(f"building {folder.name}")
    for kind in kinds:
        if KINDS[kind][2] not in failed_builds:
            counts.add(run_kind(kind))
    if args.fuzz:
        os.environ["CC"] = "clang"
        if build(FUZZED, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"):
            counts.add(explore(args.fuzz))
        else:
            counts.fail(f"building {FUZZED.name}")
    return counts


def main():
    args = arguments()
    begun = time.monotonic()
    try:
        counts = run_all(args)
    except Exception as error:  # the last line must come whatever happens
        import traceback
        traceback.print_exc()
        counts = Counts()
        counts.fail(f"the driver itself: {error}")
    for name in counts.failures:
        say(f"FAILED {name}")
    say(f"== {time.monotonic() - begun:.0f} s in all")
    last = f"{counts.passed} passed, {counts.failed} failed"
    say(last + (f", {counts.skipped} skipped" if counts.skipped else ""))
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
