# SPDX-License-Identifier: MIT
"""Runs the unittest cases of a file or folder and tells of each in TAP as it ends."""

import atexit
import faulthandler
import os
import pathlib
import signal
import sys
import time
import traceback
import unittest

UNITTEST = pathlib.Path(unittest.__file__).parent  # its own steps tell nothing
CASE_MAX_S = 600  # a case that hangs is ended with its stack shown; never what a test measures


class Hung(BaseException):
    pass


def on_alarm(_signal, _frame):
    faulthandler.dump_traceback(file=sys.stderr)
    raise Hung(f"still running after {CASE_MAX_S} s")


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.bad = False
        self.problems = []
        self.began = time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.problems = []
        self.skip = None
        signal.alarm(CASE_MAX_S)

    def tell(self, name):
        self.count += 1
        verdict = "not ok" if self.problems else "ok"
        line = f"{verdict} {self.count} - {name}"
        if self.skip is not None and not self.problems:
            line += f" # SKIP {self.skip}"
        else:
            line += f" # {time.monotonic() - self.began:.0f} s"
        print(line, flush=True)
        for problem in self.problems:
            self.bad = True
            for text in problem.rstrip().splitlines():
                print(f"# {text}", flush=True)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)
        self.tell(test.id())

    def _problem(self, error):
        told = traceback.TracebackException(*error)
        told.stack[:] = [frame for frame in told.stack if pathlib.Path(frame.filename).parent != UNITTEST]
        self.problems.append("".join(told.format()))

    def addError(self, test, err):
        if isinstance(test, unittest.TestCase):
            self._problem(err)
        else:  # set-up of a class or module: no test of its own ever starts
            self.problems, self.skip = [], None
            self._problem(err)
            self.tell(str(test))

    def addFailure(self, test, err):
        self._problem(err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._problem(err)
            self.problems[-1] = f"{subtest.id()}\n{self.problems[-1]}"

    def addSkip(self, test, reason):
        if isinstance(test, unittest.TestCase):
            self.skip = reason
        else:
            self.problems, self.skip = [], reason
            self.tell(str(test))

    def addExpectedFailure(self, test, err):
        pass

    def addUnexpectedSuccess(self, test):
        self.problems.append("succeeded although it is marked as an expected failure")


def main():
    where = pathlib.Path(sys.argv[1]).resolve()
    folder, files = (where, "test_*.py") if where.is_dir() else (where.parent, where.name)
    sys.path.insert(0, str(folder))
    signal.signal(signal.SIGALRM, on_alarm)
    patterns = sys.argv[2:]
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [f"*{p}*" for p in patterns]
    suite = loader.discover(str(folder), pattern=files, top_level_dir=str(folder))
    result = TapResult()
    try:
        suite.run(result)
    except Hung as hung:
        print(f"not ok {result.count + 1} - {hung}", flush=True)
        result.count, result.bad = result.count + 1, True
    print(f"1..{result.count}", flush=True)
    sys.stdout.flush()
    atexit._run_exitfuncs()  # no thread that is stuck holds it up, but what was made goes
    os._exit(1 if result.bad or result.count == 0 else 0)


if __name__ == "__main__":
    main()
