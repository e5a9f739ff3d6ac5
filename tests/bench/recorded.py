# SPDX-License-Identifier: MIT
"""Many lessons recorded at once: what each costs, and how many are too many."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

from peers import program
from tongke import Deadline, Recorder, Relay, request

RATE = 2_000_000
WARM_S = 5      # until all senders are there and the first files are made
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
FAULTS = ("write_failures_total", "syncs_late_total")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def counters(recorder, relay, sender):
    """All that is counted up, of the recorder and of the machine."""
    text = request("GET", recorder.url + "/metrics").text()
    found = {name: float(value)
             for name, value in re.findall(r"^tongke_recorder_(\w+) (\S+)$", text, re.M)}
    stat = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    busy = (sum(map(int, stat)) - int(stat[3]) - int(stat[4])) * TICK_S
    return found | {"cpu_s": cpu_s(recorder.pid), "relay_s": cpu_s(relay.pid),
                    "sender_s": cpu_s(sender.pid), "machine_s": busy,
                    "dropped": relay.metric("ws_chunks_dropped_total")}


def wait_open(recorder, count):
    deadline, pause = Deadline(), threading.Event()
    while not deadline.over():
        text = request("GET", recorder.url + "/metrics").text()
        if f"tongke_recorder_recordings_open {count}\n" in text:
            return
        pause.wait(0.1)
    raise RuntimeError(f"{count} lessons do not come to be recorded")


def gaps_of(recorder, count):
    """Gaps in all recordings, once they are closed."""
    wait_open(recorder, 0)
    ids = [path.parent.name for path in recorder.data.glob("lessons/*/*/*/lesson.json")]
    if len(ids) != count:
        raise RuntimeError(f"{len(ids)} recordings of {count} lessons")
    return sum(len(recorder.get(f"/api/v1/recordings/{one}")["gaps"]) for one in ids)


def record(count, seconds, folder):
    """Figures of so many lessons at once."""
    with contextlib.ExitStack() as stack:
        data = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tongke-recorded-", dir=folder)))
        relay = Relay(stack.callback, {"lesson.away_s": 1, "limits.lessons": count,
                                       "limits.connections_per_host": 10000})
        recorder = Recorder(stack.callback, relay.url, data, {"record.posters": "false"})
        recorder.data = data
        sender = subprocess.Popen(
            [program("tongke-load"), "--send", relay.rtsp("l{}").replace("rtsp:", "rtsp+tcp:"),
             "--lessons", str(count), "--rate", str(RATE), "--seconds", str(seconds + 3 * WARM_S),
             # One who watches live, to see whether that suffers.
             "--web", relay.ws("/live/l1"), "--viewers-ws", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(sender.kill)
        wait_open(recorder, count)
        threading.Event().wait(WARM_S)
        before = counters(recorder, relay, sender)
        threading.Event().wait(seconds)
        after = counters(recorder, relay, sender)
        if sender.poll() is not None:
            raise RuntimeError(f"the sender did not last: {sender.stderr.read()}")
        live = json.loads(sender.communicate()[0])["web"]
        gaps = gaps_of(recorder, count)
    spent = {name: after[name] - before[name] for name in after}
    return {**spent, "lessons": count, "seconds": seconds, "gaps": gaps, "short": live["short"],
            "live_ms": live["delay_ms"]["p99"], "durable_s": after["durable_seconds_max"]}


HEAD = ("lessons", "recorder, % of a core", "a lesson's", "writes/s a lesson", "syncs/s a lesson",
        "written, kB/s a lesson", "slowest durable, ms", "late", "gaps", "live delay p99, ms", "relay, %",
        "senders, %", "machine, %")


def row(f):
    each = f["lessons"] * f["seconds"]
    share = 100 / f["seconds"]
    return (f["lessons"], f"{f['cpu_s'] * share:.1f}", f"{f['cpu_s'] * 100 / each:.2f}",
            f"{(f['chunks_total'] + f['syncs_total'] / 2) / each:.1f}", f"{f['syncs_total'] / each:.1f}",
            f"{f['bytes_total'] / each / 1000:.0f}", f"{f['durable_s'] * 1000:.0f}",
            f"{late(f)}", f["gaps"], f"{f['live_ms']:.0f}",
            f"{f['relay_s'] * share:.0f}", f"{f['sender_s'] * share:.0f}",
            f"{f['machine_s'] * share:.0f}")


def late(f):
    return sum(int(f[name]) for name in FAULTS) + int(f["dropped"]) + f["short"]


def main():
    parser = argparse.ArgumentParser(
        prog="tools/bench --recorded", description="Sends so many lessons of 2 Mbit/s to a relay and has "
        "all of them recorded, and tells what each costs. Status 1: something was late.")
    parser.add_argument("--lessons", type=int, action="append", metavar="N",
                        help="may be given again; 20 if not given")
    parser.add_argument("--seconds", type=int, default=30, help="measured for each")
    parser.add_argument("--data", type=pathlib.Path, help="a folder on the disk that is meant")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    print("| " + " | ".join(HEAD) + " |\n|" + "---:|" * len(HEAD))
    bad = 0
    for count in options.lessons or [20]:
        figures = record(count, options.seconds, options.data)
        bad += late(figures) + figures["gaps"]
        print("| " + " | ".join(map(str, row(figures))) + " |", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
