"""Which elements of two lists of texts stay.

The longest common order, as far as a bounded search finds it.

Texts that stand once in each list anchor the search (patience); between anchors the shortest edit
is looked for, up to so many changes. The effort grows with length times that bound, whatever the
lists hold; past it a stretch counts as replaced.

Source: E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

_MOST_EDITS = 128
_Pair = tuple[int, int]


def kept_pairs(old: Sequence[str], new: Sequence[str]) -> list[_Pair]:
    """Return (index in old, index in new) of equal elements, rising in both."""
    pairs: list[_Pair] = []
    old_start = new_start = 0
    for old_end, new_end in [*_anchors(old, new), (len(old), len(new))]:
        pairs += _between(old, new, range(old_start, old_end), range(new_start, new_end))
        if old_end < len(old) and new_end < len(new):
            pairs.append((old_end, new_end))
        old_start, new_start = old_end + 1, new_end + 1
    return pairs


def changed_stretches(
    pairs: Sequence[_Pair], old_size: int, new_size: int
) -> Iterator[tuple[range, range]]:
    """Yield what stands between elements that stay.

    A stretch of the old list and what the new one has there.
    """
    old_start = new_start = 0
    for old_end, new_end in [*pairs, (old_size, new_size)]:
        if old_start < old_end or new_start < new_end:
            yield range(old_start, old_end), range(new_start, new_end)
        old_start, new_start = old_end + 1, new_end + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[_Pair]:
    """Return the longest rising list of elements that stand once in each."""
    once_old, once_new = Counter(old), Counter(new)
    places = {text: place for place, text in enumerate(new) if once_new[text] == 1}
    unique = [
        (at, places[text]) for at, text in enumerate(old) if once_old[text] == 1 and text in places
    ]
    ends: list[int] = []  # smallest last place in new of a rising list, by its length
    entries: list[int] = []
    before: list[int] = []
    for entry, (_, place) in enumerate(unique):
        length = bisect_left(ends, place)
        before.append(entries[length - 1] if length else -1)
        if length < len(ends):
            ends[length], entries[length] = place, entry
        else:
            ends.append(place)
            entries.append(entry)
    found: list[_Pair] = []
    entry = entries[-1] if entries else -1
    while entry >= 0:
        found.append(unique[entry])
        entry = before[entry]
    return found[::-1]


def _between(
    old: Sequence[str], new: Sequence[str], old_range: range, new_range: range
) -> list[_Pair]:
    """Return the equal pairs of two stretches: their common ends, and within them those of the shortest edit."""
    start = 0
    while (
        start < min(len(old_range), len(new_range))
        and old[old_range[start]] == new[new_range[start]]
    ):
        start += 1
    tail = 0
    while (
        tail < min(len(old_range), len(new_range)) - start
        and old[old_range[-1 - tail]] == new[new_range[-1 - tail]]
    ):
        tail += 1
    head = list(zip(old_range[:start], new_range[:start], strict=True))
    rest_old, rest_new = (
        old_range[start : len(old_range) - tail],
        new_range[start : len(new_range) - tail],
    )
    inner = _shortest_edit(old, new, rest_old, rest_new) if rest_old and rest_new else []
    end = zip(old_range[len(old_range) - tail :], new_range[len(new_range) - tail :], strict=True)
    return [*head, *inner, *end]


def _shortest_edit(
    old: Sequence[str], new: Sequence[str], old_range: range, new_range: range
) -> list[_Pair]:
    """Return the equal pairs of the shortest edit, none where it takes more than the bound."""
    height, width = len(old_range), len(new_range)
    if abs(height - width) > _MOST_EDITS:
        return []
    reached = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(height + width, _MOST_EDITS) + 1):
        trail.append(dict(reached))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (
                diagonal != edits and reached.get(diagonal - 1, -1) < reached.get(diagonal + 1, -1)
            )
            x = reached[diagonal + 1] if down else reached[diagonal - 1] + 1
            y = x - diagonal
            while x < height and y < width and old[old_range[x]] == new[new_range[y]]:
                x, y = x + 1, y + 1
            reached[diagonal] = x
            if x >= height and y >= width:
                return _walked_back(trail, old_range, new_range)
    return []


def _walked_back(trail: list[dict[int, int]], old_range: range, new_range: range) -> list[_Pair]:
    x, y = len(old_range), len(new_range)
    pairs: list[_Pair] = []
    for edits in range(len(trail) - 1, -1, -1):
        reached, diagonal = trail[edits], x - y
        down = diagonal == -edits or (
            diagonal != edits and reached.get(diagonal - 1, -1) < reached.get(diagonal + 1, -1)
        )
        before = diagonal + 1 if down else diagonal - 1
        from_x = reached[before] if edits else 0
        from_y = from_x - before if edits else 0
        while x > from_x and y > from_y:
            x, y = x - 1, y - 1
            pairs.append((old_range[x], new_range[y]))
        x, y = from_x, from_y
    return pairs[::-1]
