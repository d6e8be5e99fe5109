"""Histograms as pages draw them: the bars are one path.

Over each bar lies a place to point at, which says the exact numbers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobprov.app.web.frame.formats import counted, number

HEIGHT = 40
STEP = 5
_GAP = 1
_RAW = {"seconds": (1.0, "s"), "bytes": (1.0, "B"), "ratio": (100.0, "%")}


class Histogram(NamedTuple):
    """One distribution.

    Attributes:
        width: of the picture, whose height is `HEIGHT`.
        path: of the bars; what is not empty is seen.
        bars: what each bar says: from where to where, and how many jobs.
        highest: which bar is the highest, from 0.
    """

    width: int
    path: str
    bars: list[str]
    highest: int


def draw_histogram(counts: Sequence[int], ends: Sequence[str]) -> Histogram:
    """Return the histogram of these counts.

    `ends` are the words of the edges, one more than there are bars.
    """
    most = max(counts) or 1
    heights = [round(HEIGHT * count / most) or (1 if count else 0) for count in counts]
    path = "".join(
        f"M{place * STEP} {HEIGHT}v-{height}h{STEP - _GAP}v{height}z"
        for place, height in enumerate(heights)
        if height
    )
    last = len(counts) - 1
    bars = []
    for place, count in enumerate(counts):
        where = f"{ends[place]} to {ends[place + 1]}"
        where += " and below" if place == 0 else " and above" if place == last else ""
        bars.append(f"{where}: {counted(count, 'job')}")
    return Histogram(len(counts) * STEP, path, bars, counts.index(max(counts)))


def end_words(edges: Sequence[float], unit: str, said: Callable[[float], str]) -> list[str]:
    """Return the edges in words, as `said` says them.

    Where two of them would read the same, they are in the plain unit, with enough digits.
    """
    words = [said(edge) for edge in edges]
    if len(set(words)) == len(words):
        return words
    factor, name = _RAW[unit]
    step = factor * (edges[-1] - edges[0]) / (len(edges) - 1)
    digits = max(0, 1 - math.floor(math.log10(step))) if step > 0 else 0
    return [
        f"{number(factor * edge) if digits == 0 else format(factor * edge, f'.{digits}f')} {name}"
        for edge in edges
    ]
