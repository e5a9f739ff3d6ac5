# SPDX-License-Identifier: MIT
"""Several packet workers on one pair of UDP ports, each sending in whatever way the kernel takes."""

# tools/test: alone, since who is short of what is told by whether a loaded machine keeps up.

import json
import os
import pathlib
import re
import unittest

from tongke import BUILD, Relay, request, run

GENERATOR = BUILD / "tests" / "bench" / "tongke-load"
WORKERS = 3


def worker_cores(relay):
    """What each packet worker's thread may run on."""
    cores = {}
    for task in pathlib.Path(f"/proc/{relay.pid}/task").iterdir():
        status = (task / "status").read_text()
        name = re.search(r"^Name:\t(.*)$", status, re.M)[1]
        if name.startswith("packets-"):
            cores[name] = re.search(r"^Cpus_allowed_list:\t(.*)$", status, re.M)[1]
    return cores


class Workers(unittest.TestCase):
    def watch(self, relay, *options):
        status, out, err = run([GENERATOR, "--send", relay.rtsp("crowd"), "--rtsp", relay.rtsp("crowd"),
                                "--viewers-rtp", "12", "--seconds", "1", "--join-over", "0.1", *options])
        self.assertEqual(status, 0, out + err + relay.tail())
        saw = json.loads(out)["rtp"]
        self.assertEqual((saw["joined"], saw["left"], saw["short"]), (12, 0, 0))
        self.assertEqual((saw["missing"], saw["doubles"]), (0, 0))

    def check_back_end(self, backend, **settings):
        relay = Relay(self.addCleanup,
                      {"workers.packet": WORKERS, "udp.backend": backend, **settings})
        relay.wait_log(f"RTP leaves by {backend}")
        self.watch(relay)
        text = request("GET", relay.url + "/metrics").text()
        for word in "worker_rtp_packets_sent_total", "worker_cpu_seconds_total":
            each = re.findall(rf'^tongke_{word}\{{worker="\d"\}} ([0-9.]+)$', text, re.M)
            self.assertEqual([float(value) > 0 for value in each], [True] * WORKERS, word)
        shown = re.findall(r'^tongke_udp_backend_info\{worker="(\d)",backend="(\w+)"\} 1$', text, re.M)
        self.assertEqual(shown, [(str(i), backend) for i in range(WORKERS)])
        trains, packets = relay.metric("rtp_trains_sent_total"), relay.metric("rtp_packets_sent_total")
        self.assertEqual(trains < packets, backend == "gso")
        cores = worker_cores(relay)
        relay.stop()
        return cores

    def test_trains(self):
        cores = self.check_back_end("gso", **{"workers.pin": "true"})
        mine = sorted(os.sched_getaffinity(0))
        self.assertEqual(cores, {f"packets-{i}": str(mine[i % len(mine)]) for i in range(WORKERS)})

    def test_one_by_one(self):
        self.check_back_end("sendto")
