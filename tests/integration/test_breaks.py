# SPDX-License-Identifier: MIT
"""After whatever breaks, the page's kind of viewer and tongke-player see the lesson again by themselves.
breaks.py tells how long that takes."""

import unittest

from breaks import suffer
from places import possible


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class Breaks(unittest.TestCase):
    def suffer(self, word):
        stood = suffer(self.addCleanup, word, ("browser", "tongke-player"))
        self.assertNotIn(None, stood.values(), stood)

    def test_the_sender_is_killed(self):
        self.suffer("the sender is killed")

    def test_the_senders_address_changes(self):
        self.suffer("the sender's address changes")

    def test_the_viewers_address_changes(self):
        self.suffer("the viewers' address changes")

    def test_the_relay_is_killed(self):
        self.suffer("the relay is killed")

    def test_the_relay_above_is_out_of_reach(self):
        self.suffer("the relay above is out of reach")


if __name__ == "__main__":
    unittest.main()
