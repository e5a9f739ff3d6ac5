# SPDX-License-Identifier: MIT
"""Hours of viewers who come and go: does memory, descriptors or delay grow?"""

import argparse
import contextlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import threading

from peers import program
from tongke import Deadline, Relay

VIEWERS = {"rtp": 200, "tcp": 100, "ws": 200}
# Most come and go, some of them read slowly or not at all; the others stay and must miss nothing.
CHURN, NOTHING, HALF = 380, 10, 10
STAY_S = 20
RATE = 200_000
LOSE = 1  # per cent, so that repair runs all the time

# A trend counts from so many minutes on: in less, what has yet to fill up is all there is to see.
TREND_MINUTES = 10
WARM_SHARE = 0.2  # of a run, and two minutes at most: histories fill, arenas grow to their size
WARM_MAX_S = 120
# Growth in an hour that is still none, and it must be thrice its own uncertainty besides.
LIMITS = {"memory, KiB": 1024, "descriptors": 5, "delay p50 rtp, ms": 0.5, "delay p50 tcp, ms": 0.5,
          "delay p50 web, ms": 2}


def slope(points):
    """Least squares: growth in an hour and its standard error."""
    n = len(points)
    mean_x, mean_y = (sum(p[i] for p in points) / n for i in (0, 1))
    sxx = sum((x - mean_x) ** 2 for x, _ in points)
    grows = sum((x - mean_x) * (y - mean_y) for x, y in points) / sxx
    rest = sum((y - mean_y - grows * (x - mean_x)) ** 2 for x, y in points)
    return grows * 3600, math.sqrt(rest / (n - 2) / sxx) * 3600


def series(samples):
    yield "memory, KiB", [(s["at_s"], s["rss"] / 1024) for s in samples]
    # Each viewer has its own; who has just come or gone is the noise.
    yield "descriptors", [(s["at_s"], s["descriptors"]) for s in samples]
    for way in ("rtp", "tcp", "web"):
        yield f"delay p50 {way}, ms", [(s["at_s"], s["delay_ms"][way][0]) for s in samples
                                       if way in s["delay_ms"]]
        yield f"delay p99 {way}, ms", [(s["at_s"], s["delay_ms"][way][1]) for s in samples
                                       if way in s["delay_ms"]]


def trends(samples):
    """Lines to read, and what has grown."""
    warm_s = min(WARM_MAX_S, samples[-1]["at_s"] * WARM_SHARE)
    lines, grown = [], []
    for name, points in series([s for s in samples if s["at_s"] >= warm_s]):
        values = sorted(y for _, y in points)
        per_hour, error = slope(points)
        bad = name in LIMITS and per_hour > max(LIMITS[name], 3 * error)
        grown += [name] if bad else []
        lines.append(f"{name}: {values[0]:.1f} to {values[-1]:.1f}, median {values[len(values) // 2]:.1f}, "
                     f"{per_hour:+.2f} ± {error:.2f} an hour{'  GROWS' if bad else ''}")
    return lines, grown


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def wait_closed(relay, count):
    """Until the relay holds as few descriptors as before; how many it holds in the end."""
    deadline, pause = Deadline(), threading.Event()
    while descriptors(relay.pid) > count and not deadline.over():
        pause.wait(0.1)
    return descriptors(relay.pid)


def crowd(relay, seconds, every, samples, scale=1):
    ways = [part for way, count in VIEWERS.items() for part in (f"--viewers-{way}", count // scale)]
    command = [program("tongke-load"), "--send", f"rtsp+tcp://127.0.0.1:{relay.rtsp_port}/soak",
               "--rtsp", relay.rtsp("soak"), "--web", relay.ws("/live/soak"), *ways,
               "--churn", CHURN // scale, "--read-nothing", NOTHING // scale, "--half-speed", HALF // scale,
               "--stay", min(STAY_S, seconds / 4), "--rate", RATE, "--lose", LOSE, "--join-over", 3,
               "--seconds", seconds, "--samples", samples, "--every", every, "--watch", relay.pid]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def soak(seconds, every, *, samples=None, settings=None, scale=1, env=None):
    """Lines to read, and what is wrong. `samples`: a file to keep them in."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tongke-soak-"))
        path = samples or pathlib.Path(folder) / "samples"
        relay = Relay(stack.callback, settings, env)
        before = descriptors(relay.pid)
        saw = crowd(relay, seconds, every, path, scale)
        after = wait_closed(relay, before)
        relay.stop()
        samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [f"{seconds / 60:g} minutes, {saw['impaired']['count']} of {sum(VIEWERS.values()) // scale} "
             f"viewers came and went, {LOSE} % lost on each UDP line",
             f"descriptors: {before} before the first viewer, {after} after the last",
             f"relay: {saw['process']['cpu_s'] / seconds:.1%} of a core"]
    wrong = [f"{after - before} descriptors were left open"] if after > before else []
    for way in ("rtp", "tcp", "web"):
        stayed = saw[way]
        lines.append(f"{way}: {stayed['count']} stayed, {stayed['packets']} packets, "
                     f"{stayed['missing']} missing, {stayed['dropped']} lost on their lines")
        wrong += [f"{way}: {stayed['left']} were thrown out"] if stayed["left"] else []
        wrong += [f"{way}: {stayed['short']} fell short"] if stayed["short"] else []
    if seconds >= TREND_MINUTES * 60:
        more, grown = trends(samples)
        lines += more
        wrong += [f"{name} grows" for name in grown]
    return lines, wrong


def main():
    parser = argparse.ArgumentParser(prog="tools/bench --soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=10, help="seconds between samples")
    parser.add_argument("--samples", type=pathlib.Path, help="keep the samples there")
    options = parser.parse_args()
    lines, wrong = soak(options.minutes * 60, options.every, samples=options.samples)
    print("\n".join(lines))
    print("soak: " + ("; ".join(wrong) if wrong else "nothing grows"))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
