# SPDX-License-Identifier: MIT
"""Builds and runs every kind of test; the last line is `N passed, N failed`."""

import argparse
import os
import pathlib
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "driver"))

from excerpt import excerpts  # noqa: E402
from kinds import FUZZED, KINDS, PLAIN, build, plan  # noqa: E402
from process import stream  # noqa: E402
from tap import Counts  # noqa: E402
from tasks import Schedule  # noqa: E402


def say(text):
    print(text, flush=True)


def explore(seconds):
    """libFuzzer, each target in turn; what it finds is kept under build-fuzz/findings."""
    counts = build(FUZZED, say, {"CC": "clang"})
    if counts.failed:
        return counts
    findings = FUZZED.folder / "findings"
    findings.mkdir(exist_ok=True)
    for corpus in sorted((ROOT / "tests" / "fuzz" / "corpus").iterdir()):
        target = FUZZED.folder / "tests" / "fuzz" / f"fuzz-{corpus.name}"
        grown, said = FUZZED.folder / "grown" / corpus.name, []
        grown.mkdir(parents=True, exist_ok=True)
        say(f"== libFuzzer {corpus.name}, {seconds} s")
        status = stream([target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
                         f"-artifact_prefix={findings}/{corpus.name}-", grown, corpus],
                        said.append, FUZZED.env, limit_s=seconds + 120)
        if status == 0:
            counts.passed += 1
        else:
            counts.fail(f"libFuzzer {corpus.name}", said[-60:])
    return counts


def arguments():
    parser = argparse.ArgumentParser(usage="tools/test --help")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=list(KINDS), default=[])
    parser.add_argument("--jobs", type=int, default=max(2, min(4, 2 * (os.cpu_count() or 1) - 1)))
    parser.add_argument("--fuzz", type=int, metavar="SECONDS")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    for name in args.files:
        if not pathlib.Path(name).is_file():
            parser.error(f"no such test file: {name}")
    return args


def tell(failure, lines):
    say(f"== FAILED {failure.name}")
    for text in lines:
        say(f"   {text}")


def summary(tasks, counts):
    """All that is known of each failure, a row for each kind, and once more what matters of the failures
    and their names, in as much as the end of a log may hold."""
    kept = excerpts(counts.failures)
    for failure, lines in zip(counts.failures, kept):
        if lines != failure.lines:
            tell(failure, failure.lines)
    say("== kind             passed   failed   seconds, of all its tasks")
    for kind in dict.fromkeys(task.kind for task in tasks):
        done, seconds = Counts(), 0
        for task in tasks:
            if task.kind == kind and task.counts:
                done.add(task.counts)
                seconds += task.seconds
        say(f"   {kind:15}{done.passed:8}{done.failed:9}{seconds:10.0f}")
    for failure, lines in zip(counts.failures, kept):
        tell(failure, lines)
    for failure in counts.failures:
        say(f"FAILED {failure.name}")


def run_all(args, folder):
    """All tasks with what became of them, and the sum of it."""
    os.environ.update(TMPDIR=folder, TONGKE_CLIPS=folder)
    files = {str(pathlib.Path(name).resolve()) for name in args.files}
    kinds = [k for k in KINDS if k in args.only or not args.only and
             (KINDS[k].quick or not args.quick)]
    if files and not args.only:  # as they stand, not under sanitizers as well
        kinds = [k for k in KINDS if KINDS[k].build in (None, PLAIN)]
    tasks, counts = plan(kinds, files), Counts()
    try:
        Schedule(tasks, args.jobs).run()
    except KeyboardInterrupt:
        counts.fail("interrupted")
    for task in tasks:
        if task.counts:
            counts.add(task.counts)
    if args.fuzz:
        counts.add(explore(args.fuzz))
    return tasks, counts


def interrupt(_signal, _frame):
    raise KeyboardInterrupt


def main():
    args = arguments()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, interrupt)
    tasks, counts = [], Counts()
    try:
        # What a test leaves behind when it is ended goes with this folder.
        with tempfile.TemporaryDirectory(prefix="tongke-", ignore_cleanup_errors=True) as folder:
            tasks, counts = run_all(args, folder)
    except Exception as error:  # the last line must come whatever happens
        import traceback
        counts.fail(f"the driver itself: {error}", traceback.format_exc().splitlines())
    summary(tasks, counts)
    say(f"== {time.monotonic() - begun:.0f} s in all")
    last = f"{counts.passed} passed, {counts.failed} failed"
    say(last + (f", {counts.skipped} skipped" if counts.skipped else ""))
    sys.stdout.flush()
    os._exit(1 if counts.failed else 0)  # no thread of a task that is stuck holds it up


if __name__ == "__main__":
    main()
