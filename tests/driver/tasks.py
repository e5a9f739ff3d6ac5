# SPDX-License-Identifier: MIT
"""What is to be run, in an order that keeps the machine busy, and told in an order that people can read."""

import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Callable

from process import end_all, ending
from tap import Counts


@dataclass(eq=False)
class Task:
    """Tests that are run in one go, or a build. `run` is given a function that takes a line."""
    name: str
    kind: str
    run: Callable
    needs: object = None  # a task that has to be done well before
    busy: bool = False    # takes every core itself: only one of these at a time, beside the others
    alone: bool = False   # nothing else runs beside it
    lanes: int = 1        # how many of those that mostly wait it stands for
    key: str = ""         # two of the same key never run together
    counts: Counts = None
    lines: list = field(default_factory=list)
    state: str = "waiting"
    seconds: float = 0.0


class Teller:
    """Lets tasks speak one after the other: the first one live, the others when it is their turn."""

    def __init__(self, tasks, say):
        self.todo, self.say, self.lock = list(tasks), say, threading.Lock()

    def line(self, task, text):
        with self.lock:
            if self.todo and task is self.todo[0]:
                self.say(text)
            else:
                task.lines.append(text)

    def turn(self):
        """Goes on to the next ones when the first is over."""
        with self.lock:
            while self.todo and self.todo[0].state in ("done", "dropped"):
                self.todo.pop(0)
                if self.todo:
                    for text in self.todo[0].lines:
                        self.say(text)
                    self.todo[0].lines = []


class Schedule:
    def __init__(self, tasks, lanes, say=lambda text: print(text, flush=True)):
        # Those that want to be alone come last, also in what is told.
        self.tasks = sorted(tasks, key=lambda task: task.alone)
        self.lanes = lanes
        self.teller = Teller(self.tasks, say)
        self.changed = threading.Condition()

    def run(self):
        try:
            with self.changed:
                while any(task.state in ("waiting", "running") for task in self.tasks):
                    if not self.start_some():
                        self.changed.wait()
        except KeyboardInterrupt:
            end_all()
            with self.changed:
                self.changed.wait_for(lambda: not self.running(), timeout=30)
            raise

    def running(self):
        return [task for task in self.tasks if task.state == "running"]

    def start_some(self):
        """Starts all that can be, or drops what never can; whether there was anything."""
        before = [task.state for task in self.tasks]
        held = False  # a task of several lanes waits for them: no smaller one slips by
        for task in self.tasks:
            if task.state != "waiting" or task.needs and task.needs.state in ("waiting", "running"):
                continue
            if task.needs and (task.needs.state == "dropped" or task.needs.counts.failed):
                task.state = "dropped"
                self.teller.turn()
            elif self.fits(task, held):
                task.state = "running"
                threading.Thread(target=self.work, args=[task], daemon=True).start()
            elif not task.busy and not task.alone and not self.key_taken(task):
                held = True
        return before != [task.state for task in self.tasks]

    def key_taken(self, task):
        return bool(task.key) and any(other.key == task.key for other in self.running())

    def fits(self, task, held):
        running = self.running()
        if task.alone:
            return not running and not any(t.state == "waiting" and not t.alone for t in self.tasks)
        if any(other.alone for other in running) or self.key_taken(task):
            return False
        if task.busy:
            return not any(other.busy for other in running)
        used = sum(other.lanes for other in running if not other.busy)
        return not held and (used + task.lanes <= self.lanes or used == 0)

    def work(self, task):
        began = time.monotonic()

        def say(text):
            self.teller.line(task, text)

        say(f"== {task.name}")
        try:
            counts = task.run(say)
        except Exception as error:
            counts = Counts()
            counts.fail(f"the driver itself: {error}", traceback.format_exc().splitlines())
            say(traceback.format_exc())
        if ending.is_set():
            counts.fail("interrupted")
        with self.changed:
            task.seconds = time.monotonic() - began
            task.counts = counts
            told = f"{counts.passed} passed, {counts.failed} failed" if counts.total else "done"
            say(f"== {task.name}: {told} ({task.seconds:.0f} s)")
            task.state = "done"
            self.teller.turn()
            self.changed.notify_all()
