# SPDX-License-Identifier: MIT
"""The tables of docs/performance.md."""

import datetime
import os
import platform
import re
import subprocess

from peers import ROOT, BareTcp, rtp_peers, web_peers

INTRODUCTION = """\
# Performance

Written by `tools/bench`; every figure was measured in the run named here, nothing is carried over.
One lesson is H.264 and AAC of 2 Mbit/s together, 30 pictures a second, a keyframe four times as long
as the others every 2 s, RTP packets of at most 1,200 bytes. Generator and server share the machine
and talk over loopback, so that the sender's CPU time holds half of each receiver's work, for all
alike.

* CPU: the server's process, all its threads, by the scheduler's account, over the measured time, for
  each viewer and second. Generator not included.
* delay: from the sender's stamp inside the packet (of a chunk: of each picture in it) to its arrival
  in the receiver's kernel. What is sent in chunks of 100 ms waits up to 100 ms to be one.
* first media: from the beginning of the connection to the first media packet or chunk. The bare loops
  and multiudpsink have no connections.
* memory: resident memory with so many viewers less that with one, for each viewer.
* short: viewers that got less than 99 % of what was sent, or that left; missing: packets or chunks
  that the numbers say are missing, over all viewers. Both are the worst of the rounds. Where viewers
  are short the server did less than it was asked, and its CPU time is that of less.
* receivers: over RTP they report every second, as players do (RFC 3550), and so do those of chunks
  over WebSocket, as the page does; the other servers there, the bare loops and multiudpsink take no
  reports. Measuring begins when all have caught up with the sender, 6 s after the last joined at
  most. What a delay of the relay is worth the bare loops tell: they have the same packets, sockets,
  congestion control (BBR) and machine.
"""


def write(parts, options):
    blocks = [INTRODUCTION + trial_note(options), machine(parts)]
    if "rtp" in parts:
        blocks.append("## RTP over UDP\n\n" + compared(parts["rtp"], "rtp", BARE_RTP))
    if "web" in parts:
        blocks.append("## WebSocket and RTMP\n\nnginx-rtmp sends RTMP, node-media-server FLV over "
                      "WebSocket, a message for each frame.\n\n"
                      + compared(parts["web"], "web", {name: BareTcp.name for name in WEB_NAMES}))
    if "growth" in parts:
        blocks.append("## More lessons, more workers\n\nHalf of the viewers over RTP, half over "
                      "WebSocket; “1 + 1” is packet and web workers.\n\n" + plain(parts["growth"]))
    if "storm" in parts:
        blocks.append("## The bell\n\n" + plain(parts["storm"]))
    if "loss" in parts:
        blocks.append("## Lossy lines\n\nPackets are lost at random on the way to each viewer, repairs "
                      "too; it asks for them again every 30 ms (NACK). Missing is what had not come "
                      "when measuring ended: what was lost in its last 30 ms has just been asked for "
                      "again.\n\n" + plain(parts["loss"]))
    if "disturbed" in parts:
        blocks.append("## Slow viewers\n\nThe figures are those of the viewers that read.\n\n"
                      + plain(parts["disturbed"]))
    return "\n".join(blocks)


# Whose ratio is to which bare loop: receivers that take trains are another kind of network.
GSO = "bare sendmmsg + UDP_SEGMENT loop"
BARE_RTP = {peer.name: GSO + (", receivers with GRO" if "GRO" in peer.name else "")
            for peer in rtp_peers()}
WEB_NAMES = [peer.name for peer in web_peers()]


def trial_note(options):
    if not options.trial:
        return ""
    return "\n**A trial on a busy machine: no figure here is worth quoting.**\n"


def generator_share(parts):
    """The load generator's busiest run: near a whole core it would disturb what it measures."""
    runs = [run for cases in parts.values() for measured in cases for run in measured.runs]
    return max((run["generator"]["cpu_s"] / run["seconds"] for run in runs), default=0)


def lengths(parts):
    groups = {}
    for name, cases in parts.items():
        groups.setdefault((cases[0].rounds, cases[0].seconds), []).append(name)
    return "; ".join(f"{', '.join(names)}: {rounds} × {seconds:g} s"
                     for (rounds, seconds), names in groups.items())


def machine(parts):
    model = re.search(r"model name\s*: (.*)", read("/proc/cpuinfo"))
    memory = int(re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))[1]) / 2**20
    system = re.search(r'PRETTY_NAME="(.*)"', read("/etc/os-release"))
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True,
                            text=True, check=False).stdout.strip()
    versions = {peer.name.split(",")[0]: peer.version() for peer in rtp_peers() + web_peers()
                if not peer.missing() and peer.version()}
    rows = [("machine", f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, "
                        f"{memory:.0f} GiB"),
            ("system", f"{system[1] if system else 'unknown'}, Linux {platform.release()}"),
            ("date", datetime.datetime.now().astimezone().isoformat(timespec="minutes")),
            ("Tongke", commit or "unknown"),
            ("rounds", f"{lengths(parts)} of each case, round robin; medians"),
            ("load generator", f"at most {generator_share(parts):.0%} of a core"),
            ("load at the end", " ".join(f"{load:.1f}" for load in os.getloadavg())),
            *versions.items()]
    return table(["", ""], [[name, value] for name, value in rows])


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def table(head, rows):
    lines = [head, ["---" if i == 0 else "--:" if head[1] else "---" for i in range(len(head))], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def number(value, form="{:.1f}"):
    return "–" if value is None else form.format(value)


def memory_kib(measured, cases):
    one = next((m for m in cases if m.viewers == 1 and m.peer.name == measured.peer.name), None)
    if measured.viewers == 1 or one is None:
        return None
    many, single = (m.median("process", "rss_after") for m in (measured, one))
    if many is None or single is None:
        return None
    return (many - single) / (measured.viewers - 1) / 1024


def bare_cpu(measured, cases, bare):
    for other in cases:
        if other.viewers == measured.viewers and other.peer.name == bare[measured.peer.name]:
            return other.median("process", "cpu_us_per_viewer_s")
    return None


def compared(cases, way, bare):
    head = ["", "viewers", "CPU µs", "× bare", "delay p50 ms", "p99", "first media p50 ms", "p99",
            "KiB per viewer", "short", "missing"]
    rows = []
    for viewers in sorted({m.viewers for m in cases}):
        for measured in (m for m in cases if m.viewers == viewers):
            rows.append(compared_row(measured, cases, way, bare))
    return table(head, rows)


def compared_row(measured, cases, way, bare):
    row = [measured.peer.name, f"{measured.viewers:,}"]
    if not measured.runs:
        return row + [measured.problem or "not run"] + ["–"] * 8
    cpu, least = measured.median("process", "cpu_us_per_viewer_s"), bare_cpu(measured, cases, bare)
    joined = hasattr(measured.peer, "start_sink")
    first = [None, None] if joined else [measured.median(way, "first_media_ms", p) for p in ("p50", "p99")]
    return row + [
        number(cpu, "{:,.0f}"), number(cpu / least if cpu and least else None, "{:.2f}"),
        number(measured.median(way, "delay_ms", "p50")), number(measured.median(way, "delay_ms", "p99")),
        *map(number, first), number(memory_kib(measured, cases)),
        number(measured.worst(way, "short"), "{:,}"), number(measured.worst(way, "missing"), "{:,}")]


def plain(cases):
    head = ["", "CPU µs", "RTP delay p50 ms", "p99", "WebSocket p50 ms", "p99", "first media p50 ms",
            "p99", "longest", "short", "missing"]
    rows = []
    for m in cases:
        if not m.runs:
            rows.append([m.peer.name, m.problem or "not run"] + ["–"] * 9)
            continue
        delays = [m.median(way, "delay_ms", p) for way in ("rtp", "web") for p in ("p50", "p99")]
        ways = [way for way in ("rtp", "web") if m.worst(way, "count")]
        first = [max((m.median(way, "first_media_ms", p) or 0 for way in ways), default=None)
                 for p in ("p50", "p99", "max")]
        rows.append([m.peer.name, number(m.median("process", "cpu_us_per_viewer_s"), "{:,.0f}"),
                     *map(number, delays), *map(number, first),
                     number(sum(m.worst(way, "short") for way in ways), "{:,}"),
                     number(sum(m.worst(way, "missing") for way in ways), "{:,}")])
    return table(head, rows)
