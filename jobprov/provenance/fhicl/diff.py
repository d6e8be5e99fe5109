"""The differences between two evaluated configurations, by parameter, with the line of each value.

Values count, not how they were written. Parts with equal canonical text are skipped. A table with a
new name is one rename, plus what changed inside it. An element inserted into a sequence is one
insertion; the elements after it are still compared with their old partners.

Two tables are partners, in spite of a new name or place, if they share many parameters: a path with
the same value counts one, with another value a half. All searches are bounded; beyond the bounds,
only equal tables become partners.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq
from typing import NamedTuple, TypeVar

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.matching import changed_stretches, kept_pairs
from jobprov.provenance.fhicl.positions import Origin
from jobprov.provenance.fhicl.tree import origin_of, parameters
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

CHANGED = "changed"
ADDED = "added"
REMOVED = "removed"
RENAMED = "renamed"
KINDS = (CHANGED, ADDED, REMOVED, RENAMED)

_PATH_PART = re.compile(r"(\w+)|\[(\d+)\]", re.ASCII)
_LONGEST_SHOWN = 60

_LEAST_LIKENESS = 0.6
_LEAST_LIKENESS_IN_PLACE = 0.3
_MOST_PAIRS = 4000
# In canonical characters. Shorter tables may be equal by chance, so they do not count as moved
_SHORTEST_MOVED = 20
_SHORTEST_RENAMED = 12

Key = TypeVar("Key", str, int)
IndexPair = tuple[int | None, int | None]
"""Indices in the old and the new sequence; None if the element has no partner there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: one of `KINDS`. RENAMED means that the table has another path; differences inside it
            are changes of their own.
        path_before: `a.b[2].c` in the first configuration; None if ADDED.
        path_after: path in the second one; None if REMOVED.
        before: canonical text in the first one; None if ADDED.
        after: canonical text in the second one; None if REMOVED.
        origin_before: file and line in the first one; None for an `@nil` that nobody wrote.
        origin_after: file and line in the second one.
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
        """The path under which it is listed."""
        return self.path_after or self.path_before or ""

    def line(self) -> str:
        """Return it as one line of text."""
        place_before, place_after = _place(self.origin_before), _place(self.origin_after)
        if self.kind == RENAMED:
            return f"> {self.path_before} -> {self.path_after}{place_before}{place_after}"
        if self.kind == ADDED:
            return f"+ {self.path_after}: {_short(self.after)}{place_after}"
        if self.kind == REMOVED:
            return f"- {self.path_before}: {_short(self.before)}{place_before}"
        name = self.path
        if self.path_before != self.path_after:
            name = f"{self.path_before} -> {self.path_after}"
        before, after = _short(self.before), _short(self.after)
        return f"~ {name}: {before}{place_before} -> {after}{place_after}"


@dataclass(frozen=True, slots=True)
class Difference:
    """All differences between two configurations, in the order of their paths.

    Attributes:
        changes: one entry per difference; empty if the two are the same set.
    """

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def counts(self) -> dict[str, int]:
        """Return how many differences of each kind there are."""
        counts = Counter(change.kind for change in self.changes)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def lines(self) -> list[str]:
        """Return the differences as lines of text."""
        return [change.line() for change in self.changes]


def diff(before: Configuration, after: Configuration) -> Difference:
    """Return the differences between two configurations, the older one first."""
    comparison = _Comparison()
    comparison.compare(before.root, after.root)
    return Difference(tuple(comparison.changes()))


class _Located(NamedTuple):
    """A value and its path in one of the configurations."""

    path: str
    value: Value


class _Comparison:
    """Walks two sets side by side, without recursion: pairs still to be compared wait in a list."""

    def __init__(self) -> None:
        self._waiting: list[tuple[_Located, _Located]] = []
        self._changes: list[Change] = []
        self._removed: list[_Located] = []
        self._added: list[_Located] = []

    def compare(self, before: TableBody, after: TableBody) -> None:
        """Compare two sets."""
        self._compare_tables(before, after, "", "")
        while self._waiting:
            old, new = self._waiting.pop()
            if old.value.kind == TABLE:
                self._compare_tables(old.value.body, new.value.body, old.path, new.path)
            else:
                self._compare_sequences(old, new)

    def changes(self) -> Iterator[Change]:
        """Yield the differences by path.

        A table that is gone from one place and unchanged at another one is a rename.
        """
        self._pair_moved()
        self._changes += [_removal(located) for located in self._removed]
        self._changes += [_addition(located) for located in self._added]
        yield from sorted(self._changes, key=_order_of)

    def _compare_tables(
        self, before: TableBody, after: TableBody, old_path: str, new_path: str
    ) -> None:
        if before.canonical == after.canonical:
            return
        old, new = _located_members(before, old_path), _located_members(after, new_path)
        for name in old.keys() & new.keys():
            self._compare_values(old[name], new[name])
        gone = {name: old[name] for name in sorted(old.keys() - new.keys())}
        come = {name: new[name] for name in sorted(new.keys() - old.keys())}
        for old_name, new_name in _renamed_tables(gone, come):
            old_table, new_table = gone.pop(old_name), come.pop(new_name)
            self._changes.append(_pair_change(RENAMED, old_table, new_table))
            self._compare_values(old_table, new_table)
        self._removed += gone.values()
        self._added += come.values()

    def _compare_sequences(self, old: _Located, new: _Located) -> None:
        old_items, new_items = old.value.body.items, new.value.body.items
        for old_index, new_index in _aligned(old_items, new_items):
            if old_index is not None:
                old_element = _Located(f"{old.path}[{old_index}]", old_items[old_index])
            if new_index is not None:
                new_element = _Located(f"{new.path}[{new_index}]", new_items[new_index])
            if old_index is None:
                self._added.append(new_element)
            elif new_index is None:
                self._removed.append(old_element)
            else:
                self._compare_values(old_element, new_element)

    def _compare_values(self, old: _Located, new: _Located) -> None:
        if text_of(old.value) == text_of(new.value):
            return
        if old.value.kind == new.value.kind and old.value.kind >= SEQUENCE:
            self._waiting.append((old, new))
        else:
            self._changes.append(_pair_change(CHANGED, old, new))

    def _pair_moved(self) -> None:
        """Turn a table that is gone from one place and unchanged at another into a rename."""
        added_by_text: dict[str, deque[_Located]] = {}
        for added in self._added:
            text = text_of(added.value)
            if added.value.kind == TABLE and len(text) >= _SHORTEST_MOVED:
                added_by_text.setdefault(text, deque()).append(added)
        moved_to: set[str] = set()
        removed_for_good = []
        for removed in self._removed:
            partners = added_by_text.get(text_of(removed.value))
            if partners and removed.value.kind == TABLE:
                partner = partners.popleft()
                moved_to.add(partner.path)
                self._changes.append(_pair_change(RENAMED, removed, partner))
            else:
                removed_for_good.append(removed)
        self._removed = removed_for_good
        self._added = [added for added in self._added if added.path not in moved_to]


def text_of(value: Value) -> str:
    """Return the canonical text of a value."""
    return value.text if value.body is None else str(value.body.canonical)


def _located_members(body: TableBody, path: str) -> dict[str, _Located]:
    prefix = f"{path}." if path else ""
    return {name: _Located(f"{prefix}{name}", value) for name, value in body.members.items()}


def _pair_change(kind: str, old: _Located, new: _Located) -> Change:
    return Change(
        kind,
        old.path,
        new.path,
        text_of(old.value),
        text_of(new.value),
        origin_of(old.value),
        origin_of(new.value),
    )


def _removal(old: _Located) -> Change:
    return Change(REMOVED, old.path, None, text_of(old.value), None, origin_of(old.value), None)


def _addition(new: _Located) -> Change:
    return Change(ADDED, None, new.path, None, text_of(new.value), None, origin_of(new.value))


def _order_of(change: Change) -> tuple[list[tuple[str, int]], str]:
    """Return a sort key that puts [2] before [10]."""
    parts = [(name, int(index or -1)) for name, index in _PATH_PART.findall(change.path)]
    return parts, change.kind


def _place(origin: Origin | None) -> str:
    return f"  ({origin.file}:{origin.line})" if origin else ""


def _short(text: str | None) -> str:
    if text is None or len(text) <= _LONGEST_SHOWN:
        return str(text)
    return f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"


def _renamed_tables(
    gone: Mapping[str, _Located], come: Mapping[str, _Located]
) -> list[tuple[str, str]]:
    """Return (old name, new name) of the tables that changed their name and not much else."""
    old_tables = _tables({name: located.value for name, located in gone.items()})
    new_tables = _tables({name: located.value for name, located in come.items()})
    return _partners(old_tables, new_tables)


def _aligned(old: list[Value], new: list[Value]) -> Iterator[IndexPair]:
    """Yield the differences of two sequences as pairs of indices.

    (old, new) was replaced, (old, None) removed, (None, new) added.
    """
    old_texts = [text_of(value) for value in old]
    new_texts = [text_of(value) for value in new]
    pairs = kept_pairs(old_texts, new_texts)
    if len(old) == len(new) and sum(map(eq, old_texts, new_texts)) >= len(pairs):
        yield from _aligned_in_place(old, new)
        return
    for old_range, new_range in changed_stretches(old_texts, new_texts, pairs):
        yield from _aligned_by_likeness(old_range, new_range, old, new)


def _aligned_in_place(old: list[Value], new: list[Value]) -> Iterator[IndexPair]:
    """Pair elements that differ at the same index, unless they are tables with little in common."""
    for index, (old_value, new_value) in enumerate(zip(old, new, strict=True)):
        if text_of(old_value) == text_of(new_value):
            continue
        likeness = 1.0
        if old_value.kind == new_value.kind == TABLE:
            likeness = _likeness(_parameter_set(old_value), _parameter_set(new_value))
        if likeness < _LEAST_LIKENESS_IN_PLACE:
            yield index, None
            yield None, index
        else:
            yield index, index


def _aligned_by_likeness(
    old_range: range, new_range: range, old: list[Value], new: list[Value]
) -> Iterator[IndexPair]:
    """Pair the tables that are alike, then the rest in order."""
    old_tables = _tables({index: old[index] for index in old_range})
    new_tables = _tables({index: new[index] for index in new_range})
    pairs = dict(_partners(old_tables, new_tables))
    yield from pairs.items()
    partners = set(pairs.values())
    old_rest = [index for index in old_range if index not in pairs]
    new_rest = [index for index in new_range if index not in partners]
    yield from _aligned_in_order(old_rest, new_rest, old, new)


def _aligned_in_order(
    old_indices: Sequence[int], new_indices: Sequence[int], old: list[Value], new: list[Value]
) -> Iterator[IndexPair]:
    """Pair the elements that are left, in order; but not two tables, since these are not alike."""
    for old_index, new_index in zip(old_indices, new_indices, strict=False):
        if old[old_index].kind == new[new_index].kind == TABLE:
            yield old_index, None
            yield None, new_index
        elif text_of(old[old_index]) != text_of(new[new_index]):
            yield old_index, new_index
    common = min(len(old_indices), len(new_indices))
    for index in old_indices[common:]:
        yield index, None
    for index in new_indices[common:]:
        yield None, index


def _partners(gone: dict[Key, Value], come: dict[Key, Value]) -> list[tuple[Key, Key]]:
    """Return pairs of tables that belong together. The most alike are paired first, each once."""
    if not gone or not come:
        return []
    if len(gone) * len(come) > _MOST_PAIRS:
        return _equal_partners(gone, come)
    pairs: dict[Key, Key] = {}
    taken: set[Key] = set()
    for likeness, old, new in _ranked_pairs(gone, come):
        if likeness >= _LEAST_LIKENESS and old not in pairs and new not in taken:
            pairs[old] = new
            taken.add(new)
    return sorted(pairs.items())


def _ranked_pairs(gone: dict[Key, Value], come: dict[Key, Value]) -> list[tuple[float, Key, Key]]:
    """Return every pair with its likeness, the most alike first, then in the tables' order."""
    old_sets = {key: _parameter_set(value) for key, value in gone.items()}
    new_sets = {key: _parameter_set(value) for key, value in come.items()}
    ranked = []
    for old_key, old_set in old_sets.items():
        for new_key, new_set in new_sets.items():
            ranked.append((_likeness(old_set, new_set), old_key, new_key))
    ranked.sort(key=lambda entry: -entry[0])
    return ranked


def _equal_partners(gone: dict[Key, Value], come: dict[Key, Value]) -> list[tuple[Key, Key]]:
    by_text: dict[str, list[Key]] = {}
    for key, value in come.items():
        by_text.setdefault(text_of(value), []).append(key)
    pairs = []
    for key, value in gone.items():
        partners = by_text.get(text_of(value))
        if partners:
            pairs.append((key, partners.pop(0)))
    return pairs


def _tables(values: Mapping[Key, Value]) -> dict[Key, Value]:
    return {key: value for key, value in values.items() if _may_be_renamed(value)}


def _may_be_renamed(value: Value) -> bool:
    return value.kind == TABLE and len(text_of(value)) >= _SHORTEST_RENAMED


def _parameter_set(value: Value) -> dict[str, str]:
    body: TableBody = value.body
    return {parameter.path: parameter.canonical for parameter in parameters(body)}


def _likeness(old: dict[str, str], new: dict[str, str]) -> float:
    """Return from 0 to 1 how alike two tables are."""
    common = old.keys() & new.keys()
    equal = sum(old[path] == new[path] for path in common)
    return (equal + len(common)) / 2 / max(len(old), len(new), 1)
