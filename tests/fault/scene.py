# SPDX-License-Identifier: MIT
"""What all scenes of a fault have in common."""

import threading

from examine import Figures, examine, folders, pieces

CHUNK_S = 0.1


def moment(rng, chunks):
    """A random while of up to so many chunks' time: where in the program it falls is the test."""
    threading.Event().wait(rng.random() * chunks * CHUNK_S)


def on_disk(data, name="math"):
    found = folders(data, name)
    media = found[0] / "main.mp4" if found else None
    return set(pieces(media)) if media and media.exists() else set()


class Scene:
    """`run` is called while the lesson is on the air, `result` when it is over."""

    title, bound_s = "", 1.0
    lost_max_s = 0.0  # of what may be missing in the end

    def __init__(self, stage, rng, full):
        self.stage, self.rng, self.full = stage, rng, full
        self.last = None  # the recorder that sees the end
        self.figures = Figures()

    def mark(self):
        """The lesson is about to end."""
        self.said = len(self.last.err) if self.last else 0

    def finish(self, recorder):
        recorder.wait_log("recording closed", self.said)
        self.examine(recorder)

    def examine(self, recorder):
        """The recording against what was sent; then the recorder is no longer needed."""
        source = f"{recorder.url}/api/v1/recordings/{self.stage.id}/main/download.mp4"
        found = examine(recorder.data, "math", self.stage.references, source)
        found.rounds = 0
        self.figures.add(found)
        recorder.stop()
