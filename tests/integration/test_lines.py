# SPDX-License-Identifier: MIT
"""A tenth of the packets lost each way and a round trip of 200 ms, singly and five at a time, below
RTP and below TCP: nobody misses a picture. lines.py does the same for a minute and more kinds."""

# tools/test: alone, for what a busy machine brings later than a second is lost to a player.
# tools/test: in real time, so not with sanitizers.

import unittest

from lines import City, Player, School, browser
from places import possible

LATE_S = 0.35  # beside the relay: this machine is late itself, and repairs are


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class Lines(unittest.TestCase):
    def test_no_picture_is_missing(self):
        city = City(self.addCleanup)
        schools = [School(city, burst=burst, seed=seed) for burst, seed in ((1, 1), (5, 2))]
        viewers = [(school, kind(school)) for school in schools for kind in (Player, browser)]
        for school in schools:
            school.spoil()
        late_s = city.pass_time(10)
        all_saw = [(school, viewer, viewer.saw()) for school, viewer in viewers]
        # By a camera on a busy machine; a gap that is no whole number of pictures may count twice.
        unsent = 2 * city.browser.saw()["missing"]
        for school, viewer, saw in all_saw:
            with self.subTest(kind=type(viewer).__name__, burst=school.burst, **saw):
                self.assertGreater(saw["pictures"], 150)
                self.assertLess(saw["missing"] - unsent, saw["pictures"] / 10)
                if late_s < LATE_S:
                    self.assertLessEqual(saw["missing"], unsent)
                    self.assertEqual(saw.get("lost", 0) + saw.get("late", 0), 0)
                self.assertEqual(saw.get("chunks_missing", 0), 0)
        for school in schools:
            down, up = school.wire.count()
            self.assertGreater(down[1], 50)
            self.assertGreater(up[1], 3)

    def test_without_repair_pictures_are_missing(self):
        city = City(self.addCleanup, **{"repair.enabled": "false"})
        school = School(city)
        player = Player(school)
        school.spoil()
        city.pass_time(4)
        saw = player.saw()
        self.assertGreater(saw["lost"], 10)
        self.assertEqual(saw["repaired"], 0)


if __name__ == "__main__":
    unittest.main()
