# SPDX-License-Identifier: MIT
"""The rendition for weak lines that tongke-capture sends beside the main picture."""

import unittest

from tongke import Deadline, Relay, capture
from websocket import Chunk, WebSocket, is_init

SMALL = ["--size", "640x360", "--bitrate", "400", "--low-size", "320x180", "--low-bitrate", "100"]
PICTURE, SOUND = 1, 2
PICTURE_HZ, SOUND_HZ, FRAME = 90000, 48000, 1024
NEAR_S = 0.001  # clocks are read one after the other


def is_keyframe(sample):
    at = 0
    while at + 4 < len(sample):
        if sample[at + 4] & 31 == 5:
            return True
        at += 4 + int.from_bytes(sample[at:at + 4], "big")
    return False


class Watched:
    """What came of one stream: its keyframes' times, its frames of sound with theirs."""

    def __init__(self, cleanup, relay, stream):
        self.socket = WebSocket(cleanup, relay.ws(f"/live/math/{stream}"))
        self.keys, self.sound, self.pictures, self.bytes = [], [], 0, 0
        self.begin_s = self.end_s = None

    def read(self):
        data = self.socket.next_binary()
        if is_init(data):
            return
        chunk = Chunk(data)
        pictures = chunk.samples.get(PICTURE, [])
        if pictures:
            self.end_s = chunk.times[PICTURE] / PICTURE_HZ
            self.begin_s = self.end_s if self.begin_s is None else self.begin_s
            self.pictures += len(pictures)
            self.bytes += sum(map(len, pictures))
            if is_keyframe(pictures[0]):
                self.keys.append(self.end_s)
        for index, frame in enumerate(chunk.samples.get(SOUND, [])):
            self.sound.append(((chunk.times[SOUND] + index * FRAME) / SOUND_HZ, frame))

    def pass_time(self, seconds):
        deadline, end_s = Deadline(), None
        while end_s is None or self.end_s < end_s:
            self.read()
            if end_s is None and self.end_s is not None:
                end_s = self.end_s + seconds
            if deadline.over():
                raise AssertionError(f"the picture stands at {self.end_s}")


def together(one, other):
    """What both have had of keyframes and sound, in order."""
    begin_s = max(one.begin_s, other.begin_s) - NEAR_S
    end_s = min(one.end_s, other.end_s) - NEAR_S
    keys = [[k for k in w.keys if begin_s <= k <= end_s] for w in (one, other)]
    sound = [[(t, f) for t, f in w.sound if begin_s <= t <= end_s] for w in (one, other)]
    return keys, sound


class Low(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def watch(self, stream):
        return Watched(self.addCleanup, self.relay, stream)

    def stream(self, name):
        return next(s for s in self.relay.lesson("math")["streams"] if s["name"] == name)

    def check_sound(self, main, low):
        """Frame by frame the same, at the same times."""
        _, (ours, others) = together(main, low)
        self.assertGreater(len(ours), 100)
        self.assertEqual([f for _, f in ours], [f for _, f in others])
        self.assertLess(max(abs(a - b) for (a, _), (b, _) in zip(ours, others)), NEAR_S)

    def test_keyframes_and_sound_are_those_of_main(self):
        sender = capture(self.addCleanup, self.relay, "math", "--low", *SMALL)
        sender.wait_log("low: connected")
        main, low = self.watch("main"), self.watch("low")
        main.pass_time(7)
        low.pass_time(7)
        (keys, low_keys), _ = together(main, low)
        self.assertGreaterEqual(len(keys), 2)
        self.assertEqual(len(keys), len(low_keys), (main.keys, low.keys))
        self.assertLess(max(abs(a - b) for a, b in zip(keys, low_keys)), NEAR_S)
        self.check_sound(main, low)
        # Smaller, at half as many pictures, and at the rate that was asked for.
        self.assertEqual([(s["width"], s["height"]) for s in map(self.stream, ("main", "low"))],
                         [(640, 360), (320, 180)])
        self.assertAlmostEqual(low.pictures / main.pictures, 0.5, delta=0.1)
        rate = low.bytes * 8 / (low.end_s - low.begin_s)
        self.assertTrue(50000 < rate < 120000, rate)
        sender.stop()


if __name__ == "__main__":
    unittest.main()
