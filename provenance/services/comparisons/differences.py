"""What two jobs are compared by: facets, each a list of differences, values shortened to what a reader bears."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

LONGEST_VALUE = 4000
# levels of a record's own objects that get rows of their own; what is deeper is compared as JSON
_DEEPEST = 8

RECIPE, RESULT, CIRCUMSTANCE = "recipe", "result", "circumstance"


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """The line of a file that wrote a value, and the page of that file."""

    file: str
    line: int
    url: str | None = None


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not the same in both jobs.

    Attributes:
        kind: `changed`, `added` (only in the second), `removed` (only in the first) or `renamed`.
        key: what differs: `physics.producers.smear.width`, `toyexp.commit`, `TZ`.
        before: in the first job; text is shortened past 4,000 characters.
        after: in the second.
        key_before: its key in the first, where that is another: a table was renamed, an element
            moved.
        part: the step whose configuration or the file whose fact it is, where the facet has
            several.
        origin_before: line of the file that set it in the first.
        origin_after: line of the file that set it in the second.
        lines: of a text, a unified difference.
        lines_omitted: how many of its lines are left out.
        url_before: page of what is meant, in the first.
        url_after: page of what is meant, in the second.
    """

    kind: str
    key: str
    before: Any = None
    after: Any = None
    key_before: str | None = None
    part: str | None = None
    origin_before: Place | None = None
    origin_after: Place | None = None
    lines: list[str] = msgspec.field(default_factory=list)
    lines_omitted: int = 0
    url_before: str | None = None
    url_after: str | None = None


class Facet(msgspec.Struct):
    """One side of the two jobs.

    Attributes:
        name: a word for addresses: `code`, `configuration`.
        title: for people.
        matters: `recipe` (decides what comes out), `result` (what came out) or `circumstance`
            (differs in any two runs).
        said: how many facts both jobs say here; where that is 0, nothing was compared.
        count: how many differences there are.
        differences: the first of them.
        omitted: how many are left out.
        problems: why something could not be compared.
    """

    name: str
    title: str
    matters: str
    said: int
    count: int
    differences: list[Difference]
    omitted: int = 0
    problems: list[str] = msgspec.field(default_factory=list)


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two sets of facts, in the order of the first and then of the second."""
    found = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old != new:
            kind = "added" if old is None else "removed" if new is None else "changed"
            found.append(Difference(kind, key, shortened(old), shortened(new)))
    return found


def flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the members of an object by path; lists and what lies deep are values.

    Absent, null and empty are the same: not said.
    """
    if isinstance(value, Mapping) and depth < _DEEPEST:
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found |= flat(inner, f"{prefix}.{name}" if prefix else str(name), depth + 1)
        return found
    return {} if value is None or value in ("", [], {}) else {prefix: value}


def keyed(entries: Sequence[Mapping[str, Any]] | None, name: Any) -> dict[str, Mapping[str, Any]]:
    """Return entries by what `name` calls each.

    Of those called the same, the later ones are numbered.
    """
    found: dict[str, Mapping[str, Any]] = {}
    met: dict[str, int] = {}
    for entry in entries or ():
        called = str(name(entry))
        met[called] = met.get(called, 0) + 1
        found[called if met[called] == 1 else f"{called} ({met[called]})"] = entry
    return found


def shortened(value: Any) -> Any:
    """Return a value as an answer holds it: long text is cut, and says how long it was."""
    text = value if isinstance(value, str) else None
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
        if len(text) <= LONGEST_VALUE:
            return value
    if text is None or len(text) <= LONGEST_VALUE:
        return value
    return f"{text[:LONGEST_VALUE]}... ({len(text):,} characters)"
