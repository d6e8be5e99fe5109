"""What differs between two evaluated configurations, by parameter, with the line that each value came from.

Equal parts are skipped by their canonical text. A table under a new name is one rename and what
changed inside it; an element put into a sequence is one insertion, the elements behind it keep
their partners. Values count, not how they were written.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from jobprov.provenance.fhicl.alignment import aligned, renamed_pairs
from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.positions import Origin
from jobprov.provenance.fhicl.tree import origin_of
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

CHANGED = "changed"
ADDED = "added"
REMOVED = "removed"
RENAMED = "renamed"
KINDS = (CHANGED, ADDED, REMOVED, RENAMED)

_PATH_PART = re.compile(r"(\w+)|\[(\d+)\]", re.ASCII)
_SHORTEST_MOVED = 20  # canonical characters; shorter tables equal each other by chance
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: one of `KINDS`; a RENAMED table stands at `path_before` in one and at `path_after` in
            the other, with its inner changes apart.
        path_before: `a.b[2].c` in the first configuration, None of ADDED.
        path_after: the same in the second, None of REMOVED.
        before: canonical text in the first, None of ADDED.
        after: the same in the second, None of REMOVED.
        origin_before: file and line of the first, None where nothing wrote it.
        origin_after: the same of the second.
    """

    kind: str
    path_before: str | None
    path_after: str | None
    before: str | None
    after: str | None
    origin_before: Origin | None
    origin_after: Origin | None

    @property
    def path(self) -> str:
        """The path to list it under."""
        return self.path_after or self.path_before or ""

    def line(self) -> str:
        """Return it as one line of text."""
        if self.kind == RENAMED:
            return f"> {self.path_before} -> {self.path_after}{_place(self.origin_before)}{_place(self.origin_after)}"
        if self.kind == ADDED:
            return f"+ {self.path_after}: {_short(self.after)}{_place(self.origin_after)}"
        if self.kind == REMOVED:
            return f"- {self.path_before}: {_short(self.before)}{_place(self.origin_before)}"
        name = (
            self.path
            if self.path_before == self.path_after
            else f"{self.path_before} -> {self.path_after}"
        )
        return f"~ {name}: {_short(self.before)}{_place(self.origin_before)} -> {_short(self.after)}{_place(self.origin_after)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """All differences of two configurations, in the order of their paths.

    Attributes:
        changes: one entry a difference; empty if the two are the same set.
    """

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def counts(self) -> dict[str, int]:
        """Return how many differences of each kind there are."""
        counted = Counter(change.kind for change in self.changes)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def lines(self) -> list[str]:
        """Return the differences as lines of text."""
        return [change.line() for change in self.changes]


def diff(before: Configuration, after: Configuration) -> Difference:
    """Return what differs from the first configuration to the second."""
    comparison = _Comparison()
    comparison.compare(before.root, after.root)
    return Difference(tuple(comparison.changes()))


class _Comparison:
    """Walks two sets side by side; what waits is kept in a list, so that depth costs no recursion."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Value, Value, str, str]] = []
        self._found: list[Change] = []
        self._removed: list[tuple[str, Value]] = []
        self._added: list[tuple[str, Value]] = []

    def compare(self, before: TableBody, after: TableBody) -> None:
        """Compare two sets."""
        self._compare_tables(before, after, "", "")
        while self._waiting:
            old, new, old_path, new_path = self._waiting.pop()
            if old.kind == TABLE:
                self._compare_tables(old.body, new.body, old_path, new_path)
            else:
                self._compare_sequences(old, new, old_path, new_path)

    def changes(self) -> Iterator[Change]:
        """Yield the differences in the order of their paths.

        What left one place and stands unchanged at another is one rename.
        """
        self._pair_moved()
        self._found += [_change(REMOVED, (path, value), None) for path, value in self._removed]
        self._found += [_change(ADDED, None, (path, value)) for path, value in self._added]
        yield from sorted(self._found, key=lambda change: (_by_number(change.path), change.kind))

    def _compare_tables(
        self, before: TableBody, after: TableBody, old_path: str, new_path: str
    ) -> None:
        if before.canonical == after.canonical:
            return
        old, new = before.members, after.members
        for name in old.keys() & new.keys():
            self._compare_values(
                old[name], new[name], _joined(old_path, name), _joined(new_path, name)
            )
        gone = {name: old[name] for name in sorted(old.keys() - new.keys())}
        come = {name: new[name] for name in sorted(new.keys() - old.keys())}
        for old_name, new_name in renamed_pairs(gone, come):
            pair = (
                (_joined(old_path, old_name), gone.pop(old_name)),
                (_joined(new_path, new_name), come.pop(new_name)),
            )
            self._found.append(_change(RENAMED, *pair))
            self._compare_values(pair[0][1], pair[1][1], pair[0][0], pair[1][0])
        self._removed += [(_joined(old_path, name), value) for name, value in gone.items()]
        self._added += [(_joined(new_path, name), value) for name, value in come.items()]

    def _compare_sequences(self, before: Value, after: Value, old_path: str, new_path: str) -> None:
        old, new = before.body.items, after.body.items
        for old_index, new_index in aligned(old, new):
            if old_index is None and new_index is not None:
                self._added.append((f"{new_path}[{new_index}]", new[new_index]))
            elif new_index is None and old_index is not None:
                self._removed.append((f"{old_path}[{old_index}]", old[old_index]))
            elif old_index is not None and new_index is not None:
                self._compare_values(
                    old[old_index],
                    new[new_index],
                    f"{old_path}[{old_index}]",
                    f"{new_path}[{new_index}]",
                )

    def _compare_values(self, old: Value, new: Value, old_path: str, new_path: str) -> None:
        if text_of(old) == text_of(new):
            return
        if old.kind == new.kind and old.kind >= SEQUENCE:
            self._waiting.append((old, new, old_path, new_path))
        else:
            self._found.append(_change(CHANGED, (old_path, old), (new_path, new)))

    def _pair_moved(self) -> None:
        """Turn a table that is gone from one place and stands unchanged at another into a rename."""
        by_text: dict[str, deque[tuple[str, Value]]] = {}
        for path, value in self._added:
            if value.kind == TABLE and len(text_of(value)) >= _SHORTEST_MOVED:
                by_text.setdefault(text_of(value), deque()).append((path, value))
        paired: set[str] = set()
        left = []
        for gone in self._removed:
            partners = by_text.get(text_of(gone[1])) if gone[1].kind == TABLE else None
            if partners:
                partner = partners.popleft()
                paired.add(partner[0])
                self._found.append(_change(RENAMED, gone, partner))
            else:
                left.append(gone)
        self._removed = left
        self._added = [come for come in self._added if come[0] not in paired]


def text_of(value: Value) -> str:
    """Return the canonical text of a value."""
    return value.text if value.body is None else str(value.body.canonical)


def _change(kind: str, before: tuple[str, Value] | None, after: tuple[str, Value] | None) -> Change:
    return Change(
        kind,
        before[0] if before else None,
        after[0] if after else None,
        text_of(before[1]) if before else None,
        text_of(after[1]) if after else None,
        origin_of(before[1]) if before else None,
        origin_of(after[1]) if after else None,
    )


def _by_number(path: str) -> list[tuple[str, int]]:
    """Return a sort key that puts [2] before [10]."""
    return [(name, int(index or -1)) for name, index in _PATH_PART.findall(path)]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _place(origin: Origin | None) -> str:
    return f"  ({origin.file}:{origin.line})" if origin else ""


def _short(text: str | None) -> str:
    if text is None or len(text) <= _LONGEST_SHOWN:
        return str(text)
    return f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"
