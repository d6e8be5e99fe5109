"""The first line of a comparison: what two jobs have in common, and what differs.

It also says whether the differences show in the result.
"""

import os
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from jobprov.provenance.answers.comparisons.jobs import ComparedJob, Facet
from jobprov.provenance.lineage import words
from jobprov.provenance.services.comparisons.code import code_words
from jobprov.provenance.services.comparisons.differences import RECIPE, RESULT

_COMMON = ("code", "configuration", "inputs")
_COUNTED = {"configuration": "parameter", "fcl": "fcl file", "inputs": "input", "scripts": "script"}
_MANY = ("products", "seeds", "variables")
_CANONICAL_NUMBER = re.compile(r"-?\d(\.\d{1,17})?e-?\d{1,3}", re.ASCII)
_SMALLEST, _LARGEST = -5, 15  # powers of ten that are written out
_ENDS = {
    "succeeded": ("succeeded", "both succeeded"),
    "failed": ("failed", "both failed"),
    "killed": ("was killed", "both were killed"),
    "lost": ("was lost", "both were lost"),
    "running": ("still runs", "both still run"),
}
"""How one job ended, and how two did, by state."""


def comparison_sentence(before: ComparedJob, after: ComparedJob, facets: Sequence[Facet]) -> str:
    """Return one sentence that names what is the same, what differs, and how both jobs ended.

    For example "Same code and inputs; 3 parameters differ; both succeeded; results differ."
    """
    by_name = {facet.name: facet for facet in facets}
    has_same_recipe = before.recipe_id is not None and before.recipe_id == after.recipe_id
    parts = _recipe_parts(facets, by_name)
    if has_same_recipe:
        # A recipe leaves out variables
        parts = ["same recipe", *_differing_variables(by_name)]
    parts += [_ending(before, after), *_result(before, after, by_name["outputs"])]
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _recipe_parts(facets: Sequence[Facet], by_name: Mapping[str, Facet]) -> list[str]:
    """Return which parts that decide the outcome are the same, and which differ."""
    same = [name for name in _COMMON if by_name[name].said and not _differs(by_name[name])]
    differing = [facet for facet in facets if facet.matters == RECIPE and _differs(facet)]
    parts = [f"same {_listed(same)}"] if same else []
    return parts + [_difference(facet) for facet in differing]


def _differing_variables(by_name: Mapping[str, Facet]) -> list[str]:
    variables = by_name["variables"]
    return [_difference(variables)] if _differs(variables) else []


def _differs(facet: Facet) -> bool:
    return bool(facet.count or facet.problems)


def _difference(facet: Facet) -> str:
    """Return in words what differs of one facet."""
    title = facet.title[0].lower() + facet.title[1:]
    if facet.problems and not facet.count:
        return f"{title} cannot be compared"
    if facet.name == "code":
        return f"code differs: {code_words(facet.differences)}"
    count = facet.count
    if facet.name == "configuration":
        # Parameters alone: a process name or overrides come from no line of a file
        count = sum(bool(row.origin_before or row.origin_after) for row in facet.differences)
    noun = _COUNTED.get(facet.name)
    if noun is None or not count:
        verb = "differ" if facet.name in _MANY else "differs"
        return f"{title} {verb}"
    verb = "differs" if count == 1 else "differ"
    return f"{words.counted(count, noun)} {verb}"


def _ending(before: ComparedJob, after: ComparedJob) -> str:
    first, both = _ENDS[before.state]
    if before.state == after.state:
        return both
    second, _ = _ENDS[after.state]
    return f"the first {first}, the second {second}"


def _result(before: ComparedJob, after: ComparedJob, outputs: Facet) -> list[str]:
    """Return what is known of the results: by their ids if both have one, else by the outputs."""
    result, other = before.result_id, after.result_id
    # Ids made by different algorithms say nothing about each other
    if result and other and result.partition(":")[0] == other.partition(":")[0]:
        return ["same results"] if result == other else ["results differ"]
    have_succeeded = before.state == "succeeded" and after.state == "succeeded"
    if have_succeeded and outputs.matters == RESULT and outputs.count:
        return ["outputs differ"]
    return []


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def readable(value: str) -> str:
    """Return a canonical number as people write it, `0.9` for `9e-1`; any other text as it is."""
    if not _CANONICAL_NUMBER.fullmatch(value):
        return value
    number = Decimal(value)
    return f"{number:f}" if _SMALLEST <= number.adjusted() <= _LARGEST else value


def narrowed(before: str, after: str, width: int) -> tuple[str, str]:
    """Return two texts cut to a width around the first difference, so that it is in sight."""
    first = 0
    if max(len(before), len(after)) > width:
        alike = os.path.commonprefix([before, after])  # noqa: RUF071 - these are no paths
        first = max(0, len(alike) - width // 3)
    return _window(before, first, width), _window(after, first, width)


def _window(text: str, first: int, width: int) -> str:
    shown = text[first : first + width]
    if first:
        shown = f"…{shown}"
    if first + width < len(text):
        shown = f"{shown}…"
    return shown
