# SPDX-License-Identifier: MIT
"""Does faults to the recorder and tells what they cost. Exit status 1: a bound was broken."""

import argparse
import os
import pathlib
import random
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fault"), str(ROOT / "tests" / "integration")]


def arguments():
    parser = argparse.ArgumentParser(
        prog="tools/faults", description="Does faults to the recorder while it records a lesson, and "
        "tells for each what was lost. Every recording is decoded to the end by ffmpeg and compared, "
        "chunk by chunk, with what the relay gave out. The disk is a preloaded library "
        "(tests/fault/shim.c): it fails writes and syncs, and writes down their order, from which a "
        "power cut is worked out: what was synced stays, of the rest any part may be gone.")
    parser.add_argument("--quick", action="store_true", help="few rounds of each, in about a minute")
    parser.add_argument("--only", action="append", metavar="WORD",
                        help="only faults whose name has this in it; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments; 1 if not given")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="folder of the programs; build if not given")
    parser.add_argument("--tap", action="store_true", help="a line of TAP for each fault")
    return parser.parse_args()


class Play:
    """One scene, on a stage of its own or on one shared with others."""

    def __init__(self, kind, stage, seed, full):
        self.scene = kind(stage, random.Random(f"{seed} {kind.title}"), full)
        self.failure = None

    def do(self, what):
        if self.failure is None:
            try:
                what()
            except BaseException as error:  # told in the table, whatever it was
                self.failure = "".join(traceback.format_exception(error))

    def verdict(self):
        figures, scene = self.scene.figures, self.scene
        return (self.failure is None and figures.rounds > 0 and figures.at_once_s <= scene.bound_s
                and figures.lost_s <= scene.lost_max_s and not figures.damaged
                and not figures.split and not figures.twice)


def together(plays, what):
    threads = [threading.Thread(target=play.do, args=(getattr(play.scene, what),)) for play in plays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def act(kinds, stage_new, seed, full):
    """All scenes of one stage at once: they are recorders of the same lesson."""
    stage = stage_new()
    try:
        plays = [Play(kind, stage, seed, full) for kind in kinds]
        together(plays, "run")
        for play in plays:
            play.scene.mark()
        stage.end()
        for play in plays:
            play.do(play.scene.result)
        return plays
    finally:
        stage.close()


HEAD = ("fault", "rounds", "lost at once s", "lost for good s", "damaged", "split", "twice", "")


def row(play):
    figures = play.scene.figures
    return (play.scene.title, str(figures.rounds), f"{figures.at_once_s:.2f}",
            f"{figures.lost_s:.2f}", str(figures.damaged), str(figures.split), str(figures.twice),
            "good" if play.verdict() else "BAD")


def tell(plays, tap):
    mark = "# " if tap else ""
    rows = [HEAD, *map(row, plays)]
    widths = [max(len(one[i]) for one in rows) for i in range(len(HEAD))]
    for one in rows:
        print(mark + "  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                               for i, (text, width) in enumerate(zip(one, widths))))
    for number, play in enumerate(plays, 1):
        notes = [*play.scene.figures.notes, *([play.failure] if play.failure else [])]
        if tap:
            print(f"{'ok' if play.verdict() else 'not ok'} {number} - {play.scene.title}")
        if not play.verdict():
            for line in "\n".join(notes[:20]).splitlines():
                print(f"{mark}{play.scene.title}: {line}")
    if tap:
        print(f"1..{len(plays)}")


def main():
    options = arguments()
    os.environ["TONGKE_BUILD"] = str(options.build.resolve())
    import scenes
    import tongke
    from stage import Stage
    kinds = [kind for kind in scenes.scenes(not options.quick)
             if not options.only or any(word in kind.title for word in options.only)]
    if not kinds:
        sys.exit("no fault of that name")
    print(f"{'# ' if options.tap else ''}seed {options.seed}", flush=True)
    began = time.monotonic()
    tongke.clip()  # made once, by one
    groups = {}
    for kind in kinds:
        groups.setdefault(getattr(kind, "stage_new", Stage), []).append(kind)
    plays, threads, failures = [], [], []

    def run_group(stage_new, group):
        try:
            plays.extend(act(group, stage_new, options.seed, not options.quick))
        except BaseException:
            failures.append(traceback.format_exc())

    for stage_new, group in groups.items():
        threads.append(threading.Thread(target=run_group, args=(stage_new, group)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    plays.sort(key=lambda play: [kind.title for kind in kinds].index(play.scene.title))
    tell(plays, options.tap)
    for text in failures:
        print("\n".join(("# " if options.tap else "") + line for line in text.splitlines()))
    print(f"{'# ' if options.tap else ''}{time.monotonic() - began:.0f} s")
    sys.exit(0 if plays and not failures and all(play.verdict() for play in plays) else 1)


if __name__ == "__main__":
    main()
