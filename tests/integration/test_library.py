# SPDX-License-Identifier: MIT
"""A lesson through relay and recorder into the library, and out of it again to strangers."""

import json
import re
import signal
import socket
import unittest
import urllib.parse

from tongke import (BUILD, ROOT, Recorder, Relay, capture, clip, ctl, from_film, publish, request,
                    run, segments, temporary, wait_below)

CHUNK_S = 0.14  # a chunk and a frame: where a film ends and where its last chunk does
TITLE = "函数的单调性"


def search(recorder, **query):
    return recorder.get("/api/v1/recordings?" + urllib.parse.urlencode(query))


def folder_of(data, recording_id):
    return next(data.glob(f"lessons/*/*/{recording_id}"))


def index_lines(data, recording_id, stream="main"):
    text = (folder_of(data, recording_id) / f"{stream}.index").read_text()
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def chunk_numbers(data, recording_id):
    return [int(fields[0]) for fields in index_lines(data, recording_id) if fields[3] != "i"]


def wait_chunks(data, recording_id, count):
    """Until so many chunks stand in the index."""
    def enough():
        try:
            return len(chunk_numbers(data, recording_id)) >= count
        except (StopIteration, FileNotFoundError, IndexError):
            return False
    if not wait_below(data, enough):
        raise AssertionError(f"never {count} chunks of {recording_id}")


def film_s(path, stream="v"):
    _, text, _ = run(["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
                      "stream=duration", "-of", "csv=p=0", path])
    return float(text.split()[0])


def decode(url):
    """Plays to the end; gives what was complained about. Times are taken as they are: at a whole frame
    rate two pictures of a busy camera would fall on one."""
    status, _, complaints = run(["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", url, "-fps_mode",
                                 "passthrough", "-enc_time_base", "-1", "-f", "null", "-"])
    return f"{status} {complaints}".strip()


def record(case, relay, recorder, name="math", film=None):
    """Publishes a film once, from beginning to end; gives the recording when it is closed."""
    after = len(recorder.err)
    status = publish(case.addCleanup, relay, name, loop=False, film=film,
                     output=["-metadata", f"title={TITLE}"]).wait()
    case.assertEqual(status, 0)
    found = recorder.wait_log(r"recording closed: .* lesson=(\S+)", after)
    return recorder.get(f"/api/v1/recordings/{found[1]}")


class Library(unittest.TestCase):
    """One lesson, recorded once, looked at from all sides."""

    @classmethod
    def setUpClass(cls):
        cls.data = temporary(cls.addClassCleanup)
        cls.relay = Relay(cls.addClassCleanup, {"lesson.teardown_s": 1})
        cls.recorder = Recorder(cls.addClassCleanup, cls.relay.url, cls.data)
        cls.film = clip(12)
        cls.cleanups, cls.addCleanup = [], cls.addClassCleanup
        cls.recording = record(cls("test_duration"), cls.relay, cls.recorder, film=cls.film)
        cls.url = f"{cls.recorder.url}/api/v1/recordings/{cls.recording['id']}"
        cls.playlist = cls.recorder.playlist(cls.recording["id"])

    def test_duration(self):
        self.assertEqual(self.recording["state"], "closed")
        self.assertEqual(self.recording["gaps"], [])
        self.assertAlmostEqual(self.recording["duration_s"], film_s(self.film), delta=CHUNK_S)

    def test_nothing_missing_nothing_twice(self):
        numbers = chunk_numbers(self.data, self.recording["id"])
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_search(self):
        for query in ("单调", "函", "函数的单调性", "函数 单调"):
            found = search(self.recorder, q=query)
            self.assertEqual([r["id"] for r in found["recordings"]], [self.recording["id"]], query)
            self.assertIn("<mark>", found["recordings"][0]["match"]["title"])
        self.assertEqual(search(self.recorder, q="几何")["total"], 0)

    def test_hls_plays(self):
        for way in (self.playlist, self.recorder.url + self.recording["hls"], self.url + "/playlist.m3u8",
                    self.recorder.url + "/api/v1/recordings/math/playlist.m3u8"):
            self.assertEqual(decode(way), "0", way)
        text = request("GET", self.playlist).text()
        parts = [float(s) for s in re.findall(r"#EXTINF:([\d.]+),", text)]
        self.assertAlmostEqual(sum(parts), film_s(self.film), delta=CHUNK_S)
        self.assertTrue(all(1.9 <= s < 4.5 for s in parts[:-1]), parts)
        self.assertTrue(text.endswith("#EXT-X-ENDLIST\n"))

    def test_download_plays_and_seeks(self):
        url = self.url + "/main/download.mp4"
        self.assertEqual(decode(url), "0")
        for stream in ("v", "a"):
            self.assertAlmostEqual(film_s(url, stream), film_s(self.film, stream), delta=CHUNK_S)
        status, text, complaints = run(["ffmpeg", "-nostdin", "-v", "error", "-ss", "8", "-i", url,
                                        "-an", "-f", "framecrc", "-"])
        self.assertEqual((status, complaints), (0, ""))
        frames = [line for line in text.splitlines() if not line.startswith("#")]
        self.assertAlmostEqual(len(frames), (film_s(self.film) - 8) * 25, delta=3)

    def test_download_has_the_pictures_that_were_sent(self):
        def sums(source):
            _, text, _ = run(["ffmpeg", "-nostdin", "-v", "error", "-i", source, "-an", "-f",
                              "framemd5", "-"])
            return [line.split(",")[-1] for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual(sums(self.url + "/main/download.mp4"), sums(self.film))

    def test_segments_are_the_recording(self):
        media = (folder_of(self.data, self.recording["id"]) / "main.mp4").read_bytes()
        answers = [request("GET", url) for url in segments(self.playlist)]
        self.assertEqual(b"".join(answer.body for answer in answers), media)
        for answer in answers:
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "video/mp4"))
            self.assertRegex(answer.headers["Cache-Control"], r"^public, max-age=\d{4,5}, immutable$")
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
            self.assertIsNone(answer.headers["Vary"])
        text = request("GET", self.playlist)
        self.assertRegex(text.headers["Cache-Control"], "^public, max-age=30, stale-while-revalidate=2$")
        again = request("GET", self.playlist, headers={"If-None-Match": text.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_hls_by_gstreamer(self):
        status, said, complaints = run([
            "gst-launch-1.0", "-v", "playbin3", "video-sink=fakesink name=seen silent=false sync=false",
            "audio-sink=fakesink sync=false", f"uri={self.recorder.url}{self.recording['hls']}"])
        self.assertEqual((status, complaints), (0, ""))
        pictures = len(re.findall(r"GstFakeSink:seen: last-message = chain", said))
        self.assertAlmostEqual(pictures, film_s(self.film) * 25, delta=3)

    def test_an_address_is_of_its_lesson_and_as_it_is(self):
        parts = self.recording["hls"].split("/")
        for number, wrong in ((2, "1-" + 32 * "0"), (2, parts[2][:-1]), (2, "open"),
                              (3, "01KAN0000000000000000000AA"), (3, "math")):
            bent = "/".join([*parts[:number], wrong, *parts[number + 1:]])
            self.assertIn(request("GET", self.recorder.url + bent).status, (403, 404), bent)
        base = self.recorder.url + "/".join(parts[:4])
        for path in ("/main/0-0123456789abcdef.m4s", "/main/init-0123456789abcdef.mp4", "/main/main.mp4",
                     "/main/../lesson.json", "/main/lesson.json", "/slides/playlist.m3u8", "/main/", "/",
                     "/main/playlist.m3u8/x"):
            answer = request("GET", base + path)
            self.assertEqual((answer.status, answer.headers["Cache-Control"]), (404, "private, no-cache"),
                             path)

    def test_ranges(self):
        url = segments(self.playlist)[1]
        whole = request("GET", url)
        size = len(whole.body)
        for asked, status, begin, end in (("bytes=0-9", 206, 0, 10),
                                          ("bytes=-100", 206, size - 100, size),
                                          (f"bytes={size - 5}-", 206, size - 5, size),
                                          ("bytes=1000-3000000", 206, 1000, size),
                                          ("bytes=5-1", 200, 0, size)):
            part = request("GET", url, headers={"Range": asked})
            self.assertEqual(part.status, status, asked)
            self.assertEqual(part.body, whole.body[begin:end], asked)
        beyond = request("GET", url, headers={"Range": f"bytes={size}-"})
        self.assertEqual(beyond.status, 416)
        self.assertEqual(beyond.headers["Content-Range"], f"bytes */{size}")
        again = request("GET", url, headers={"If-None-Match": whole.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        head = request("HEAD", url)
        self.assertEqual((head.status, head.headers["Content-Length"]), (200, str(size)))

    def test_pages_of_the_same_host_may_read(self):
        url = self.recorder.url + "/api/v1/recordings"
        own = request("OPTIONS", url, headers={"Origin": "http://127.0.0.1:1",
                                               "Access-Control-Request-Method": "PATCH"})
        self.assertEqual(own.status, 204)
        self.assertEqual(own.headers["Access-Control-Allow-Origin"], "http://127.0.0.1:1")
        self.assertIn("PATCH", own.headers["Access-Control-Allow-Methods"])
        foreign = request("GET", url, headers={"Origin": "http://evil.example"})
        self.assertIsNone(foreign.headers["Access-Control-Allow-Origin"])

    def test_paths_lead_nowhere_else(self):
        here = f"/api/v1/recordings/{self.recording['id']}"
        for path in ("/api/v1/recordings/../../etc/passwd",
                     "/api/v1/recordings/..%2f..%2fetc%2fpasswd",
                     here + "/../../../library.sqlite", here + "/main%2f..%2f/download.mp4",
                     here + "/main/lesson.json", here + "/lesson.json", here + "/MAIN/download.mp4",
                     "/api/v1/recordings/" + "A" * 5000, here + "/main/download.mp4/x"):
            answer = request("GET", self.recorder.url + path)
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.json()["code"], "not-found")

    def test_bad_requests_say_what_is_wrong(self):
        url = self.recorder.url + "/api/v1/recordings"
        for query in ("limit=many", "from=yesterday", "q=" + "x" * 300):
            answer = request("GET", f"{url}?{query}")
            self.assertIn(answer.status, (400, 413), query)
            self.assertIn(query.split("=")[0], answer.json()["detail"])
        for body in ("", "[]", '{"colour":"red"}', '{"title":7}', "[" * 60000):
            self.assertEqual(request("PATCH", self.url, body).status, 400, body[:20])
        self.assertEqual(request("PATCH", self.url, " " * 500000).status, 413)
        self.assertEqual(request("PUT", self.url, "{}").status, 405)

    def test_poster(self):
        # It is made after the lesson, by a program of its own.
        path = wait_below(self.data, lambda: request("GET", self.url).json()["poster"])
        poster = request("GET", self.recorder.url + path)
        self.assertEqual((poster.status, poster.headers["Content-Type"]), (200, "image/jpeg"))
        path = temporary(self.addCleanup) / "poster.jpg"
        path.write_bytes(poster.body)
        status, size, complaints = run(["ffprobe", "-v", "error", "-show_entries",
                                        "stream=width,height",
                                        "-of", "csv=p=0", path])
        self.assertEqual((status, size.strip(), complaints), (0, "640,360", ""))

    def test_health(self):
        self.assertEqual(request("GET", self.recorder.url + "/healthz").status, 200)
        self.assertEqual(request("GET", self.recorder.url + "/readyz").status, 200)
        metrics = request("GET", self.recorder.url + "/metrics").text()
        self.assertRegex(metrics, r"(?m)^tongke_recorder_chunks_total [1-9]")


class Faults(unittest.TestCase):
    def setUp(self):
        self.data = temporary(self.addCleanup)

    def test_recorder_killed_in_the_middle(self):
        relay = Relay(self.addCleanup, {"lesson.teardown_s": 1})
        first = Recorder(self.addCleanup, relay.url, self.data)
        film = clip(12)
        sender = publish(self.addCleanup, relay, "math", loop=False, film=film)
        recording_id = first.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 20)
        first.kill()
        second = Recorder(self.addCleanup, relay.url, self.data)
        self.assertEqual(sender.wait(), 0)
        second.wait_log("recording closed")
        recording = second.get(f"/api/v1/recordings/{recording_id}")
        self.assertEqual(recording["gaps"], [])
        self.assertAlmostEqual(recording["duration_s"], film_s(film), delta=CHUNK_S)
        numbers = chunk_numbers(self.data, recording_id)
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertEqual(decode(second.playlist(recording_id)), "0")
        second.stop()

    def test_a_recorder_that_comes_back_after_the_end_gets_the_rest(self):
        relay = Relay(self.addCleanup)
        first = Recorder(self.addCleanup, relay.url, self.data)
        sender = publish(self.addCleanup, relay, "math", loop=False, film=clip(6))
        recording_id = first.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 10)
        first.kill()
        self.assertEqual(sender.wait(), 0)
        newest = relay.lesson(recording_id)["streams"][0]["chunk"]["newest"]
        self.assertGreaterEqual(newest, 50)
        request("POST", f"{relay.url}/api/v1/lessons/{recording_id}/end")
        second = Recorder(self.addCleanup, relay.url, self.data)
        second.wait_log("recording closed")
        numbers = chunk_numbers(self.data, recording_id)
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertGreaterEqual(len(numbers), newest)
        self.assertEqual(second.get(f"/api/v1/recordings/{recording_id}")["gaps"], [])
        second.stop()

    def test_sender_away_is_one_recording_with_one_gap(self):
        relay = Relay(self.addCleanup, {"lesson.teardown_s": 30})
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        publish(self.addCleanup, relay, "math", loop=False, film=clip(6)).wait()
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        seen = len(chunk_numbers(self.data, recording_id))
        # Two seconds of another lesson pass while nobody sends this one.
        publish(self.addCleanup, relay, "other", loop=False, film=clip(2)).wait()
        publish(self.addCleanup, relay, "math", loop=False, film=clip(6)).wait()
        wait_chunks(self.data, recording_id, seen + 20)
        request("POST", f"{relay.url}/api/v1/lessons/{recording_id}/end")
        recorder.wait_log(f"recording closed.*{recording_id}")
        found = [r for r in search(recorder)["recordings"] if r["name"] == "math"]
        self.assertEqual([r["id"] for r in found], [recording_id])
        self.assertEqual([g["reason"] for g in found[0]["gaps"]], ["sender-away"])
        gap = found[0]["gaps"][0]
        self.assertGreater(gap["to_s"] - gap["from_s"], 1.5)
        url = f"{recorder.url}/api/v1/recordings/{recording_id}/main"
        playlist = recorder.playlist(recording_id)
        self.assertEqual(request("GET", playlist).text().count("#EXT-X-DISCONTINUITY\n"), 1)
        self.assertEqual(decode(playlist), "0")
        self.assertEqual(decode(url + "/download.mp4"), "0")
        self.assertAlmostEqual(film_s(url + "/download.mp4"), found[0]["duration_s"], delta=CHUNK_S)

    def test_relay_restarted_in_the_middle(self):
        relay = Relay(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        # The sender's own, so that it can go on with it.
        recording_id = "01KAN0000000000000000000AA"
        sender = capture(self.addCleanup, relay, "math", *from_film(), "--lesson-id", recording_id)
        recorder.wait_log(f"recording: math lesson={recording_id}")
        wait_chunks(self.data, recording_id, 30)
        relay.kill()
        after = len(chunk_numbers(self.data, recording_id))
        relay = Relay(self.addCleanup, {"rtsp.port": relay.rtsp_port, "web.port": relay.http_port})
        wait_chunks(self.data, recording_id, after + 30)
        said = len(recorder.err)
        sender.stop()
        request("POST", f"{relay.url}/api/v1/lessons/{recording_id}/end")
        recorder.wait_log(f"recording closed.*{recording_id}", said)
        recording = recorder.get(f"/api/v1/recordings/{recording_id}")
        self.assertEqual([g["reason"] for g in recording["gaps"]], ["sender-away"])
        lines = [fields for fields in index_lines(self.data, recording_id) if fields[3] != "i"]
        numbers, times = [int(f[0]) for f in lines], [int(f[4]) for f in lines]
        anew = numbers.index(1, 1)
        self.assertEqual(numbers, [*range(1, anew + 1), *range(1, len(numbers) - anew + 1)])
        # Of one relay they may be some samples apart, where sound or picture came late.
        self.assertLess(max(times[:anew]), min(times[anew:]))
        url = f"{recorder.url}/api/v1/recordings/{recording_id}/main"
        text = request("GET", recorder.playlist(recording_id)).text()
        self.assertEqual(text.count("#EXT-X-DISCONTINUITY\n"), 1)
        self.assertEqual(decode(url + "/download.mp4"), "0")
        self.assertAlmostEqual(film_s(url + "/download.mp4"), recording["duration_s"],
                               delta=CHUNK_S)

    def test_index_deleted_is_made_again(self):
        relay = Relay(self.addCleanup, {"lesson.teardown_s": 1})
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        recording = record(self, relay, recorder, film=clip(6))
        before = search(recorder)
        recorder.stop()
        for file in self.data.glob("library.sqlite*"):
            file.unlink()
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        self.assertEqual(search(recorder), before)
        recorder.stop()
        folder = folder_of(self.data, recording["id"])
        index = index_lines(self.data, recording["id"])
        (folder / "main.index").unlink()
        status, text, complaints = run([BUILD / "recorder" / "tongke-recorder", "--data", self.data,
                                        "--rebuild-index"])
        self.assertEqual(status, 0, complaints)
        self.assertIn("1 recordings in the index", text)
        self.assertEqual(index_lines(self.data, recording["id"]), index)

    def test_running_lesson_can_be_replayed(self):
        relay = Relay(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, self.data)
        publish(self.addCleanup, relay, "math", film=clip(6))
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(self.data, recording_id, 60)
        url = f"{recorder.url}/api/v1/recordings/{recording_id}"
        self.assertEqual(request("GET", url).json()["state"], "recording")
        playlist = recorder.playlist(recording_id)
        text = request("GET", playlist).text()
        named = [(part, request("GET", part).body) for part in segments(playlist)]
        self.assertIn("#EXT-X-PLAYLIST-TYPE:EVENT", text)
        self.assertNotIn("ENDLIST", text)
        self.assertIn("#EXTINF:", text)
        self.assertEqual(request("DELETE", url + "?reason=test").status, 409)
        edited = request("PATCH", url, {"title": TITLE, "grade": "高一", "subject": "数学"})
        self.assertEqual(edited.json()["info"]["title"], TITLE)
        # What people set stays when the relay tells of the lesson again.
        request("PATCH", f"{relay.url}/api/v1/lessons/math", {"title": "x", "teacher": "王芳"})
        request("POST", f"{relay.url}/api/v1/lessons/math/end")
        recorder.wait_log("recording closed")
        # What was named while it ran stands there still, and is the same.
        self.assertEqual(segments(playlist)[:len(named)], [part for part, _ in named])
        for part, body in named:
            self.assertEqual(request("GET", part).body, body)
        found = search(recorder, q="高一数学")["recordings"]
        self.assertEqual(found[0]["info"]["title"], TITLE)
        self.assertEqual(found[0]["info"]["teacher"], "王芳")
        self.assertEqual(request("DELETE", url).status, 400)
        reason = urllib.parse.quote("家长要求")
        self.assertEqual(request("DELETE", f"{url}?reason={reason}").status, 204)
        self.assertEqual(request("GET", url).status, 404)
        self.assertEqual(list(self.data.glob(f"lessons/*/*/{recording_id}*")), [])
        note = json.loads((self.data / "deletions.jsonl").read_text())
        self.assertEqual((note["id"], note["reason"]), (recording_id, "家长要求"))

    def test_second_recorder_on_a_folder_is_refused(self):
        relay = Relay(self.addCleanup)
        Recorder(self.addCleanup, relay.url, self.data)
        status, _, complaints = run([BUILD / "recorder" / "tongke-recorder", "--data", self.data,
                                     "--set",
                                     "http.port=0", "--relay", relay.url])
        self.assertEqual(status, 1)
        self.assertIn("another recorder", complaints)


class Keys(unittest.TestCase):
    """Relay and recorder behind a key: who brings which token may do what."""

    @classmethod
    def setUpClass(cls):
        cls.data = temporary(cls.addClassCleanup)
        cls.key, token_file = cls.data / "key.jwk", cls.data / "recorder.token"
        ctl("key", "new", cls.key)
        token_file.write_text(cls.token("recorder"))
        relay = Relay(cls.addClassCleanup, {"lesson.teardown_s": 1, "auth.key_file": cls.key})
        cls.recorder = Recorder(cls.addClassCleanup, relay.url, cls.data / "library", {
            "auth.key_file": cls.key, "relay.token_file": token_file})
        sender = cls.token("sender")
        status, _, complaints = run(["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip(6),
                                     "-c",
                                     "copy", "-f", "rtsp", "-rtsp_transport", "tcp",
                                     relay.rtsp("math") + "?token=" + sender])
        if status:
            raise AssertionError(complaints)
        recording_id = cls.recorder.wait_log(r"recording closed: .* lesson=(\S+)")[1]
        cls.list = cls.recorder.url + "/api/v1/recordings"
        cls.url = f"{cls.list}/{recording_id}"

    @classmethod
    def token(cls, role, lesson="*"):
        status, text, complaints = ctl("token", "--key", cls.key, "--role", role, "--lesson",
                                        lesson)
        if status:
            raise AssertionError(complaints)
        return text.strip()

    def test_a_refused_token_is_told_until_there_is_another(self):
        """The relay's door is read anew at each try, and so is the token."""
        relay = Relay(self.addCleanup, {"auth.key_file": self.key})
        token_file = temporary(self.addCleanup) / "token"
        token_file.write_text("guessed")
        recorder = Recorder(self.addCleanup, relay.url, temporary(self.addCleanup),
                            {"relay.token_file": token_file})
        recorder.wait_log("the relay does not let the recorder in")
        alarm, = recorder.get("/api/v1/alarms")["alarms"]
        self.assertEqual((alarm["what"], alarm["refused"]), ("relay", True))
        self.assertEqual(request("GET", recorder.url + "/readyz").text(),
                         "the relay does not let the recorder in\n")
        token_file.write_text(self.token("recorder"))
        recorder.wait_log("the relay is back")
        self.assertEqual(recorder.get("/api/v1/alarms")["alarms"], [])

    def test_without_a_token_nothing_is_told(self):
        for path in ("", "/playlist.m3u8", "/main/download.mp4", "/poster.jpg"):
            answer = request("GET", self.url + path)
            self.assertEqual((answer.status, answer.json()["code"]), (401, "unauthorized"), path)
        self.assertEqual(request("GET", self.list).status, 401)
        self.assertEqual(request("GET", self.list + "/01KAN0000000000000000000AA").status, 401)
        for room in ("math", "nowhere"):
            self.assertEqual(request("GET", f"{self.list}/{room}/playlist.m3u8").status, 401)
        self.assertEqual(request("GET", self.list, token="a.b.c").status, 401)
        self.assertEqual(request("GET", self.recorder.url + "/healthz").status, 200)

    def test_a_viewer_may_look_and_change_nothing(self):
        viewer = self.token("viewer")
        self.assertEqual(request("GET", self.list, token=viewer).json()["total"], 1)
        self.assertEqual(request("GET", f"{self.url}?token={viewer}").status, 200)
        for method, url in (("PATCH", self.url), ("DELETE", self.url + "?reason=x")):
            answer = request(method, url, "{}", token=viewer)
            self.assertEqual((answer.status, answer.json()["code"]), (403, "forbidden"))
        edited = request("PATCH", self.url, {"title": "x"}, token=self.token("admin"))
        self.assertEqual(edited.status, 200)

    def test_a_token_of_another_lesson_sees_nothing_of_it(self):
        other, own = self.token("viewer", "other"), self.token("viewer", "math")
        self.assertEqual(request("GET", self.list, token=other).json()["total"], 0)
        self.assertEqual(request("GET", self.url, token=other).status, 403)
        self.assertEqual(request("GET", self.list + "/math/playlist.m3u8", token=other).status, 403)
        self.assertEqual(request("GET", self.list, token=own).json()["total"], 1)
        self.assertEqual(request("GET", self.url, token=own).status, 200)
        self.assertEqual(request("GET", self.list + "/math/playlist.m3u8", token=own).status, 302)

    def test_the_token_opens_the_way_and_stays_behind(self):
        viewer = self.token("viewer")
        for address in (self.url, self.list + "/math"):
            self.assertEqual(decode(f"{address}/playlist.m3u8?token={viewer}"), "0")
        answer = request("GET", f"{self.url}/playlist.m3u8?token={viewer}")
        self.assertEqual((answer.status, answer.headers["Cache-Control"]), (302, "private, no-cache"))
        self.assertNotIn(viewer, answer.headers["Location"])
        self.assertNotIn(viewer, "\n".join(self.recorder.err))

    def test_what_a_proxy_brings_is_not_local(self):
        metrics = self.recorder.url + "/metrics"
        self.assertEqual(request("GET", metrics).status, 200)
        for header in ("X-Forwarded-For", "Forwarded"):
            self.assertEqual(request("GET", metrics, headers={header: "127.0.0.1"}).status, 401)


class Door(unittest.TestCase):
    def test_half_sent_requests_are_closed(self):
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", temporary(self.addCleanup))
        port = urllib.parse.urlsplit(recorder.url).port
        head = (b"PATCH /api/v1/recordings/x HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 10\r\n\r\n")
        halves = []
        for begun in (b"", b"GET /hea", head + b"{"):
            half = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(half.close)
            half.settimeout(60)
            half.sendall(begun)
            halves.append(half)
        for half in halves:
            self.assertEqual(half.recv(1000), b"")

    def test_strangers_hosts_are_refused_without_a_key(self):
        recorder = Recorder(self.addCleanup, "http://127.0.0.1:1", temporary(self.addCleanup))
        answer = request("GET", recorder.url + "/api/v1/recordings",
                         headers={"Host": "evil.example"})
        self.assertEqual(answer.status, 403)

    def test_beyond_loopback_needs_a_key(self):
        status, _, complaints = run([BUILD / "recorder" / "tongke-recorder", "--data",
                                     temporary(self.addCleanup), "--set", "http.listen=0.0.0.0",
                                     "--set",
                                     "http.port=0"])
        self.assertEqual(status, 1)
        self.assertIn("tongkectl key new FILE", complaints)

    def test_wrong_settings_are_named(self):
        program = BUILD / "recorder" / "tongke-recorder"
        for assignment in ("http.prot=1", "http.port=99999", "archive.sync_ms=5000"):
            status, _, complaints = run([program, "--set", assignment, "--check"])
            self.assertEqual(status, 2)
            self.assertIn(assignment.split("=")[0].split(".")[1], complaints)

    def test_example_is_in_step(self):
        status, text, _ = run([BUILD / "recorder" / "tongke-recorder", "--print-example"])
        self.assertEqual(status, 0)
        self.assertEqual(text, (ROOT / "configs" / "tongke-recorder.conf").read_text())

    def test_ends_in_order(self):
        relay = Relay(self.addCleanup)
        data = temporary(self.addCleanup)
        recorder = Recorder(self.addCleanup, relay.url, data)
        publish(self.addCleanup, relay, "math", film=clip(6))
        recording_id = recorder.wait_log(r"recording: math lesson=(\S+)")[1]
        wait_chunks(data, recording_id, 10)
        recorder.stop(by=signal.SIGTERM)
        media = (folder_of(data, recording_id) / "main.mp4").stat().st_size
        last = index_lines(data, recording_id)[-1]
        self.assertEqual(int(last[1]) + int(last[2]), media)
        again = Recorder(self.addCleanup, relay.url, data)
        self.assertFalse([line for line in again.err if "pieces found" in line])


if __name__ == "__main__":
    unittest.main()
