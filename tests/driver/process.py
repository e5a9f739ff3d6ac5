# SPDX-License-Identifier: MIT
"""Programs that the driver runs: read to their end, and ended with all they started."""

import os
import pathlib
import signal
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM_MAX_S = 1800  # against a hang only
TIDY_MAX_S = 5        # what a program that was asked to end may take

living = set()  # of processes; under the lock, as all that starts one
lock = threading.Lock()
ending = threading.Event()


def descendants(pid):
    """Of all processes: (process id, time of its start) of those that `pid` started."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended just now
            children.setdefault(int(fields[1]), []).append((int(entry.name), fields[19]))
    found, todo = set(), [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.add(child)
            todo.append(child[0])
    return found


def started_at(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def end(process):
    """Asks a program to end, then ends it and what it left behind, also in sessions of their own."""
    family = descendants(process.pid)
    for number, patience_s in ((signal.SIGTERM, TIDY_MAX_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience_s)
            break
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            family |= descendants(process.pid)
    for pid, since in family:
        if started_at(pid) == since:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def end_all():
    """For Ctrl-C: nothing starts any more, and all that runs is ended at the same time."""
    ending.set()
    with lock:
        threads = [threading.Thread(target=end, args=[process]) for process in living]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stream(command, on_line, env=None, cwd=ROOT, limit_s=PROGRAM_MAX_S, nice=0):
    """Runs `command`, hands over each line as it comes, and returns the exit status."""
    command = [*(["nice", "-n", str(nice)] if nice else []), *(str(part) for part in command)]
    with lock:
        if ending.is_set():
            return -signal.SIGTERM
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace",
            start_new_session=True)
        living.add(process)
    timer = threading.Timer(limit_s, end, [process])
    timer.start()
    try:
        for line in process.stdout:
            on_line(line.rstrip("\n"))
        return process.wait()
    finally:
        timer.cancel()
        process.stdout.close()
        if process.poll() is None:
            end(process)
        with lock:
            living.discard(process)
