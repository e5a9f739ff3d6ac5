# SPDX-License-Identifier: MIT
"""What a class sees of the chunks that come: whether its picture stood, and for how long."""

VIDEO_TRACK, VIDEO_TIMESCALE = 1, 90000
HURRY, HURRY_ABOVE_S = 1.1, 0.15  # as the page does with what it has in store
JUMP_ABOVE_S = 1.5  # more than that is left out
STORES_S = (0.35, 1.0)  # the page's least, and what it grows to behind a line that loses


class Picture:
    """The pictures that came: when, from which media time on, how many."""

    def __init__(self, fps):
        self.fps = fps
        self.came = []

    def take(self, now, chunk):
        count = len(chunk.samples.get(VIDEO_TRACK, ()))
        if count:
            self.came.append((now, chunk.times[VIDEO_TRACK] / VIDEO_TIMESCALE, count))

    def moments(self, since=0.0):
        """{picture, by its place in the lesson: when it came}"""
        return {round(begin * self.fps) + i: at for at, begin, count in self.came if at >= since
                for i in range(count)}

    def holes(self, since=0.0):
        """(when, media time, seconds) of every stretch that has no picture."""
        found = []
        came = [one for one in self.came if one[0] >= since]
        for (_, begin, count), (now, then, _) in zip(came, came[1:]):
            if then - begin - count / self.fps > 0.5 / self.fps:
                found.append((now, then, then - begin - count / self.fps))
        return found

    def lost(self, above, since=0.0):
        """The holes that are not already in what came `above`: a busy camera leaves pictures out."""
        known = [(then, seconds) for _, then, seconds in above.holes()]
        near = 0.5 / self.fps
        return [(when, at, gone) for when, at, gone in self.holes(since)
                if not any(abs(at - then) < near and gone - seconds < near for then, seconds in known)]

    def stood(self, store, since=0.0):
        """(when, seconds) of every stop of a player that keeps `store` seconds and hurries when it has
        more; what has no picture is seen as a stop, too."""
        stops, played, end, last = [], None, None, None
        for now, begin, count in self.came:
            if played is None:
                played, last = begin - store, now
            else:
                rate = HURRY if end - played > store + HURRY_ABOVE_S else 1
                reached = played + (now - last) * rate
                if reached > end:
                    stops.append((now, (reached - end) / rate))
                played, last = min(reached, end), now
                if begin - end > 0.5 / self.fps:
                    stops.append((now, begin - end))
            end = begin + count / self.fps
            if end - played > store + JUMP_ABOVE_S:
                played = end - store
        return [stop for stop in stops if stop[0] >= since]

    def saw(self, since=0.0):
        told = {"pictures_missing": round(sum(s for _, _, s in self.holes(since)) * self.fps)}
        for store in STORES_S:
            stops = [seconds for _, seconds in self.stood(store, since)]
            told[f"stood_s_{store}"] = round(sum(stops), 2)
            told[f"longest_s_{store}"] = round(max(stops, default=0), 2)
        return told
