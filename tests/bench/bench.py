# SPDX-License-Identifier: MIT
"""Relay and peers side by side: the cases round robin, medians of the rounds."""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys

import report
from peers import ROOT, Sink, TongkeRelay, program, rtp_peers, web_peers

JOINS_PER_S = 500
# How often each case is run and how long it is measured: the tables of peers, which are read as
# ratios, and the rest.
TABLES, TABLE_ROUNDS, TABLE_S = ("rtp", "web"), 3, 3.5
OTHER_ROUNDS, OTHER_S = 2, 5


class Measured:
    """All runs of one case."""

    rounds, seconds = 1, 4

    def __init__(self, peer, viewers, options=()):
        self.peer, self.viewers, self.options = peer, viewers, list(options)
        self.runs, self.problem = [], None

    def label(self):
        return f"{self.peer.name}, {self.viewers} viewers {' '.join(self.options)}".strip()

    def median(self, *path):
        """Over the runs, of a figure that stands there; None when no run has it."""
        values = [value for value in (reach(run, path) for run in self.runs) if value is not None]
        return statistics.median(values) if values else None

    def worst(self, *path):
        return max((reach(run, path) or 0 for run in self.runs), default=None)


def reach(value, path):
    for step in path:
        if value is None:
            return None
        value = value.get(step)
    return value


def generator_command(measured):
    way = {"rtp": "--viewers-rtp", "web": "--viewers-ws"}
    command = [program("tongke-load"), "--seconds", measured.seconds, *measured.peer.viewer_options]
    if "--viewers-rtp" not in measured.options:
        command += [way[measured.peer.way], measured.viewers]
    if "--join-over" not in measured.options:
        command += ["--join-over", max(0.5, measured.viewers / JOINS_PER_S)]
    return [str(part) for part in command + measured.options]


def run_generator(command, to_stdin=None):
    # pylint: disable-next=consider-using-with
    process = subprocess.Popen(command, stdin=subprocess.PIPE if to_stdin else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.kill)
        if to_stdin:
            process.stdin.write(to_stdin(process.stdout.readline().strip()))
            process.stdin.close()
            process.stdin = None
        out, err = process.communicate(timeout=600)
    if process.returncode == 2 or not out.strip():
        raise RuntimeError(f"no result: {out[-600:]}{err[-600:]}")
    return json.loads(out)


def run_once(measured):
    peer = measured.peer
    with contextlib.ExitStack() as stack:
        command = generator_command(measured)
        if isinstance(peer, Sink):
            peer.begin()

            def tell_pid(ports):
                return f"{peer.start_sink(stack.callback, ports).pid}\n"
            return run_generator([*command, "--udp", "--watch", "-", *peer.options], tell_pid)
        server, options = peer.start(stack.callback)
        return run_generator([*command, *options, "--watch", str(server.pid)])


def run_rounds(cases):
    rounds = max(measured.rounds for measured in cases)
    for number in range(rounds):
        for measured in (m for m in cases if number < m.rounds):
            why = measured.peer.missing()
            if why:
                measured.problem = f"not available ({why})"
                continue
            print(f"bench: round {number + 1} of {rounds}: {measured.label()} … ", end="", flush=True)
            try:
                run = run_once(measured)
            except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as problem:
                measured.problem = "failed"
                print(f"FAILED: …{str(problem)[-600:]}", flush=True)
                continue
            measured.runs.append(run)
            cpu = reach(run, ("process", "cpu_us_per_viewer_s"))
            short = sum(run[way]["short"] for way in ("rtp", "web"))
            print(f"{cpu:.0f} µs per viewer-second, {short} short", flush=True)


def growth_cases(quick):
    for lessons in (1, 4) if quick else (1, 2, 4, 8, 16, 32):
        for workers in (1, 2):
            relay = TongkeRelay("rtp", settings={"workers.packet": workers, "workers.web": workers},
                                name=f"{lessons} × 20 viewers, {workers} + {workers} workers")
            yield Measured(relay, lessons * 20, ["--lessons", str(lessons), "--viewers-rtp",
                                                 str(lessons * 10), "--viewers-ws", str(lessons * 10)])


def storm_cases(quick):
    viewers = 200 if quick else 1000
    for way, name in (("rtp", "RTP"), ("web", "WebSocket")):
        yield Measured(TongkeRelay(way, name=f"{viewers} join within 1 s over {name}"), viewers,
                       ["--join-over", "1"])


def loss_cases(quick):
    viewers = 50 if quick else 200
    for lose in ("0", "5", "10"):
        yield Measured(TongkeRelay("rtp", name=f"{viewers} over RTP, {lose} % lost, repair on"), viewers,
                       ["--lose", lose])


def disturbed_cases(quick):
    viewers, nothing = (100, 10) if quick else (500, 50)
    for share, habits in (("none", []),
                          ("some", ["--read-nothing", str(nothing), "--half-speed", str(nothing)])):
        name = "all read" if share == "none" else f"{nothing} read nothing, {nothing} at half speed"
        yield Measured(TongkeRelay("web", name=f"{viewers} over WebSocket, {name}"), viewers, habits)


def set_lengths(parts, options):
    for name, cases in parts.items():
        for measured in cases:
            if not options.quick:
                table = name in TABLES
                measured.rounds = TABLE_ROUNDS if table else OTHER_ROUNDS
                measured.seconds = TABLE_S if table else OTHER_S
            measured.rounds = options.rounds or measured.rounds
            measured.seconds = options.seconds or measured.seconds


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer viewers, one round")
    parser.add_argument("--trial", action="store_true",
                        help="say in the report that the machine was not quiet")
    parser.add_argument("--rounds", type=int, help="of all cases (3 or 2; quick: 1)")
    parser.add_argument("--seconds", type=float, help="measured of each case (3.5 or 5; quick: 4)")
    parser.add_argument("--only", action="append",
                        choices=["rtp", "web", "growth", "storm", "loss", "disturbed"],
                        help="one part; may be given again")
    parser.add_argument("--viewers", type=int, action="append",
                        help="so many in the tables of peers; may be given again")
    parser.add_argument("--output", type=pathlib.Path, help="the report (docs/performance.md)")
    options = parser.parse_args()
    counts = options.viewers or ((1, 50, 200) if options.quick else (1, 50, 200, 1000))
    parts = {
        "rtp": [Measured(peer, n) for n in counts for peer in rtp_peers()],
        "web": [Measured(peer, n) for n in counts for peer in web_peers()],
        "growth": list(growth_cases(options.quick)),
        "storm": list(storm_cases(options.quick)),
        "loss": list(loss_cases(options.quick)),
        "disturbed": list(disturbed_cases(options.quick)),
    }
    if options.only:
        parts = {name: cases for name, cases in parts.items() if name in options.only}
    set_lengths(parts, options)
    run_rounds([case for cases in parts.values() for case in cases])
    text = report.write(parts, options)
    # What a part of the cases or a busy machine gave is no report of record.
    whole = not (options.only or options.viewers or options.quick or options.trial)
    default = ROOT / "docs" / "performance.md" if whole else None
    target = options.output or default
    if target:
        target.write_text(text, encoding="utf-8")
        print(f"bench: {target}")
    else:
        print(text)
    relay_short = sum(m.worst(way, "short") or 0 for cases in parts.values() for m in cases
                      if isinstance(m.peer, TongkeRelay) for way in ("rtp", "web"))
    failed = any(m.problem == "failed" for cases in parts.values() for m in cases)
    sys.exit(1 if relay_short or failed else 0)


if __name__ == "__main__":
    main()
