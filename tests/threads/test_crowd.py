# SPDX-License-Identifier: MIT
"""ThreadSanitizer watches the relay, two workers of each kind, under a crowd that comes and goes."""

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "integration")]

from soak import soak  # pylint: disable=wrong-import-position
from tongke import BUILD  # pylint: disable=wrong-import-position


class Threads(unittest.TestCase):
    def test_a_crowd_comes_and_goes(self):
        # The relay's end is held to status 0 and to silence of the sanitizer. Who falls short says
        # only that everything takes ten times as long.
        lines, wrong = soak(12, 2, settings={"workers.packet": 2, "workers.web": 2}, scale=5)
        left_over = [what for what in wrong if "fell short" not in what]
        self.assertEqual(left_over, [], "\n".join(lines))

    def test_mailboxes(self):
        done = subprocess.run([BUILD / "tests" / "unit" / "relay" / "test-relay-mailbox"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
