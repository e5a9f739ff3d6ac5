# SPDX-License-Identifier: MIT
"""Programs that know nothing of Tongke publish lessons and watch them."""

import unittest

from tongke import Deadline, Program, Relay, capture, from_film, publish, run
from websocket import WebSocket

VIEW_S = 10  # of media: what the issue asks to be decoded without an error


def wait_live(cleanup, relay, lesson):
    """Until the lesson's first picture is out; gives the lesson's record."""
    socket = WebSocket(cleanup, f"ws://127.0.0.1:{relay.http_port}/live/{lesson}")
    socket.next_binary()
    socket.close()
    return relay.lesson(lesson)


class Viewers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(cls.addClassCleanup)
        # A film that is passed on as it is: no encoder that has to wait leaves out pictures.
        cls.sender = capture(cls.addClassCleanup, cls.relay, "math", *from_film())
        wait_live(cls.addClassCleanup, cls.relay, "math")

    def ffmpeg_decodes(self, transport):
        status, out, err = run(["ffmpeg", "-nostdin", "-v", "warning", "-rtsp_transport", transport, "-i",
                                self.relay.rtsp("math"), "-t", str(VIEW_S), "-f", "framecrc", "-"])
        self.assertEqual(status, 0, err)
        self.assertEqual(err, "")
        return [[int(line.split(",")[0]), *line.split(",")[1:]]
                for line in out.splitlines() if not line.startswith("#")]

    def check_whole(self, rows, track, rate, step):
        """A track is not late, and nothing of it is missing: ffmpeg would say so. Its first sender report
        may set the times on by half a picture, which rounds to one."""
        times = [int(row[2]) for row in rows if row[0] == track]
        self.assertLess(times[0], rate)
        self.assertGreaterEqual(times[-1], (VIEW_S - 0.25) * rate)
        self.assertGreaterEqual(len(times), (times[-1] - times[0]) // step)
        most = 2 if step == 1 else 1.5 * step
        self.assertLessEqual(max(b - a for a, b in zip(times, times[1:])), most)

    def test_ffmpeg_decodes_without_a_word_over_tcp(self):
        rows = self.ffmpeg_decodes("tcp")
        self.check_whole(rows, 0, rate=25, step=1)
        self.check_whole(rows, 1, rate=48000, step=1024)
        pictures = [row for row in rows if row[0] == 0]
        self.assertGreater(len({row[-1] for row in pictures}), len(pictures) // 2, "they do not move")

    def test_ffmpeg_decodes_without_a_word_over_udp(self):
        rows = self.ffmpeg_decodes("udp")
        self.check_whole(rows, 0, rate=25, step=1)
        self.check_whole(rows, 1, rate=48000, step=1024)

    def test_ffprobe_names_picture_and_sound_over_both(self):
        for transport in ("udp", "tcp"):
            with self.subTest(transport):
                status, out, err = run(
                    ["ffprobe", "-v", "warning", "-rtsp_transport", transport, "-show_entries",
                     "stream=codec_name,width,height,sample_rate", "-of", "csv=p=0",
                     self.relay.rtsp("math")])
                self.assertEqual((status, err), (0, ""))
                lines = sorted(set(out.split()))
                self.assertEqual(lines, ["aac,48000", "h264,320,180"])

    def gstreamer_plays(self, scheme):
        """By playbin: gst-launch's own links to pads that come later race where two come at once."""
        status, out, err = run(
            ["gst-launch-1.0", "-q", "playbin", f"uri={self.relay.rtsp('math').replace('rtsp', scheme, 1)}",
             "video-sink=identity eos-after=100 ! checksumsink hash=md5",
             "audio-sink=identity eos-after=300 ! fakesink"])
        self.assertEqual(status, 0, err)
        self.assertNotIn("ERROR", err)
        self.assertNotIn("WARNING", err)
        sums = out.split()[1::2]
        self.assertGreaterEqual(len(sums), 90)
        self.assertGreater(len(set(sums)), 50)

    def test_gstreamer_plays_over_udp(self):
        self.gstreamer_plays("rtspu")

    def test_gstreamer_plays_over_tcp(self):
        self.gstreamer_plays("rtspt")

    def test_a_viewer_that_left_is_counted_no_longer(self):
        run(["ffprobe", "-v", "quiet", "-rtsp_transport", "tcp", self.relay.rtsp("math")])
        deadline = Deadline()  # the relay has still to see that it has gone
        while self.relay.metric("rtp_viewers"):
            self.assertFalse(deadline.over(), "it is counted for ever")


class Senders(unittest.TestCase):
    def setUp(self):
        self.relay = Relay(self.addCleanup)

    def is_shown(self, lesson, size):
        found = wait_live(self.addCleanup, self.relay, lesson)
        self.assertEqual(found["state"], "live")
        stream = found["streams"][0]
        self.assertEqual((stream["width"], stream["height"], stream["audio"]), (*size, True))
        status, out, err = run(
            ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", self.relay.rtsp(lesson),
             "-t", "3", "-f", "framecrc", "-"])
        self.assertEqual((status, err), (0, ""))
        rows = [line.split(",") for line in out.splitlines() if not line.startswith("#")]
        self.assertGreaterEqual(sum(r[0] == "0" for r in rows), 70)
        return found

    def test_ffmpeg_publishes_b_frames_over_tcp(self):
        publish(self.addCleanup, self.relay, "math", transport="tcp")
        self.is_shown("math", (320, 180))

    def test_ffmpeg_publishes_b_frames_over_udp(self):
        publish(self.addCleanup, self.relay, "math", transport="udp")
        self.is_shown("math", (320, 180))

    def test_ffmpeg_names_its_lesson(self):
        publish(self.addCleanup, self.relay, "math", output=["-metadata", "title=函数的单调性"])
        found = wait_live(self.addCleanup, self.relay, "math")
        self.assertEqual(found["info"]["title"], "函数的单调性")

    def test_gstreamer_publishes(self):
        for protocols in ("tcp", "udp"):
            with self.subTest(protocols):
                sender = Program(self.addCleanup, [
                    "gst-launch-1.0", "-q", "rtspclientsink", "name=out", f"protocols={protocols}",
                    f"location={self.relay.rtsp('gst-' + protocols)}",
                    "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=25/1",
                    "!", "x264enc", "tune=zerolatency", "key-int-max=25", "!",
                    "video/x-h264,profile=main", "!", "out.",
                    "audiotestsrc", "is-live=true", "!", "audioconvert", "!", "avenc_aac", "!",
                    "aacparse", "!", "out."])
                self.is_shown("gst-" + protocols, (320, 180))
                sender.kill()
