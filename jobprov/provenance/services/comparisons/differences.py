"""What two jobs are compared by: facets, each a list of differences.

Values are shortened to what fits on a page.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jobprov.provenance.answers.comparisons.jobs import Difference, Facet

Record = Mapping[str, Any]
"""A record, or an entry of one, as JSON, so that unknown fields are compared too."""
Facts = Mapping[str, object]
"""What is compared, by name."""
E = TypeVar("E", bound=Record)

LONGEST_VALUE = 4000
# Levels of a record's own objects that get rows of their own; what is deeper is compared as JSON
_DEEPEST = 8

RECIPE, RESULT, CIRCUMSTANCE = "recipe", "result", "circumstance"


def facet(name: str, title: str, matters: str, rows: list[Difference], fact_count: int) -> Facet:
    """Return a facet with all of its differences."""
    return Facet(name, title, matters, fact_count, len(rows), rows)


def facts_facet(name: str, title: str, matters: str, before: Facts, after: Facts) -> Facet:
    """Return a facet with the differences of two sets of facts."""
    fact_count = len(before.keys() | after.keys())
    return facet(name, title, matters, compared(before, after), fact_count)


def compared(before: Facts, after: Facts) -> list[Difference]:
    """Return what differs between two sets of facts, in the order of the first, then the second."""
    rows = []
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        kind = "changed"
        if old is None:
            kind = "added"
        elif new is None:
            kind = "removed"
        rows.append(Difference(kind, key, shortened(old), shortened(new)))
    return rows


def flat(value: object, prefix: str = "", depth: int = 0) -> dict[str, object]:
    """Return the members of an object by path; lists and what lies deep are values.

    Absent, null and empty are the same: they are left out.
    """
    if isinstance(value, Mapping) and depth < _DEEPEST:
        members: dict[str, object] = {}
        for name, inner in value.items():
            path = f"{prefix}.{name}" if prefix else str(name)
            members |= flat(inner, path, depth + 1)
        return members
    if value is None or value in ("", [], {}):
        return {}
    return {prefix: value}


def keyed(entries: Sequence[E] | None, name: Callable[[E], object]) -> dict[str, E]:
    """Return entries by the name that `name` gives each.

    Where several get the same name, the later ones are numbered.
    """
    by_name: dict[str, E] = {}
    counts = Counter[str]()
    for entry in entries or ():
        key = str(name(entry))
        counts[key] += 1
        if counts[key] > 1:
            key = f"{key} ({counts[key]})"
        by_name[key] = entry
    return by_name


def shortened(value: object) -> object:
    """Return a value as an answer holds it: long text is cut, with its length at the end."""
    text = value if isinstance(value, str) else None
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
        if len(text) <= LONGEST_VALUE:
            return value
    if text is None or len(text) <= LONGEST_VALUE:
        return value
    return f"{text[:LONGEST_VALUE]}... ({len(text):,} characters)"
