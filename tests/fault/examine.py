# SPDX-License-Identifier: MIT
"""What is left on the disk, held against what was sent."""

import dataclasses
import json
import struct
import zlib

import tongke


@dataclasses.dataclass
class Figures:
    """One row of the table. Seconds are the worst of all rounds, the rest are sums."""

    rounds: int = 0
    at_once_s: float = 0.0  # missing on the disk just when it happened
    lost_s: float = 0.0     # missing in the end
    damaged: int = 0
    split: int = 0
    twice: int = 0
    notes: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.rounds += other.rounds
        self.at_once_s = max(self.at_once_s, other.at_once_s)
        self.lost_s = max(self.lost_s, other.lost_s)
        self.damaged += other.damaged
        self.split += other.split
        self.twice += other.twice
        self.notes += other.notes


def folders(data, name):
    """The folders of all recordings of a lesson of this name."""
    found = []
    for path in data.glob("lessons/*/*/*"):
        if path.name.endswith(".deleted"):
            continue
        try:
            known = json.loads((path / "lesson.json").read_text())["name"]
        except (OSError, ValueError, KeyError):
            known = name  # nobody can tell: it counts
        if known == name:
            found.append(path)
    return found


def lines(folder, stream="main"):
    """[(sequence, offset, bytes, flags, media_ns, crc)] of the index."""
    path = folder / f"{stream}.index"
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        if not line.startswith("#"):
            part = line.split()
            found.append((int(part[0]), int(part[1]), int(part[2]), part[3], int(part[4]),
                          int(part[7], 16)))
    return found


def pieces(media):
    """The sequence numbers of the whole chunks of a media file, as its boxes tell."""
    data, at, found, sequence = media.read_bytes(), 0, [], None
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            break
        if kind == b"moof":
            sequence = struct.unpack_from(">I", data, at + 20)[0]
        elif kind == b"mdat" and sequence is not None:
            found.append(sequence)
            sequence = None
        at += size
    return found


def decode(what):
    """Plays all of it; gives what ffmpeg complained about."""
    status, _, said = tongke.run(["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", what, "-f",
                                  "null", "-"], 120)
    return f"status {status}: {said.strip()[:300]}" if status or said.strip() else ""


def check_bytes(folder, figures):
    """Each line of the index against the media, and nothing beside them. Gives all lines."""
    media = (folder / "main.mp4").read_bytes() if (folder / "main.mp4").exists() else b""
    end, found = 0, lines(folder)
    for sequence, offset, size, _, _, crc in found:
        if zlib.crc32(media[offset:offset + size]) != crc:
            figures.damaged = 1
            figures.notes.append(f"chunk {sequence}: its bytes are not those of its line")
        if offset < end:
            figures.damaged = 1
            figures.notes.append(f"chunk {sequence} begins inside another")
        end = offset + size
    if end != len(media):
        figures.damaged = 1
        figures.notes.append(f"{len(media) - end} bytes that the index does not know")
    if (folder / "lesson.json.damaged").exists():
        figures.damaged = 1
        figures.notes.append("lesson.json was damaged")
    return found


def examine(data, name, references, source=None):
    """Figures of the one recording of `name`. `references` in the order of their relays' lives;
    `source` is what is played instead of the file."""
    figures = Figures(rounds=1)
    found = folders(data, name)
    figures.split = max(0, len(found) - 1)
    if not found:
        figures.lost_s = sum(one.length_s(one.sums) for one in references)
        figures.notes.append("there is no recording")
        return figures
    folder = found[0]
    epoch, seen, before = 0, [{} for _ in references], 0
    for sequence, _, _, flags, _, crc in check_bytes(folder, figures):
        if flags == "i":
            continue
        if sequence <= before and epoch + 1 < len(references) and sequence not in seen[epoch + 1]:
            epoch += 1
        before = sequence
        if sequence in seen[epoch]:
            figures.twice += 1
            figures.notes.append(f"chunk {sequence} is there twice")
        seen[epoch][sequence] = crc
        if references[epoch].sums.get(sequence, crc) != crc:
            figures.damaged = 1
            figures.notes.append(f"chunk {sequence} is not what was sent")
    for one, there in zip(references, seen):
        missing = [s for s in one.sums if s not in there]
        if missing:
            figures.lost_s += one.length_s(missing)
            figures.notes.append(f"missing {len(missing)} chunks: {min(missing)} to {max(missing)}")
    if any(seen):
        said = decode(source or folder / "main.mp4")
        if said:
            figures.damaged = 1
            figures.notes.append(f"ffmpeg: {said}")
    return figures
