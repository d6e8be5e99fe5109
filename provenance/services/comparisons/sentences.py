"""The first line of a comparison: what two jobs have in common, and what differs.

It also says whether the differences show in the result.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from jobprov.provenance.answers.comparisons import Facet
from jobprov.provenance.lineage import words
from jobprov.provenance.services.comparisons.differences import RECIPE, RESULT

_COMMON = ("code", "configuration", "inputs")
_COUNTED = {"configuration": "parameter", "fcl": "fcl file", "inputs": "input", "scripts": "script"}
_MANY = ("products", "seeds")
_CANONICAL_NUMBER = re.compile(r"-?\d(\.\d{1,17})?e-?\d{1,3}", re.ASCII)
_SMALLEST, _LARGEST = -5, 15  # powers of ten that are written out
_ENDS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "killed": "was killed",
    "lost": "was lost",
    "running": "still runs",
}


def comparison_sentence(
    before: dict[str, Any], after: dict[str, Any], facets: Sequence[Facet]
) -> str:
    """Return one sentence, for example "Same code and inputs; 3 parameters differ.

    Results differ.".
    """
    by_name = {found.name: found for found in facets}
    if before["recipe_id"] is not None and before["recipe_id"] == after["recipe_id"]:
        parts = ["same recipe"]
    else:
        same = [name for name in _COMMON if (found := by_name[name]).said and not _differs(found)]
        parts = [f"same {_listed(same)}"] if same else []
        parts += [_said(found) for found in facets if found.matters == RECIPE and _differs(found)]
    parts += [_ending(before, after), *_result(before, after, by_name["outputs"])]
    text = "; ".join(part for part in parts if part)
    return text[:1].upper() + text[1:] + "."


def _differs(found: Facet) -> bool:
    return bool(found.count or found.problems)


def _said(found: Facet) -> str:
    title = found.title[0].lower() + found.title[1:]
    if found.problems and not found.count:
        return f"{title} cannot be compared"
    count = found.count
    if found.name == "configuration":
        count = sum(bool(row.origin_before or row.origin_after) for row in found.differences)
    word = _COUNTED.get(found.name)
    if word is None or not count:
        return f"{title} {'differ' if found.name in _MANY else 'differs'}"
    return f"{words.counted(count, word)} {'differs' if count == 1 else 'differ'}"


def _ending(before: dict[str, Any], after: dict[str, Any]) -> str:
    states = [job["summary"]["state"] for job in (before, after)]
    if states[0] == states[1]:
        return f"both {_ENDS[states[0]].replace('was', 'were').replace('runs', 'run')}"
    return f"the first {_ENDS[states[0]]}, the second {_ENDS[states[1]]}"


def _result(before: dict[str, Any], after: dict[str, Any], outputs: Facet) -> list[str]:
    """Return what is known of the results: by their ids if both have one, else by the outputs."""
    ids = [job["result_id"] for job in (before, after)]
    if all(ids) and ids[0].partition(":")[0] == ids[1].partition(":")[0]:
        return ["same results" if ids[0] == ids[1] else "results differ"]
    if any(job["summary"]["state"] != "succeeded" for job in (before, after)):
        return []
    return ["outputs differ"] if outputs.matters == RESULT and outputs.count else []


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def readable(value: str) -> str:
    """Return a canonical number as people write it, `0.9` for `9e-1`; any other text as it is."""
    if not _CANONICAL_NUMBER.fullmatch(value):
        return value
    number = Decimal(value)
    return f"{number:f}" if _SMALLEST <= number.adjusted() <= _LARGEST else value


def narrowed(before: str, after: str, width: int) -> tuple[str, str]:
    """Return two texts cut to a width around the first difference, so that it is in sight."""
    start = next(
        (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
        min(len(before), len(after)),
    )
    first = max(0, start - width // 3) if max(len(before), len(after)) > width else 0
    return _window(before, first, width), _window(after, first, width)


def _window(text: str, first: int, width: int) -> str:
    shown = text[first : first + width]
    return ("…" if first else "") + shown + ("…" if first + width < len(text) else "")
