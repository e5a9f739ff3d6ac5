# SPDX-License-Identifier: MIT
"""What runs beside what, how it is told, and that nothing is left behind."""

import os
import pathlib
import select
import subprocess
import sys
import textwrap
import threading
import unittest

from excerpt import EXCERPT_LINES, EXCERPTS_BYTES, LINE_CHARS, excerpt, excerpts, size
from kinds import KINDS, REAL_TIME, meson_test, plan, program_task
from tap import Counts, Failure
from tasks import Schedule, Task

HERE = pathlib.Path(__file__).parent
PATIENCE_S = 60


def ended(pid):
    """Whether it has, or has been told to and does."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], PATIENCE_S)[0])
    finally:
        os.close(process)


class Fakes:
    """Tasks that run until they are told to go on."""

    def __init__(self):
        self.changed, self.running, self.free, self.seen = threading.Condition(), set(), set(), []

    def task(self, name, lines=(), failed=0, **more):
        def run(say):
            for line in lines:
                say(line)
            with self.changed:
                self.running.add(name)
                self.seen.append(frozenset(self.running))
                self.changed.notify_all()
                self.changed.wait_for(lambda: name in self.free, PATIENCE_S)
                self.running.discard(name)
            counts = Counts(passed=1)
            if failed:
                counts.fail(name)
            return counts
        return Task(name, "kind", run, **more)

    def let_go(self, name, after=()):
        """Ends a task once it and those of `after` have run at the same time."""
        with self.changed:
            together = {name, *after}
            if not self.changed.wait_for(lambda: any(together <= s for s in self.seen), PATIENCE_S):
                raise AssertionError(f"{together} never ran together: {self.seen}")
            self.free.add(name)
            self.changed.notify_all()

    def run(self, tasks, lanes):
        told = []
        thread = threading.Thread(target=Schedule(tasks, lanes, told.append).run)
        thread.start()
        return thread, told


class Together(unittest.TestCase):
    def setUp(self):
        self.fakes = Fakes()

    def never_together(self, *names):
        for seen in self.fakes.seen:
            self.assertFalse(set(names) <= seen, seen)

    def test_as_many_as_there_are_lanes_and_no_more(self):
        tasks = [self.fakes.task(name) for name in "abc"]
        thread, _ = self.fakes.run(tasks, 2)
        self.fakes.let_go("a", after="b")
        self.fakes.let_go("b", after="c")
        self.fakes.let_go("c")
        thread.join(PATIENCE_S)
        self.never_together(*"abc")

    def test_one_that_is_busy_beside_those_that_wait(self):
        tasks = [self.fakes.task("build", busy=True), self.fakes.task("fuzz", busy=True),
                 self.fakes.task("a")]
        thread, _ = self.fakes.run(tasks, 1)
        self.fakes.let_go("build", after="a")
        self.fakes.let_go("fuzz", after="a")
        self.fakes.let_go("a")
        thread.join(PATIENCE_S)
        self.never_together("build", "fuzz")

    def test_two_of_one_key_and_what_is_alone(self):
        tasks = [self.fakes.task("load", alone=True), self.fakes.task("plain", key="x"),
                 self.fakes.task("sanitized", key="x"), self.fakes.task("other")]
        thread, _ = self.fakes.run(tasks, 4)
        self.fakes.let_go("plain", after=["other"])
        self.fakes.let_go("sanitized", after=["other"])
        self.fakes.let_go("other")
        self.fakes.let_go("load")
        thread.join(PATIENCE_S)
        self.never_together("plain", "sanitized")
        for name in "plain", "sanitized", "other":
            self.never_together("load", name)

    def test_a_wide_one_is_not_passed_by(self):
        tasks = [self.fakes.task("a"), self.fakes.task("wide", lanes=2), self.fakes.task("b")]
        thread, _ = self.fakes.run(tasks, 2)
        self.fakes.let_go("a")
        self.fakes.let_go("wide")
        self.fakes.let_go("b")
        thread.join(PATIENCE_S)
        self.never_together("a", "b")

    def test_what_needs_a_build_waits_for_it_and_is_dropped_with_it(self):
        for failed in (0, 1):
            with self.subTest(failed=failed):
                fakes = Fakes()
                build = fakes.task("build", busy=True, failed=failed)
                test = fakes.task("test", needs=build)
                fakes.free.add("test")
                thread, _ = fakes.run([build, test], 2)
                fakes.let_go("build")
                thread.join(PATIENCE_S)
                self.assertEqual((test.state, test.counts is None),
                                 ("dropped", True) if failed else ("done", False))
                self.assertNotIn(frozenset(("build", "test")), fakes.seen)

    def test_what_is_told_stays_together_and_in_order(self):
        tasks = [self.fakes.task(name, [f"{name}1", f"{name}2"]) for name in "abc"]
        thread, told = self.fakes.run(tasks, 3)
        self.fakes.let_go("c", after="ab")
        self.fakes.let_go("a")
        self.fakes.let_go("b")
        thread.join(PATIENCE_S)
        self.assertEqual([line.split(" (")[0] for line in told], [
            line for n in "abc" for line in (f"== {n}", f"{n}1", f"{n}2", f"== {n}: 1 passed, 0 failed")])

    def test_a_task_that_breaks_is_a_failure(self):
        def broken(_say):
            raise OSError("broken")
        task = Task("broken", "kind", broken)
        Schedule([task], 1, lambda line: None).run()
        self.assertEqual(task.counts.failed, 1)
        self.assertIn("broken", "\n".join(task.counts.failures[0].lines))


class Kinds(unittest.TestCase):
    def test_every_kind_is_in_the_help(self):
        said = subprocess.run([HERE.parents[1] / "tools" / "test", "--help"], check=True,
                              capture_output=True, text=True).stdout
        for kind in KINDS:
            self.assertRegex(said, rf"(?m)^ {{20}}{kind} ")

    def test_every_test_file_is_in_the_plan_of_its_kind(self):
        tasks = plan(list(KINDS))
        for kind, folder in (("integration", "integration"), ("sanitize", "integration"),
                             ("browser", "browser"), ("driver", "driver"), ("page", "unit/web")):
            files = {str(path) for form in ("test_*.py", "*.test.*js")
                     for path in (HERE.parent / folder).glob(form)
                     if kind != "sanitize" or REAL_TIME not in path.read_text()}
            self.assertEqual(files, {task.key for task in tasks if task.kind == kind and task.key})

    def test_what_is_needed_stands_before_what_needs_it(self):
        seen = []
        for task in plan(list(KINDS)):
            self.assertTrue(task.needs is None or task.needs in seen, task.name)
            seen.append(task)

    def test_a_file_is_run_by_itself(self):
        path = str(HERE.parent / "integration" / "test_live.py")
        self.assertEqual([task.key for task in plan(["integration"], {path})], ["", path])

    def test_a_kind_without_a_test_fails(self):
        KINDS["none"] = KINDS["driver"].__class__(None, lambda which, built: [])
        try:
            task, = plan(["none"])
        finally:
            del KINDS["none"]
        self.assertEqual(task.run(print).failed, 1)


class Explained(unittest.TestCase):
    def test_a_failure_has_all_that_was_said_of_it(self):
        said = []
        task = program_task("k", "name", [sys.executable, "-c", textwrap.dedent("""
            print("of the first"); print("ok 1 - a"); print("before"); print("not ok 2 - b")
            print("# why"); print("  ---"); print("  deep"); print("  ..."); print("ok 3 - c")
            print("after"); print("1..3"); raise SystemExit(1)""")])
        counts = task.run(said.append)
        self.assertEqual((counts.passed, counts.failed), (2, 1))
        self.assertEqual(counts.failures[0].name, "name: b")
        self.assertEqual(counts.failures[0].lines,
                         ["before", "not ok 2 - b", "# why", "  ---", "  deep", "  ..."])
        self.assertEqual([line.split()[0] for line in said], ["ok", "not", "#", "---", "deep", "...", "ok"])

    def test_a_program_that_dies_is_told_whole(self):
        said = []
        task = program_task("k", "name", [sys.executable, "-c", "import sys; sys.exit('last words')"])
        counts = task.run(said.append)
        self.assertEqual(counts.failures[0].lines, ["last words"])
        self.assertIn("last words", "\n".join(said))

    def test_a_test_of_mesons_has_both_its_outputs(self):
        entry = {"result": "FAIL", "returncode": 1, "stdout": "1..1\nnot ok 1 - a\n# why",
                 "stderr": "runtime error"}
        failure, = meson_test("unit", entry, "tap").failures
        self.assertEqual((failure.name, failure.lines),
                         ("unit: a", ["not ok 1 - a", "# why", "runtime error"]))


class Excerpts(unittest.TestCase):
    LONG = ["aside"] * 100 + ["not ok 1 - a", "# Traceback", *(f"# {n}" for n in range(500)), "# the last"]

    def test_what_is_short_is_told_whole(self):
        lines = ["aside", "not ok 1 - a", "# why"]
        self.assertEqual(excerpt(lines), lines)
        self.assertEqual(excerpt([]), [])

    def test_of_what_is_long_the_verdict_its_reason_and_the_end_stay(self):
        told = excerpt(self.LONG)
        self.assertEqual(len(told), EXCERPT_LINES)
        self.assertEqual((told[0], told[1], told[-1]), ("not ok 1 - a", "# Traceback", "# the last"))
        told = excerpt(["aside"] * 100 + ["not ok 1 - a", "# why"])
        self.assertEqual((len(told), told[-1]), (EXCERPT_LINES, "# why"))

    def test_a_program_that_died_has_its_last_words(self):
        told = excerpt([str(n) for n in range(200)])
        self.assertEqual((len(told), told[0], told[-1]), (EXCERPT_LINES, "0", "199"))

    def test_a_long_line_has_its_beginning_and_its_end(self):
        told, = excerpt(["not ok" + "x" * 9999 + "end"])
        self.assertEqual(len(told), LINE_CHARS)
        self.assertTrue(told.startswith("not ok") and told.endswith("end"), told)

    def test_many_failures_share_the_end_of_the_log(self):
        wide = ["not ok 1 - b", *["学" * 400] * 99]
        failures = [Failure("", lines)
                    for lines in (*[self.LONG] * 20, ["not ok 2 - c", "# d"], *[wide] * 30)]
        told = excerpts(failures)
        self.assertEqual(len(told), len(failures))
        self.assertLessEqual(sum(map(size, told)), EXCERPTS_BYTES)
        self.assertEqual(told[20], ["not ok 2 - c", "# d"])
        for lines in told[:20]:
            self.assertEqual((lines[0], lines[-1]), ("not ok 1 - a", "# the last"))

    def test_they_stand_after_the_table_and_before_the_names(self):
        script = textwrap.dedent(f"""
            import sys
            sys.path.insert(0, {str(HERE)!r})
            from run import summary
            from tap import Counts
            counts = Counts()
            counts.fail("long", ["not ok 1 - long", *(f"# {{n}}" for n in range(500))])
            counts.fail("short", ["not ok 2 - short"])
            summary([], counts)
            """)
        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True,
                              text=True).stdout.splitlines()
        self.assertEqual([line for line in said if not line.startswith("   ")], [
            "== FAILED long", "== kind             passed   failed   seconds, of all its tasks",
            "== FAILED long", "== FAILED short", "FAILED long", "FAILED short"])
        self.assertIn("   # 250", said)
        self.assertNotIn("   # 250", said[said.index("== FAILED long", 1):])


class Ending(unittest.TestCase):
    def test_what_is_interrupted_leaves_nothing_behind(self):
        """Also not what has gone to a session of its own and does not want to end."""
        script = textwrap.dedent(f"""
            import os, signal, sys
            # Who was started behind a shell's & has it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.path.insert(0, {str(HERE)!r})
            from kinds import program_task
            from tasks import Schedule
            child = '''
            import os, signal, subprocess, sys
            stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            stubborn += "print('up', flush=True); signal.pause()"
            p = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True,
                                 stdout=subprocess.PIPE)
            p.stdout.readline()
            print("ok 1 -", os.getpid(), p.pid, flush=True)
            signal.pause()
            '''.replace("\\n            ", "\\n")
            task = program_task("k", "t", [sys.executable, "-c", child])
            try:
                Schedule([task], 1).run()
            except KeyboardInterrupt:
                print("interrupted", task.counts.failed, flush=True)
            os._exit(0)
            """)
        program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.kill)
        lines = iter(program.stdout.readline, "")
        pids = next(line for line in lines if " ok " in line).split()[1:]
        program.send_signal(2)
        self.assertIn("interrupted 2", "".join(lines))
        self.assertEqual(program.wait(PATIENCE_S), 0)
        program.stdout.close()
        for pid in pids:
            self.assertTrue(ended(int(pid)), pid)


if __name__ == "__main__":
    unittest.main()
