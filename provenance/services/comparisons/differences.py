"""What two jobs are compared by: facets, each a list of differences.

Values are shortened to what a reader can bear.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobprov.provenance.answers.comparisons import Difference

LONGEST_VALUE = 4000
# levels of a record's own objects that get rows of their own; what is deeper is compared as JSON
_DEEPEST = 8

RECIPE, RESULT, CIRCUMSTANCE = "recipe", "result", "circumstance"


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two sets of facts, in the order of the first, then the second."""
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
