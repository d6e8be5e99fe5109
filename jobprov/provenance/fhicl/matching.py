"""Aligns two lists of texts: which elements stay, as far as a bounded search finds out.

Texts that occur once in each list are anchors (as in a patience diff). Between anchors, the
shortest edit is searched, up to a bound of changes; beyond it, the whole stretch counts as
replaced. So the effort is at most the length times the bound, whatever the lists hold.

Source: E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MOST_EDITS = 128
_Pair = tuple[int, int]


def kept_pairs(old: Sequence[str], new: Sequence[str]) -> list[_Pair]:
    """Return (index in old, index in new) of the elements that stay, rising in both."""
    pairs: list[_Pair] = []
    old_start = new_start = 0
    for old_end, new_end in [*_anchors(old, new), (len(old), len(new))]:
        pairs += _between(old, new, range(old_start, old_end), range(new_start, new_end))
        if old_end < len(old) and new_end < len(new):
            pairs.append((old_end, new_end))
        old_start, new_start = old_end + 1, new_end + 1
    return pairs


class Stretch(NamedTuple):
    """A change: indices in the old list, and the indices in the new one in their place."""

    removed: range
    added: range


def changed_stretches(
    old: Sequence[str], new: Sequence[str], pairs: Sequence[_Pair] | None = None
) -> Iterator[Stretch]:
    """Yield the stretches between elements that stay; `pairs` are those, where they are known."""
    if pairs is None:
        pairs = kept_pairs(old, new)
    old_start = new_start = 0
    for old_end, new_end in [*pairs, (len(old), len(new))]:
        if old_start < old_end or new_start < new_end:
            yield Stretch(range(old_start, old_end), range(new_start, new_end))
        old_start, new_start = old_end + 1, new_end + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[_Pair]:
    """Return the elements that occur once in each list and in the same order, as many as can be."""
    counts_old, counts_new = Counter(old), Counter(new)
    new_index = {text: index for index, text in enumerate(new) if counts_new[text] == 1}
    unique: list[_Pair] = []
    for index, text in enumerate(old):
        if counts_old[text] == 1 and text in new_index:
            unique.append((index, new_index[text]))
    return _longest_rising(unique)


def _longest_rising(pairs: list[_Pair]) -> list[_Pair]:
    """Return the longest sub-list whose second indices rise; the first ones rise already."""
    # For each length: of the rising lists so far, the one whose last index in `new` is lowest, since
    # that one is easiest to extend
    ends: list[int] = []
    entries: list[int] = []
    before: list[int] = []
    for entry, (_, index) in enumerate(pairs):
        length = bisect_left(ends, index)
        before.append(entries[length - 1] if length else -1)
        if length < len(ends):
            ends[length], entries[length] = index, entry
        else:
            ends.append(index)
            entries.append(entry)
    rising: list[_Pair] = []
    entry = entries[-1] if entries else -1
    while entry >= 0:
        rising.append(pairs[entry])
        entry = before[entry]
    return rising[::-1]


def _between(
    old: Sequence[str], new: Sequence[str], old_range: range, new_range: range
) -> list[_Pair]:
    """Return the equal pairs of two stretches: common ends, and in between the shortest edit."""
    head = _common_length(old, new, old_range, new_range)
    pairs = list(zip(old_range[:head], new_range[:head], strict=True))
    old_range, new_range = old_range[head:], new_range[head:]
    tail = _common_length(old, new, old_range[::-1], new_range[::-1])
    old_end, new_end = len(old_range) - tail, len(new_range) - tail
    if old_end and new_end:
        pairs += _shortest_edit(old, new, old_range[:old_end], new_range[:new_end])
    pairs += zip(old_range[old_end:], new_range[new_end:], strict=True)
    return pairs


def _common_length(
    old: Sequence[str], new: Sequence[str], old_range: range, new_range: range
) -> int:
    """Return how many elements are equal at the start of two stretches."""
    length = 0
    for old_index, new_index in zip(old_range, new_range, strict=False):
        if old[old_index] != new[new_index]:
            break
        length += 1
    return length


def _shortest_edit(
    old: Sequence[str], new: Sequence[str], old_range: range, new_range: range
) -> list[_Pair]:
    """Return the equal pairs of the shortest edit; none if it has more changes than the bound."""
    old_size, new_size = len(old_range), len(new_range)
    if abs(old_size - new_size) > _MOST_EDITS:
        return []
    # x counts elements passed in old, y in new. A diagonal is where x - y is the same; of each, how
    # far the best path with so many edits gets, as its x
    reached = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(old_size + new_size, _MOST_EDITS) + 1):
        trail.append(dict(reached))
        for diagonal in range(-edits, edits + 1, 2):
            if _is_insertion(reached, diagonal, edits):
                x = reached[diagonal + 1]
            else:
                x = reached[diagonal - 1] + 1
            y = x - diagonal
            while x < old_size and y < new_size and old[old_range[x]] == new[new_range[y]]:
                x += 1
                y += 1
            reached[diagonal] = x
            if x >= old_size and y >= new_size:
                return _walked_back(trail, old_range, new_range)
    return []


def _is_insertion(reached: dict[int, int], diagonal: int, edits: int) -> bool:
    """Return whether the furthest path of so many edits ends on this diagonal with an insertion.

    If not, it ends with a removal.
    """
    if diagonal == -edits:
        return True
    if diagonal == edits:
        return False
    return reached.get(diagonal - 1, -1) < reached.get(diagonal + 1, -1)


def _walked_back(trail: list[dict[int, int]], old_range: range, new_range: range) -> list[_Pair]:
    """Return the equal pairs on the best path, walked from its end to its start.

    `trail` has, for each number of edits, what was reached before the last of them.
    """
    x, y = len(old_range), len(new_range)
    pairs: list[_Pair] = []
    for edits in range(len(trail) - 1, -1, -1):
        from_x = from_y = 0
        if edits:
            reached, diagonal = trail[edits], x - y
            before = diagonal - 1
            if _is_insertion(reached, diagonal, edits):
                before = diagonal + 1
            from_x = reached[before]
            from_y = from_x - before
        while x > from_x and y > from_y:
            x, y = x - 1, y - 1
            pairs.append((old_range[x], new_range[y]))
        x, y = from_x, from_y
    return pairs[::-1]
