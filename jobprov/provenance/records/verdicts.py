"""How well a job was reproduced: the levels of verdicts, in order.

Source: verdicts.md, "Levels".
"""

from collections.abc import Mapping
from typing import NamedTuple

NOTHING = "none"
"""In place of a level where a rerun was compared with nothing, whatever level was posted for it."""

LEVELS = {
    NOTHING: "compared nothing",
    "R0": "not run",
    "R1": "ran, failed",
    "R2": "ran, different",
    "R3": "statistically compatible",
    "R4": "numerically equal",
    "R5~": "content identical, events in another order",
    "R5": "content identical",
    "R6": "bytes identical after masking",
    "R7": "bytes identical",
    "R1=": "failed as recorded",
}
"""From the lowest up. A failed job is compared with its own kind.

Failing in the same way is the best it can do.
"""

REPRODUCED = frozenset({"R5~", "R5", "R6", "R7", "R1="})
"""The levels at which a job counts as reproduced."""

OF_OUTPUTS = frozenset({"R2", "R3", "R4", "R5~", "R5", "R6", "R7"})
"""The levels that state how outputs compare: without a compared output none of them is true."""

_RANKS = {level: rank for rank, level in enumerate(LEVELS)}


def rank(level: str) -> int:
    """Return how good a level is; more is better, -1 is none of ours."""
    return _RANKS.get(level, -1)


class OutputVerdict(NamedTuple):
    """The part of a verdict about one output.

    Attributes:
        comparator: `none` where there was no file to compare.
    """

    output: str
    level: str
    comparator: str


class StoredVerdict(NamedTuple):
    """A verdict as it was posted, read tolerantly: anybody may have written it.

    Attributes:
        by: who reran the job; empty if it does not say.
        reason: why the rerun failed or was not possible; empty if it does not say.
        is_unproven: the job could not be rerun, so the verdict says nothing of it.
    """

    by: str
    level: str
    reason: str
    is_unproven: bool
    comparisons: list[OutputVerdict]


def read_verdict(document: Mapping[str, object]) -> StoredVerdict:
    """Return a stored verdict by named fields."""
    comparisons = []
    listed = document.get("comparisons")
    for comparison in listed if isinstance(listed, list) else ():
        if isinstance(comparison, dict):
            fields = [str(comparison.get(name)) for name in OutputVerdict._fields]
            comparisons.append(OutputVerdict(*fields))
    return StoredVerdict(
        by=str(document.get("by") or ""),
        level=str(document.get("level")),
        reason=str(document.get("missing") or document.get("reason") or ""),
        is_unproven=bool(document.get("unproven")),
        comparisons=comparisons,
    )


def level_shown(verdict: Mapping[str, object]) -> str:
    """Return the level of a stored verdict; `NOTHING` if it states one and compared no output."""
    level = str(verdict.get("level"))
    if level in OF_OUTPUTS and not verdict.get("comparisons"):
        return NOTHING
    return level
