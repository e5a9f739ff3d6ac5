# SPDX-License-Identifier: MIT
"""Classes with players of RTP whose lines narrow and widen: they get the picture that the line carries,
sound first, and for the player it is one stream."""

# tools/test: alone, for what is late on a busy machine is late for the relay as well.
# tools/test: in real time, so not with sanitizers.

import re
import subprocess
import unittest

from lines import City, Player
from places import Place, Wire, possible
from tongke import Deadline, clip

MAIN, LOW = (320, 180), (160, 90)
SOUNDS = re.compile(r"(\d+) sounds, (\d+) missing")
SPAN_S = 3  # at each rate, besides what the moves take
BACK_S = 20
CLEAN_S = 0.35  # whoever is later is taken for late (relay/core/rendition.h)
AAC_STEP_S, NEAR_S = 1024 / 48000, 0.002


def camera():
    return ("--source", clip(30, 0, 25, "1600k"), "--loop", "--size", "320x180", "--bitrate", "1600", "--low",
            "--low-size", "160x90", "--low-bitrate", "120")


class School:
    def __init__(self, city, seed):
        self.city = city
        self.place = Place(city.cleanup)
        self.wire = Wire(city.cleanup, city.place, self.place, seed=seed, delay=20, rate=4000, buffer=64)

    def url(self):
        return f"rtsp://{self.wire.near}:{self.city.relay.rtsp_port}/math"


class Ffmpeg:
    """ffmpeg over TCP; it writes what it gets as it comes, bit for bit."""

    def __init__(self, school):
        self.path = school.city.folder / "ffmpeg.ts"
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            list(map(str, school.place.inside([
                "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i",
                f"{school.url()}?token={school.city.token}", "-c", "copy", "-f", "mpegts", self.path]))),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        school.city.cleanup(self.process.wait)
        school.city.cleanup(self.process.kill)

    def probe(self, kind, entries):
        done = subprocess.run(
            ["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", entries, "-of", "csv=p=0",
             self.path], capture_output=True, text=True, check=True, timeout=60)
        return [line.strip(",") for line in done.stdout.split()]

    def saw(self):
        """Steps of the sound's times, and the pictures' sizes."""
        self.process.communicate("q", timeout=30)
        times = [float(time) for time in self.probe("a", "packet=pts_time")]
        sizes = self.probe("v", "frame=width,height")
        steps = [later - sooner for sooner, later in zip(times, times[1:])]
        return steps, [tuple(map(int, size.split(","))) for size in sizes]


@unittest.skipUnless(possible(), "no right to make network namespaces and tun devices")
class Rates(unittest.TestCase):
    def setUp(self):
        self.city = City(self.addCleanup, camera=camera())
        self.schools = [School(self.city, seed) for seed in (1, 2)]
        self.player, self.ffmpeg = Player(self.schools[0]), Ffmpeg(self.schools[1])
        self.wait_for(lambda: self.live() == 2)
        self.city.pass_time(SPAN_S)

    def metric(self, name):
        return self.city.place.call(self.city.relay.metric, name)

    def live(self):
        return self.metric('rtp_viewers_by_state{state="live"}')

    def moves(self, way):
        """Down, and how far: a line that fell in one step is not known at once."""
        moved = re.compile(f"a viewer over {way}: (low|audio), was live")
        return sum(bool(moved.search(line)) for line in self.city.relay.err)

    def wait_for(self, holds):
        deadline = Deadline()
        while not holds():
            self.assertFalse(deadline.over(), self.city.relay.tail(20))
            self.city.pass_time(0.5)

    def falls(self):
        moved = re.compile(r"a viewer over \w+: (live|low|audio), was (live|low|audio)")
        found = (moved.search(line) for line in self.city.relay.err)
        rank = ("live", "low", "audio").index
        return sum(rank(one[1]) > rank(one[2]) for one in found if one)

    def wait_back(self):
        """Until both have the whole picture again. That takes BACK_S at most, by the lesson, unless the
        machine itself was late, which looks like a line that is full; and for a step up that had to be
        taken back it may take twice as long, for two of them at most."""
        deadline, passed, since = Deadline(), 0.0, 0.0
        first = fell = self.falls()
        while self.live() != len(self.schools):
            self.assertFalse(deadline.over(), self.city.relay.tail(20))
            late_s = self.city.pass_time(0.5)
            passed += 0.5
            if late_s > CLEAN_S or self.falls() > fell:
                since, fell = passed, self.falls()
            self.assertLessEqual(passed - since, BACK_S * 2 ** min(fell - first, 2), self.city.relay.tail(20))

    def set(self, rate):
        for school in self.schools:
            school.wire.set(rate=rate)

    def test_the_rendition_follows_the_line_and_the_sound_goes_on(self):
        self.set(1000)
        self.wait_for(lambda: self.moves("UDP") and self.moves("TCP"))
        self.city.pass_time(SPAN_S)
        self.set(300)
        self.city.pass_time(SPAN_S)
        self.set(4000)
        self.wait_back()
        self.city.pass_time(SPAN_S)
        self.assertEqual(self.metric("rtp_viewers_gone_total"), 0)
        self.assertEqual(self.metric("rtp_packets_dropped_total"), 0)
        self.player.saw()
        came, missing = map(int, SOUNDS.search("\n".join(self.player.program.err)).groups())
        self.assertGreater(came, 500)
        # What a flooded line lost before the relay knew of it and could not come again in time.
        self.assertLess(missing, came / 100)
        steps, sizes = self.ffmpeg.saw()
        self.assertEqual([step for step in steps if abs(step - AAC_STEP_S) > NEAR_S], [])
        self.assertEqual({MAIN, LOW}, set(sizes))
        self.assertIn(MAIN, sizes[sizes.index(LOW):])


if __name__ == "__main__":
    unittest.main()
