# SPDX-License-Identifier: MIT
"""City, county and school over bad lines: what is cut off is made up for, what is lost is repaired."""

import unittest

from chain import COUNTRY, Chain, Class, Village
from places import possible
from stairs import FILMS, Browser
from tongke import Deadline, from_film, request


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class Lines(unittest.TestCase):
    def test_a_recorder_below_a_cut_line_loses_nothing(self):
        chain = Chain(self.addCleanup)
        city, county = chain.level("city", **{"history.packet_s": 30}), chain.level("county")
        county.wire.set(delay=20)
        recorder = chain.record(county)
        chain.publish(*from_film())
        above, seen = Class(city), Class(county)
        recorder.wait_log(r"state armed -> recording")
        seen.pass_time(0)
        seen.pass_time(2)
        county.wire.set(loss=100)
        above.pass_time(3)
        county.wire.set(loss=0)
        seen.pass_time(4)
        numbers = seen.numbers()
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        self.assertGreater(max(b - a for (a, _, _), (b, _, _) in zip(seen.came, seen.came[1:])), 2)
        city.place.call(request, "POST", f"{city.relay.url}/api/v1/lessons/math/end", None,
                        chain.key.token("admin"))
        found = recorder.wait_log(r"recording closed: ([\d.]+) s, 1 streams, (\d+) gaps")
        self.assertEqual(found[2], "0")
        self.assertGreater(float(found[1]), 8)

    def test_a_school_behind_a_weak_line_misses_nothing(self):
        chain = Chain(self.addCleanup)
        city = chain.level("city")
        school = chain.level("school")
        school.wire.set(**COUNTRY)
        chain.publish(*from_film())
        above, seen = Class(city), Class(school)
        seen.pass_time(0)  # until it has begun
        seen.pass_time(8)
        saw = seen.saw()
        self.assertEqual(saw["missing"], 0)
        self.assertEqual(seen.picture.lost(above.picture), [])
        self.assertGreater(saw["chunks"], 50)
        down, _ = school.wire.count()
        self.assertGreater(down[1], 10)  # lost on the line
        if saw["longest_silence_s"] < 1:  # else the line itself stood, and gave all at once
            self.assertEqual(down[2], 0)  # refused by its buffer

    def test_low_comes_down_to_who_needs_it(self):
        chain = Chain(self.addCleanup)
        city, county = chain.level("city"), chain.level("county")
        chain.publish_films(FILMS)
        above = Class(city)
        village = Village(county, delay=25, buffer=64)
        village.wire.set(rate=4000)
        chain.relay = county.relay
        browser = Browser(chain, village.place, village.near, store=2.5)
        above.pass_time(4)
        fetched, said = r"fetched from upstream .*stream=low", "\n".join(county.relay.err)
        # On a busy machine it may be late, and need it, on a good line.
        if not county.place.call(county.relay.metric, "ws_moved_down_total"):
            self.assertNotRegex(said, fetched)
        village.wire.set(rate=800)
        county.relay.wait_log(fetched)
        deadline = Deadline()
        while browser.rendition != "low":
            self.assertFalse(deadline.over(), browser.steps)
            above.pass_time(0.5)
        self.assertEqual(browser.gaps_but(above.saw()["longest_silence_s"]), [])


if __name__ == "__main__":
    unittest.main()
