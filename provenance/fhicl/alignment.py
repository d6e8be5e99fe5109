"""Which table of one set is which of another under a new name, and which elements of two sequences belong together.

Tables are alike by the parameters they share: a path with the same value counts one, with another
value a half. All searches are bounded; past the bounds only exact partners are found.
"""

from collections.abc import Iterator, Mapping
from operator import eq
from typing import TypeVar

from jobprov.provenance.fhicl.matching import changed_stretches, kept_pairs
from jobprov.provenance.fhicl.tree import parameters
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

_LEAST_LIKENESS = 0.6
_LEAST_LIKENESS_IN_PLACE = 0.3
_MOST_PAIRS = 4000
_SHORTEST_RENAMED = 12  # canonical characters; shorter tables equal each other by chance

Key = TypeVar("Key", str, int)


def renamed_pairs(gone: Mapping[str, Value], come: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Return (old name, new name) of the tables that only changed their name, or little else."""
    return _pairs(_tables(gone), _tables(come))


def aligned(old: list[Value], new: list[Value]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the index pairs of two sequences that differ.

    (old, new) replaced, (old, None) removed, (None, new) added.
    """
    old_texts, new_texts = [_text(value) for value in old], [_text(value) for value in new]
    kept = kept_pairs(old_texts, new_texts)
    if len(old) == len(new) and sum(map(eq, old_texts, new_texts)) >= len(kept):
        yield from _in_place(range(len(old)), old, new)
        return
    for old_range, new_range in changed_stretches(kept, len(old), len(new)):
        yield from _alike_first(old_range, new_range, old, new)


def _in_place(
    indices: range, old: list[Value], new: list[Value]
) -> Iterator[tuple[int | None, int | None]]:
    """Pair what differs at the same index, unless it is two tables that share next to nothing."""
    for index in indices:
        if _text(old[index]) == _text(new[index]):
            continue
        if (
            old[index].kind == new[index].kind == TABLE
            and _likeness_of(old[index], new[index]) < _LEAST_LIKENESS_IN_PLACE
        ):
            yield index, None
            yield None, index
        else:
            yield index, index


def _alike_first(
    old_range: range, new_range: range, old: list[Value], new: list[Value]
) -> Iterator[tuple[int | None, int | None]]:
    """Pair the tables that are alike, then the rest in order."""
    pairs = dict(
        _pairs(
            _tables({index: old[index] for index in old_range}),
            _tables({index: new[index] for index in new_range}),
        )
    )
    yield from pairs.items()
    partners = set(pairs.values())
    yield from _in_order(
        [each for each in old_range if each not in pairs],
        [each for each in new_range if each not in partners],
        old,
        new,
    )


def _in_order(
    old_indices: "range | list[int]",
    new_indices: "range | list[int]",
    old: list[Value],
    new: list[Value],
) -> Iterator[tuple[int | None, int | None]]:
    """Pair what is left in order, atoms with atoms and like with like.

    Tables that are not alike are no partners.
    """
    common = min(len(old_indices), len(new_indices))
    for old_index, new_index in zip(old_indices, new_indices, strict=False):
        if old[old_index].kind == new[new_index].kind == TABLE:
            yield old_index, None
            yield None, new_index
        elif _text(old[old_index]) != _text(new[new_index]):
            yield old_index, new_index
    yield from ((index, None) for index in old_indices[common:])
    yield from ((None, index) for index in new_indices[common:])


def _pairs(gone: dict[Key, Value], come: dict[Key, Value]) -> list[tuple[Key, Key]]:
    """Return the partners, the most alike first and each once."""
    if not gone or not come:
        return []
    if len(gone) * len(come) > _MOST_PAIRS:
        return _equal_pairs(gone, come)
    old_sets = {key: _parameter_set(value) for key, value in gone.items()}
    new_sets = {key: _parameter_set(value) for key, value in come.items()}
    ranked = sorted(
        ((_likeness(old_sets[old], new_sets[new]), old, new) for old in gone for new in come),
        key=lambda entry: -entry[0],
    )
    pairs: dict[Key, Key] = {}
    taken: set[Key] = set()
    for likeness, old, new in ranked:
        if likeness >= _LEAST_LIKENESS and old not in pairs and new not in taken:
            pairs[old] = new
            taken.add(new)
    return sorted(pairs.items())


def _equal_pairs(gone: dict[Key, Value], come: dict[Key, Value]) -> list[tuple[Key, Key]]:
    by_text: dict[str, list[Key]] = {}
    for key, value in come.items():
        by_text.setdefault(_text(value), []).append(key)
    return [
        (key, by_text[_text(value)].pop(0))
        for key, value in gone.items()
        if by_text.get(_text(value))
    ]


def _tables(values: Mapping[Key, Value]) -> dict[Key, Value]:
    return {
        key: value
        for key, value in values.items()
        if value.kind == TABLE and len(_text(value)) >= _SHORTEST_RENAMED
    }


def _parameter_set(value: Value) -> dict[str, str]:
    body: TableBody = value.body
    return {parameter.path: parameter.canonical for parameter in parameters(body)}


def _likeness(old: dict[str, str], new: dict[str, str]) -> float:
    """Return from 0 to 1 how alike two tables are."""
    common = old.keys() & new.keys()
    equal = sum(old[path] == new[path] for path in common)
    return (equal + len(common)) / 2 / max(len(old), len(new), 1)


def _likeness_of(old: Value, new: Value) -> float:
    return _likeness(_parameter_set(old), _parameter_set(new))


def _text(value: Value) -> str:
    return value.text if value.kind < SEQUENCE else str(value.body.canonical)
