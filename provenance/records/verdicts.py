"""How well a job was reproduced: the levels of verdicts, in order.

Source: verdicts.md, "Levels".
"""

LEVELS = {
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

_RANKS = {level: rank for rank, level in enumerate(LEVELS)}


def rank(level: str) -> int:
    """Return how good a level is; more is better, -1 is none of ours."""
    return _RANKS.get(level, -1)
