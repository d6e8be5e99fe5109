"""How well a job was reproduced: the levels of verdicts, in order.

Source: verdicts.md, "Levels".
"""

from collections.abc import Mapping
from typing import Any

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


def level_shown(verdict: Mapping[str, Any]) -> str:
    """Return the level of a stored verdict; `NOTHING` if it states one and compared no output."""
    level = str(verdict.get("level"))
    if level in OF_OUTPUTS and not verdict.get("comparisons"):
        return NOTHING
    return level
