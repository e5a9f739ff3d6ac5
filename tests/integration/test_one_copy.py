# SPDX-License-Identifier: MIT
"""One copy of a lesson goes over the line between two relays, however many watch below it: the bytes that
come in at the county, beside those of the lesson itself."""

import re
import subprocess
import unittest

from chain import Chain, Class
from places import possible
from tongke import BUILD, Deadline, from_film

VIEWERS = 30
WINDOW_S = 5
APART = 0.02
OPEN = {"auth.key_file": "", "rtsp.listen": "127.0.0.1", "web.listen": "127.0.0.1"}  # the crowd has no token


def came_in():
    """Bytes that the wire's end in this place has received."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as devices:
        return int(re.search(r"line\d+:\s*(\d+)", devices.read())[1])


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class OneCopy(unittest.TestCase):
    def setUp(self):
        self.chain = Chain(self.addCleanup)
        self.city, self.county = self.chain.level("city"), self.chain.level("county", **OPEN)
        self.county.wire.set(delay=10)
        self.chain.publish(*from_film())
        self.seen = Class(self.county)
        self.seen.pass_time(3)

    def came_in(self):
        return self.county.place.call(came_in)

    def now(self):
        """The lesson's bytes, and those that had come over the line before they were read, and after
        what was under way just then: both can only be read one after the other."""
        before = self.came_in()
        lesson = self.city.place.call(
            self.city.relay.metric, 'stream_bytes_received_total{lesson="math",stream="main"}')
        self.seen.pass_time(0)
        return before, lesson, self.came_in()

    def share(self):
        """What came over the line for each byte of the lesson: at least, and at most."""
        deadline, dialed = Deadline(), None
        while dialed != self.dialed():  # a line that was silent, and dialed anew, brings some twice
            self.assertFalse(deadline.over(), "the line is dialed again and again")
            dialed, begin = self.dialed(), self.now()
            self.seen.pass_time(WINDOW_S)
            end = self.now()
        lesson = end[1] - begin[1]
        return (end[0] - begin[2]) / lesson, (end[2] - begin[0]) / lesson

    def dialed(self):
        return sum("fetched from upstream" in line for line in self.county.relay.err)

    def crowd(self):
        rtp, web = VIEWERS // 2, VIEWERS - VIEWERS // 2
        relay = self.county.relay
        # pylint: disable-next=consider-using-with
        crowd = subprocess.Popen(list(map(str, self.county.place.inside([
            BUILD / "tests" / "bench" / "tongke-load", "--rtsp", relay.rtsp("math"),
            "--viewers-rtp", rtp, "--web", relay.ws("/live/math"), "--viewers-ws", web,
            "--seconds", 600]))), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(crowd.wait)
        self.addCleanup(crowd.kill)
        deadline = Deadline()
        while sum(self.county.lesson()["viewers"].values()) < VIEWERS:
            self.assertFalse(deadline.over() or crowd.poll() is not None, "the crowd does not come")
            self.seen.pass_time(0.3)

    def test_thirty_viewers_cost_the_line_what_one_does(self):
        one = self.share()
        self.crowd()
        many = self.share()
        self.assertLess(one[0], 1.15)  # the packets' own heads, reports, events
        self.assertLess(many[0] / one[1], 1 + APART)
        self.assertGreater(many[1] / one[0], 1 - APART)


if __name__ == "__main__":
    unittest.main()
