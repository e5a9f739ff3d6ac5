# SPDX-License-Identifier: MIT
"""Schools whose relays' own lines to the city are too weak for the lesson: they get the picture that
the line carries, sound first, and a browser there sees one lesson that goes on."""

# tools/test: alone, for what is late on a busy machine is late for the relay as well.

import types
import unittest

from lines import City
from places import Place, Wire, possible
from stairs import Browser
from tongke import Deadline, Relay, clip

MAIN, LOW = (320, 180), (160, 90)
CAMERA = ("--source", clip(30, 0, 25, "1600k"), "--loop", "--size", "320x180", "--bitrate", "1000", "--low",
          "--low-size", "160x90", "--low-bitrate", "100")


class School:
    def __init__(self, city, transport, seed):
        self.transport, self.place = transport, Place(city.cleanup)
        self.wire = Wire(city.cleanup, city.place, self.place, seed=seed, delay=20, rate=500, buffer=48)
        token_file = city.folder / transport
        token_file.write_text(city.key.token("recorder", "--school", transport))
        self.token = city.token
        self.relay = Relay(city.cleanup, {
            "auth.key_file": city.key.path, "upstream.token_file": token_file,
            "upstream.relays": f"http://{self.wire.near}:{city.relay.http_port}",
            "upstream.transport": transport, "upstream.rendition": "auto"}, place=self.place)
        self.lesson = types.SimpleNamespace(relay=self.relay, token=self.token, cleanup=city.cleanup)
        self.browser = self.browse()

    def browse(self):
        return Browser(self.lesson, self.place, "127.0.0.1", store=2.5)

    def gets(self, rendition, size):
        """What its relay says and what comes to the browser there."""
        lesson = self.place.call(self.relay.get, "/api/v1/lessons/math", self.token)
        streams = lesson.get("streams", [{}])  # it may not have come yet
        told = streams[0].get("in", {}).get("rendition")
        return told == rendition and self.browser.sizes[-1] == size

    def missing_s(self):
        return sum(gone for _, gone, why in self.browser.gaps if why != "stood")


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class WeakLine(unittest.TestCase):
    def setUp(self):
        self.city = City(self.addCleanup, camera=CAMERA)
        self.admin = self.city.key.token("admin")
        self.udp, self.tcp = (School(self.city, way, seed) for seed, way in enumerate(("udp", "tcp"), 1))

    def states(self, school):
        """How its relay follows, as the city has it."""
        told = self.city.place.call(self.city.relay.get, "/api/v1/schools", self.admin)
        return [list(one["states"]) for one in told["schools"] if one["name"] == school.transport]

    def wait_for(self, holds):
        deadline = Deadline()
        while not holds():
            self.assertFalse(deadline.over(), [(s.transport, s.browser.steps, s.browser.sizes)
                                               for s in (self.udp, self.tcp)])
            self.city.pass_time(0.25)

    def is_given(self, school, rendition, size):
        state = "live" if rendition == "main" else rendition
        return school.gets(rendition, size) and self.states(school) == [[state]]

    def set(self, rate):
        for school in (self.udp, self.tcp):
            school.wire.set(rate=rate)

    def test_the_school_gets_what_the_line_of_its_relay_carries(self):
        self.wait_for(lambda: self.is_given(self.udp, "low", LOW))
        self.set(130)  # low needs 170
        self.wait_for(lambda: self.is_given(self.udp, "audio", None))
        metric = 'stream_rendition{lesson="math",stream="main",rendition="audio"}'
        self.assertEqual(self.udp.place.call(self.udp.relay.metric, metric), 1)
        late = self.udp.browse()
        self.wait_for(lambda: late.end)
        self.assertEqual((late.rendition, late.sizes[-1]), ("audio", None))
        self.assertGreater(late.end, self.udp.browser.end - 1)
        self.set(4000)
        self.wait_for(lambda: self.is_given(self.udp, "main", MAIN))
        # Over TCP it has the same, at its own pace.
        self.wait_for(lambda: self.tcp.browser.sizes[-1])
        self.assertIn(LOW, self.tcp.browser.sizes)
        self.assertIn("audio", [rendition for _, rendition in self.tcp.browser.steps])
        self.assertEqual(self.tcp.missing_s(), 0)
        # What a flooded line lost before the city knew of it and could not come again in time.
        self.assertLess(self.udp.missing_s(), self.udp.browser.now() / 10)


if __name__ == "__main__":
    unittest.main()
