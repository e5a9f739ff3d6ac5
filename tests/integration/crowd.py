# SPDX-License-Identifier: MIT
"""A crowd that watches HLS: each viewer a connection of its own, as a live player would ask. By hand,
against a system that runs (the address is a recording's `hls`, behind the cache):

    tests/integration/crowd.py --viewers 1000 --seconds 30 https://live.example.org/hls/…/playlist.m3u8
"""

import argparse
import asyncio
import collections
import datetime
import hashlib
import json
import re
import ssl
import statistics
import time
import urllib.parse

from tongke import DEADLINE_S

BEHIND_TARGETS = 3  # where a live player begins (RFC 8216 section 6.3.3)
VIEWERS_AN_ADDRESS = 50


async def pause(seconds):
    """What a viewer does between two requests; nobody waits for an event by this."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)


class Connection:
    """HTTP/1.1 over TLS, one request after the other."""

    def __init__(self, parts, address, context):
        self.parts, self.address, self.context = parts, address, context
        self.reader = self.writer = None

    async def open(self):
        secure = self.parts.scheme == "https"
        port = self.parts.port or (443 if secure else 80)
        self.reader, self.writer = await asyncio.open_connection(
            self.parts.hostname, port, ssl=self.context if secure else None, limit=1 << 20,
            local_addr=(self.address, 0) if self.address else None)

    async def get(self, path):
        """(status, headers, body); a connection that was closed meanwhile is made anew, once."""
        for fresh in (self.writer is None, True):
            if fresh:
                await self.open()
            try:
                self.writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.parts.netloc}\r\n\r\n".encode())
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                break
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if fresh:
                    raise
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(head[0].split()[1]), headers, body

    def close(self):
        if self.writer:
            self.writer.close()
        self.writer = None


class Seen:
    """What the whole crowd was given."""

    def __init__(self):
        self.sums = collections.defaultdict(set)  # path → checksums of what came
        self.versions = set()  # of playlists
        self.statuses = collections.Counter()
        self.delays_s, self.stalls, self.missed = [], 0, 0
        self.requests = self.bytes = self.done = 0


class Viewer:
    def __init__(self, number, url, seen, context, ends):
        self.parts = urllib.parse.urlsplit(url)
        spread = self.parts.hostname in ("localhost", "127.0.0.1")
        address = f"127.0.1.{number // VIEWERS_AN_ADDRESS + 1}" if spread else None
        self.connection = Connection(self.parts, address, context)
        self.seen, self.ends = seen, ends
        self.delta = "?_HLS_skip=YES" if number % 2 else ""
        self.got = 0  # segments, counted from the lesson's first
        self.played_until = None  # by the clock: when what was got is played

    async def get(self, path):
        status, headers, body = await self.connection.get(path)
        self.seen.requests += 1
        self.seen.bytes += len(body)
        self.seen.statuses[status] += 1
        if status != 200:
            raise AssertionError(f"{path}: {status} {body[:200]}")
        if path.split("?")[0].endswith(".m3u8"):
            self.seen.versions.add(headers["etag"])
        else:
            self.seen.sums[path].add(hashlib.sha1(body).digest())
        return body.decode() if "mpegurl" in headers["content-type"] else body

    async def watch(self):
        try:
            await asyncio.wait_for(self.play(), self.ends - time.monotonic() + DEADLINE_S)
            self.seen.done += 1
        finally:
            self.connection.close()

    async def play(self):
        variants = await self.get(self.parts.path)
        place = urllib.parse.urljoin(self.parts.path, variants.splitlines()[-1])
        playlist = Playlist(await self.get(place))
        inits = set()
        self.got = playlist.begin()
        while True:
            fresh = playlist.segments[self.got - playlist.skipped:]
            self.seen.missed += max(0, playlist.skipped - self.got)
            for init, name, seconds, wall_s in fresh:
                for part in ([init] if init not in inits else []) + [name]:
                    await self.get(urllib.parse.urljoin(place, part))
                inits.add(init)
                self.got += 1
                self.count(seconds, wall_s)
            if playlist.ended or time.monotonic() >= self.ends:
                return
            # After a change the target duration, else half of it (RFC 8216 section 6.3.4).
            await pause(playlist.target_s / (1 if fresh else 2))
            playlist = Playlist(await self.get(place + self.delta), playlist)

    def count(self, seconds, wall_s):
        now = time.monotonic()
        if self.played_until is not None:
            self.seen.delays_s.append(time.time() - wall_s - seconds)
            self.seen.stalls += now > self.played_until
        self.played_until = max(now, self.played_until or now) + seconds


class Playlist:
    def __init__(self, text, before=None):
        self.target_s = int(re.search(r"TARGETDURATION:(\d+)", text)[1])
        self.ended = "#EXT-X-ENDLIST" in text
        skipped = re.search(r"SKIPPED-SEGMENTS=(\d+)", text)
        self.skipped = int(skipped[1]) if skipped else 0
        self.segments = []
        init = wall_s = seconds = None
        for line in text.splitlines():
            if line.startswith("#EXT-X-MAP"):
                init = line.split('"')[1]
            elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
                wall_s = datetime.datetime.fromisoformat(line.split(":", 1)[1]).timestamp()
            elif line.startswith("#EXTINF:"):
                seconds = float(line[8:-1])
            elif line and not line.startswith("#"):
                self.segments.append((init, line, seconds, wall_s))
                wall_s += seconds

    def begin(self):
        """The first segment of a viewer who comes now."""
        number, left_s = len(self.segments), BEHIND_TARGETS * self.target_s
        while number and left_s > 0 and not self.ended:
            number -= 1
            left_s -= self.segments[number][2]
        return 0 if self.ended else number


async def gather(url, count, seconds, spread_s=0):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    seen, ends = Seen(), time.monotonic() + seconds

    async def come(number):
        await pause(spread_s * number / count)
        await Viewer(number, url, seen, context, ends).watch()

    results = await asyncio.gather(*(come(number) for number in range(count)), return_exceptions=True)
    failed = [result for result in results if result is not None]
    if failed:
        raise AssertionError(f"{len(failed)} of {count} viewers failed, the first by {failed[0]!r}")
    return seen


def watch(url, count, seconds, spread_s=0):
    return asyncio.run(gather(url, count, seconds, spread_s))


def summary(seen):
    delays = sorted(seen.delays_s) or [0]
    return {"viewers": seen.done, "requests": seen.requests, "megabytes": round(seen.bytes / 1e6, 1),
            "parts": len(seen.sums), "unequal": sum(len(sums) > 1 for sums in seen.sums.values()),
            "playlist_versions": len(seen.versions), "missed": seen.missed, "stalls": seen.stalls,
            "behind_capture_s": {"p50": round(statistics.median(delays), 2),
                                 "p99": round(delays[int(0.99 * (len(delays) - 1))], 2)}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--spread", type=float, default=0, help="seconds in which they come")
    options = parser.parse_args()
    print(json.dumps(summary(watch(options.url, options.viewers, options.seconds, options.spread)), indent=1))
