# SPDX-License-Identifier: MIT
"""The rendition for weak lines that tongke-capture sends beside the main picture."""

# tools/test: alone, for a sender that has to wait as it begins may count its sound a frame off.

import json
import select
import unittest

from tongke import Deadline, Recorder, Relay, capture, request, temporary
from websocket import BINARY, TEXT, Chunk, WebSocket, is_init

SMALL = ["--size", "640x360", "--bitrate", "400", "--low-size", "320x180", "--low-bitrate", "100"]
WHOLE = ["--transport", "tcp"]  # nothing is lost on the way
PICTURE, SOUND = 1, 2
PICTURE_HZ, SOUND_HZ = 90000, 48000
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
        self.numbers, self.size = [], None
        self.begin_s = self.end_s = None

    def read(self):
        kind, data = self.socket.next()
        if kind == TEXT:
            said = json.loads(data)
            if said["type"] == "init":
                self.size = said["width"], said["height"]
        elif kind != BINARY:
            raise AssertionError(f"closed: {data}")
        elif not is_init(data):
            self.read_chunk(Chunk(data))

    def read_chunk(self, chunk):
        self.numbers.append(chunk.number)
        pictures = chunk.samples.get(PICTURE, [])
        if pictures:
            self.end_s = chunk.times[PICTURE] / PICTURE_HZ
            self.begin_s = self.end_s if self.begin_s is None else self.begin_s
            self.pictures += len(pictures)
            self.bytes += sum(map(len, pictures))
            if is_keyframe(pictures[0]):
                self.keys.append(self.end_s)
        self.sound += [(at / SOUND_HZ, frame) for at, frame in chunk.timed(SOUND)]

    def read_until(self, done):
        deadline = Deadline()
        while not done():
            self.read()
            if deadline.over():
                raise AssertionError(f"{self.size}, the picture stands at {self.end_s}")


def read_together(watched, done):
    """Reads all of them as they come: who is not read falls behind, and is given less."""
    deadline = Deadline()
    while not done():
        if deadline.over():
            raise AssertionError([(one.size, one.end_s) for one in watched])
        ready = [one for one in watched if one.socket.buffer]
        if not ready:
            came, _, _ = select.select([one.socket.socket for one in watched], [], [], deadline.left())
            ready = [one for one in watched if one.socket.socket in came]
        for one in ready:
            one.read()


def pass_time(seconds, *watched):
    read_together(watched, lambda: all(one.pictures and one.sound for one in watched))
    ends = [one.end_s + seconds for one in watched]
    read_together(watched, lambda: all(one.end_s >= end for one, end in zip(watched, ends)))


def common(one, other, time=lambda item: item):
    """What lies in the time that both have seen, in order."""
    begin_s = max(time(w[0]) for w in (one, other)) - NEAR_S
    end_s = min(time(w[-1]) for w in (one, other)) + NEAR_S
    return [[item for item in w if begin_s <= time(item) <= end_s] for w in (one, other)]


class Low(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def watch(self, stream):
        return Watched(self.addCleanup, self.relay, stream)

    def stream(self, name):
        return next(s for s in self.relay.lesson("math")["streams"] if s["name"] == name)

    def check_sound(self, main, other):
        """Frame by frame the same, at the same times."""
        ours, others = common(main, other, lambda item: item[0])
        self.assertGreater(len(ours), 50)
        for (at, frame), (other_at, other_frame) in zip(ours, others):
            self.assertLess(abs(at - other_at), NEAR_S)
            self.assertEqual(frame, other_frame, at)
        self.assertEqual(len(ours), len(others))

    def check_sound_alone(self, main):
        """`audio` is main's sound, frame by frame, in chunks of its own."""
        alone = WebSocket(self.addCleanup, self.relay.ws("/live/math/audio"))
        said = alone.wait_json(lambda text: text["type"] == "init")
        self.assertTrue(said["mime"].startswith("audio/mp4"), said)
        self.assertEqual(said["timescale"], {"1": SOUND_HZ})
        sound, chunks = [], 0
        while len(sound) < 100:
            data = alone.next_binary()
            if is_init(data):
                continue
            chunk, chunks = Chunk(data), chunks + 1
            self.assertEqual(list(chunk.times), [1])
            sound += [(at / SOUND_HZ, frame) for at, frame in chunk.timed(1)]
        self.assertLess(chunks, len(sound) / 8)  # 200 ms each
        main.read_until(lambda: main.sound[-1][0] >= sound[-1][0])
        self.check_sound(main.sound, sound)

    def test_keyframes_and_sound_are_those_of_main(self):
        recorder = Recorder(self.addCleanup, self.relay.url, temporary(self.addCleanup))
        sender = capture(self.addCleanup, self.relay, "math", "--low", *SMALL, *WHOLE)
        sender.wait_log("low: connected")
        main, low = self.watch("main"), self.watch("low")
        pass_time(5, main, low)
        self.check_sound_alone(main)
        # A busy machine may leave out a keyframe of low, but make none of its own.
        read_together((main, low), lambda: main.keys and len(low.keys) > 1 and
                      low.keys[-2] >= main.keys[0] and low.keys[-1] <= main.keys[-1] + NEAR_S)
        keys, low_keys = common(main.keys, low.keys)
        self.assertGreaterEqual(len(low_keys), 2)
        for key in low_keys:
            self.assertLess(min(abs(key - other) for other in keys), NEAR_S, (main.keys, low.keys))
        self.check_sound(main.sound, low.sound)
        # Smaller, at half as many pictures at most, and at no higher rate than was asked for.
        self.assertEqual([(s["width"], s["height"]) for s in map(self.stream, ("main", "low"))],
                         [(640, 360), (320, 180)])
        self.assertLess(low.pictures, 0.6 * main.pictures)
        self.assertLess(low.bytes * 8 / (low.end_s - low.begin_s), 120000)
        sender.stop()
        request("POST", f"{self.relay.url}/api/v1/lessons/math/end")
        recorder.wait_log("recording closed: .* s, 1 streams")

    def test_a_cameras_sub_stream_goes_beside_its_main_one(self):
        cameras = [Relay(self.addCleanup) for _ in range(2)]
        for camera, size in zip(cameras, ("640x360", "320x180")):
            capture(self.addCleanup, camera, "camera", "--size", size, "--bitrate", "300")
        urls = [camera.rtsp("camera") for camera in cameras]
        sender = capture(self.addCleanup, self.relay, "math", "--source", urls[0], "--low-source",
                         urls[1], "--low-size", "160x90", *WHOLE)
        for stream in "main", "low":
            sender.wait_log(f"{stream}: the source's H.264 is passed on as it is")
        main, low = self.watch("main"), self.watch("low")
        read_together((main, low), lambda: (main.size, low.size) == ((640, 360), (320, 180)))
        pass_time(3, main, low)
        self.check_sound(main.sound, low.sound)

        # Without its sub stream low shows a slate of ours, and main's sound goes on in both.
        sent = len(sender.err)
        cameras[1].kill()
        read_together((main, low), lambda: low.size == (160, 90))
        pass_time(4, main, low)
        self.check_sound(main.sound, low.sound)
        self.assertEqual(main.numbers, list(range(main.numbers[0], main.numbers[-1] + 1)))
        self.assertNotIn("main: picture lost", "\n".join(sender.err[sent:]))
        sender.stop()


if __name__ == "__main__":
    unittest.main()
