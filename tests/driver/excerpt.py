# SPDX-License-Identifier: MIT
"""What is told of failures at the end of a log of which only the end may be kept."""

EXCERPT_LINES = 60    # of one failure: its traceback, and the end of what a program said
LINE_CHARS = 300
EXCERPTS_BYTES = 14000  # of all failures: a CI may show no more than the last 20 kB, names and sums with them


def cut(items, most, between):
    """The beginning, which says what failed, and the end, which says what came last."""
    if len(items) <= most:
        return items
    end = most * 2 // 5
    begin = max(most - end - len(between), 0)
    return items[:begin] + between + items[len(items) - end:]


def size(lines):
    return sum(len(line.encode(errors="replace")) + len("   \n") for line in lines)


def excerpt(lines, most_bytes=EXCERPTS_BYTES):
    """At most EXCERPT_LINES of what was said of one failure, from its verdict on where it has one."""
    verdict = next((n for n, line in enumerate(lines) if line.lstrip().startswith("not ok")), 0)
    begin = min(verdict, max(len(lines) - EXCERPT_LINES, 0))
    told = [cut(line, LINE_CHARS, " … ") for line in lines[begin:]]
    for most in range(EXCERPT_LINES, 0, -1):
        kept = cut(told, most, ["…"])
        if size(kept) <= most_bytes:
            return kept
    return []


def excerpts(failures):
    """Lines for each failure, which together keep to EXCERPTS_BYTES: who needs less leaves it to others."""
    left, kept = EXCERPTS_BYTES, {}
    for count, number in enumerate(sorted(range(len(failures)), key=lambda n: size(failures[n].lines))):
        kept[number] = excerpt(failures[number].lines, left // (len(failures) - count))
        left -= size(kept[number])
    return [kept[number] for number in range(len(failures))]
