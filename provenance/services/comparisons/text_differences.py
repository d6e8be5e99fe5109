"""Two texts by line, in the form of `diff -u`: bounded, whatever they hold."""

from collections.abc import Iterator

from jobprov.provenance.fhicl.matching import changed_stretches, kept_pairs

LARGEST_BYTES = 1_000_000
MOST_LINES = 400
_LONGEST_LINE = 400
_CONTEXT = 3


def unified(before: bytes, after: bytes) -> tuple[list[str], int]:
    """Return (lines, how many are left out) of the unified difference of two texts.

    There are no lines where one of them is larger than a megabyte.
    """
    if max(len(before), len(after)) > LARGEST_BYTES:
        return [], 0
    old, new = _lines(before), _lines(after)
    stretches = list(changed_stretches(kept_pairs(old, new), len(old), len(new)))
    lines = [line for group in _grouped(stretches) for line in _hunk(group, old, new)]
    return lines[:MOST_LINES], max(0, len(lines) - MOST_LINES)


def _lines(text: bytes) -> list[str]:
    return text.decode(errors="replace").splitlines()


def _grouped(stretches: list[tuple[range, range]]) -> Iterator[list[tuple[range, range]]]:
    """Yield changes that stand so close that their contexts touch, together."""
    group: list[tuple[range, range]] = []
    for stretch in stretches:
        if group and stretch[0].start - group[-1][0].stop > 2 * _CONTEXT:
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group


def _hunk(group: list[tuple[range, range]], old: list[str], new: list[str]) -> Iterator[str]:
    head = min(_CONTEXT, group[0][0].start)
    tail = min(_CONTEXT, len(old) - group[-1][0].stop)
    old_lines = range(group[0][0].start - head, group[-1][0].stop + tail)
    new_lines = range(group[0][1].start - head, group[-1][1].stop + tail)
    yield f"@@ -{_span(old_lines)} +{_span(new_lines)} @@"
    position = old_lines.start
    for removed, added in group:
        yield from (f" {_cut(line)}" for line in old[position : removed.start])
        yield from (f"-{_cut(old[number])}" for number in removed)
        yield from (f"+{_cut(new[number])}" for number in added)
        position = removed.stop
    yield from (f" {_cut(line)}" for line in old[position : old_lines.stop])


def _span(lines: range) -> str:
    # Lines count from 1; an empty range names the line before it, as `diff -u` does
    first = lines.start + 1 if lines else lines.start
    return str(first) if len(lines) == 1 else f"{first},{len(lines)}"


def _cut(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[:_LONGEST_LINE]}... ({len(line):,} characters)"
