"""Two texts by line, in the form of `diff -u`: bounded, whatever they hold."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jobprov.provenance.fhicl.matching import Stretch, changed_stretches

LARGEST_BYTES = 1_000_000
MOST_LINES = 400
_LONGEST_LINE = 400
_CONTEXT = 3


class UnifiedDifference(NamedTuple):
    """The first lines of a unified difference, and how many are left out."""

    lines: list[str]
    omitted: int


def unified(before: bytes, after: bytes) -> UnifiedDifference:
    """Return the unified difference of two texts.

    There are no lines where one of them is larger than a megabyte.
    """
    if max(len(before), len(after)) > LARGEST_BYTES:
        return UnifiedDifference([], 0)
    old, new = _lines(before), _lines(after)
    lines: list[str] = []
    for group in _grouped(changed_stretches(old, new)):
        lines += _hunk(group, old, new)
    return UnifiedDifference(lines[:MOST_LINES], max(0, len(lines) - MOST_LINES))


def _lines(text: bytes) -> list[str]:
    return text.decode(errors="replace").splitlines()


def _grouped(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Yield changes that stand so close that their contexts touch, together."""
    group: list[Stretch] = []
    for stretch in stretches:
        if group and stretch.removed.start - group[-1].removed.stop > 2 * _CONTEXT:
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group


def _hunk(group: list[Stretch], old: list[str], new: list[str]) -> Iterator[str]:
    """Yield the lines of some changes with those around them."""
    first, last = group[0], group[-1]
    lines_before = min(_CONTEXT, first.removed.start)
    lines_after = min(_CONTEXT, len(old) - last.removed.stop)
    old_lines = range(first.removed.start - lines_before, last.removed.stop + lines_after)
    new_lines = range(first.added.start - lines_before, last.added.stop + lines_after)
    yield f"@@ -{_span(old_lines)} +{_span(new_lines)} @@"
    position = old_lines.start
    for removed, added in group:
        yield from _marked(" ", old, range(position, removed.start))
        yield from _marked("-", old, removed)
        yield from _marked("+", new, added)
        position = removed.stop
    yield from _marked(" ", old, range(position, old_lines.stop))


def _marked(mark: str, lines: list[str], numbers: range) -> Iterator[str]:
    for number in numbers:
        yield f"{mark}{_cut(lines[number])}"


def _span(lines: range) -> str:
    # Lines count from 1; an empty range names the line before it, as `diff -u` does
    first = lines.start + 1 if lines else lines.start
    return str(first) if len(lines) == 1 else f"{first},{len(lines)}"


def _cut(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[:_LONGEST_LINE]}... ({len(line):,} characters)"
