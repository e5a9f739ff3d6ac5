# SPDX-License-Identifier: MIT
"""Many lessons recorded at once, and watched: what each costs, and how many are too many."""

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
RTP_SHARE = 3   # every third viewer is a player, the others are browsers
FAULTS = ("write_failures_total", "syncs_late_total")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def resident_mib(pid):
    found = re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) / 1024


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


def audience(count, viewers, relay):
    """Who watches: `viewers` of each lesson; one at all, to see whether that one suffers."""
    rtp = count * viewers // RTP_SHARE
    web = count * viewers - rtp if viewers else 1
    return ["--web", relay.ws("/live/l{}"), "--viewers-ws", str(web),
            *(["--rtsp", relay.rtsp("l{}"), "--viewers-rtp", str(rtp)] if rtp else [])]


def record(count, seconds, folder, viewers):
    """Figures of so many lessons at once, with so many viewers each."""
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
             *audience(count, viewers, relay)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(sender.kill)
        wait_open(recorder, count)
        threading.Event().wait(WARM_S)
        before = counters(recorder, relay, sender)
        threading.Event().wait(seconds)
        after = counters(recorder, relay, sender)
        memory = {"relay_mib": resident_mib(relay.pid), "recorder_mib": resident_mib(recorder.pid)}
        if sender.poll() is not None:
            raise RuntimeError(f"the sender did not last: {sender.stderr.read()}")
        told = json.loads(sender.communicate()[0])
        gaps = gaps_of(recorder, count)
    spent = {name: after[name] - before[name] for name in after}
    return {**spent, **memory, "lessons": count, "viewers": viewers, "seconds": seconds, "gaps": gaps,
            "short": told["web"]["short"] + told["rtp"]["short"], "web_ms": told["web"]["delay_ms"],
            "rtp_ms": told["rtp"]["delay_ms"], "durable_s": after["durable_seconds_max"]}


HEAD = ("lessons", "viewers of each", "recorder, % of a core", "a lesson's", "writes/s a lesson",
        "syncs/s a lesson", "written, kB/s a lesson", "slowest durable, ms", "late", "gaps", "short",
        "WebSocket p50, ms", "p99", "RTP p50, ms", "p99", "relay, %", "relay, MiB", "recorder, MiB",
        "senders and viewers, %", "machine, %")


def times(delay):
    """Of nobody there are none."""
    delay = delay or {}
    return [f"{delay[part]:.0f}" if delay.get(part) is not None else "–" for part in ("p50", "p99")]


def row(f):
    each = f["lessons"] * f["seconds"]
    share = 100 / f["seconds"]
    return (f["lessons"], f["viewers"] or "–",
            f"{f['cpu_s'] * share:.1f}", f"{f['cpu_s'] * 100 / each:.2f}",
            f"{(f['chunks_total'] + f['syncs_total'] / 2) / each:.1f}", f"{f['syncs_total'] / each:.1f}",
            f"{f['bytes_total'] / each / 1000:.0f}", f"{f['durable_s'] * 1000:.0f}",
            f"{late(f)}", f["gaps"], f["short"], *times(f["web_ms"]), *times(f["rtp_ms"]),
            f"{f['relay_s'] * share:.0f}", f"{f['relay_mib']:.0f}", f"{f['recorder_mib']:.0f}",
            f"{f['sender_s'] * share:.0f}",
            f"{f['machine_s'] * share:.0f}")


def late(f):
    return sum(int(f[name]) for name in FAULTS) + int(f["dropped"])


def main():
    parser = argparse.ArgumentParser(
        prog="tools/bench --recorded", description="Sends so many lessons of 2 Mbit/s to a relay, has "
        "all of them recorded and watched, and tells what that costs. Status 1: something was late.")
    parser.add_argument("--lessons", type=int, action="append", metavar="N",
                        help="may be given again; 20 if not given")
    parser.add_argument("--viewers", type=int, default=0, metavar="N",
                        help="of each lesson, two of three over WebSocket and one over RTP; one in all if "
                        "not given")
    parser.add_argument("--seconds", type=int, default=30, help="measured for each")
    parser.add_argument("--data", type=pathlib.Path, help="a folder on the disk that is meant")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    print("| " + " | ".join(HEAD) + " |\n|" + "---:|" * len(HEAD))
    bad = 0
    for count in options.lessons or [20]:
        figures = record(count, options.seconds, options.data, options.viewers)
        bad += late(figures) + figures["gaps"] + figures["short"]
        print("| " + " | ".join(map(str, row(figures))) + " |", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
