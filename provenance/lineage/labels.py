"""Names cut to the width of a box, so that names that differ are seen to differ.

A production names thousands of files alike: `fardet_genie_…_prod7_003_of_006.caf.root`. A cut in
the middle of each name takes away just what tells them apart, so what names share is left out
first.
"""

import re
from collections.abc import Iterable, Sequence

from jobprov.provenance.lineage.words import columns, elided, leading, shown

ROUNDS = 6
"""Each parts names that are still cut to the same label.

Names that differ in several places need several.
"""
CONTEXT = 9
"""Columns before what differs that are shown where the end of the name must be cut as well."""
LEAST = 4
"""An end of a name in fewer columns says nothing."""


def tell_apart(names: Iterable[str], width: int) -> dict[str, str]:
    """Each name in at most `width` columns.

    Those that differ read differently wherever that is possible.
    """
    labels = {name: _cut(shown(name), width) for name in names}
    for _ in range(ROUNDS):
        crowds = [some for some in _by_label(labels).values() if len(some) > 1]
        if not crowds:
            break
        for some in crowds:
            start, end = _shared(some)
            labels.update({name: _around(shown(name), start, end, width) for name in some})
    return labels


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, `*` for the rest: `reco_r*.root`."""
    start, end = _shared(names)
    return f"{names[0][:start]}*{names[0][len(names[0]) - end :]}"


def _cut(name: str, width: int) -> str:
    """Both ends of a name; of a pattern what is around its `*`, which says where its members differ."""
    star = name.find("*")
    if star < 0 or columns(name) <= width:
        return elided(name, width)
    return _around(name, star, len(name) - star - 1, width)


def _by_label(labels: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, label in labels.items():
        found.setdefault(label, []).append(name)
    return found


def _shared(names: Sequence[str]) -> tuple[int, int]:
    """How many characters all names begin with, and how many of the others they end with."""
    start = _common_start(names)
    return start, _common_start([name[start:][::-1] for name in names])


def _common_start(names: Sequence[str]) -> int:
    low, high = min(names), max(names)
    return next(
        (place for place, char in enumerate(low) if high[place : place + 1] != char), len(low)
    )


def _around(name: str, start: int, end: int, width: int) -> str:
    """The name without what stands far before its own part, and before its end where that is too long as well."""
    before, own, after = name[:start], name[start : len(name) - end], name[len(name) - end :]
    room = width - columns(own) - 1
    if room < LEAST:
        return f"…{elided(own + after, width - 1)}" if before else elided(own + after, width)
    if columns(after) <= room:
        return f"…{_last_words(before, room - columns(after))}{own}{after}"
    lead = _last_words(before, min(CONTEXT, room // 2))
    left = room - columns(lead) - 1
    if left < LEAST:
        return f"…{_trailing(before, room - 1)}{own}…"
    return f"…{lead}{own}…{_trailing(after, left)}"


def _last_words(text: str, width: int) -> str:
    """The end of a text, from where a word of it begins if one does."""
    end = _trailing(text, width)
    words = re.split("[_.-]", end, maxsplit=1)
    return words[1] if len(words) > 1 and words[1] else end


def _trailing(text: str, width: int) -> str:
    return leading(text[::-1], width)[::-1]
