# SPDX-License-Identifier: MIT
"""A class whose line narrows gets a smaller picture, then the sound alone, and the best again when the
line is well; its sound does not stop. stairs.py does the same for longer."""

# tools/test: alone, for what is late on a busy machine is late for the relay as well.
# tools/test: in real time, so not with sanitizers.

import unittest

from lines import City
from places import Place, Wire, possible
from stairs import FILMS, Browser
from tongke import Deadline

SETTLED_S = 3  # until what was under way of the rendition before has passed: then a step is known at once


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class Renditions(unittest.TestCase):
    def setUp(self):
        self.city = City(self.addCleanup, films=FILMS)
        place = Place(self.addCleanup)
        self.wire = Wire(self.addCleanup, self.city.place, place, delay=25, buffer=64)
        self.wire.set(rate=4000)
        self.browser = Browser(self.city, place, self.wire.near, store=2.5)
        self.late_s = self.city.pass_time(3)

    def wait_for(self, *renditions):
        deadline = Deadline()
        while self.browser.rendition not in renditions:
            self.assertFalse(deadline.over(), f"never {renditions}: {self.browser.steps}")
            self.pass_time(0.5)

    def pass_time(self, seconds):
        self.late_s = max(self.late_s, self.city.pass_time(seconds))

    def test_the_picture_follows_the_line_and_the_sound_goes_on(self):
        self.assertEqual(self.browser.rendition, "main")
        self.wire.set(rate=1000)
        self.wait_for("low")
        self.pass_time(SETTLED_S)
        self.wire.set(rate=200)
        self.wait_for("audio")
        self.wire.set(rate=4000)
        self.wait_for("main")
        self.pass_time(2)
        self.assertEqual(self.browser.gaps_but(self.late_s), [], self.browser.steps)
        down = self.city.place.call(self.city.relay.metric, "ws_moved_down_total")
        self.assertGreaterEqual(down, 2)
        self.assertEqual(self.city.place.call(self.city.relay.metric, "ws_chunks_dropped_total"), 0)


if __name__ == "__main__":
    unittest.main()
