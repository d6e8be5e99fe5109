"""How far a task or stage is, as pieces of a line a thousand units long, one a state."""

from collections.abc import Mapping
from typing import NamedTuple

from jobprov.provenance.answers.tasks.tasks import UnitState

ORDER = tuple(state for state in UnitState if state != UnitState.NOT_SUBMITTED)
LENGTH = 1000
_LEAST = 6
_HEIGHTS = {
    UnitState.SUCCEEDED: 10,
    UnitState.WAIVED: 10,
    UnitState.RUNNING: 6,
    UnitState.IDLE: 6,
    UnitState.HELD: 6,
}
_LOWEST = 4


class ProgressPiece(NamedTuple):
    """A piece of the line.

    Attributes:
        height: of ten; what is done fills the line, what may still be is lower, and what failed
            lowest, so that a line without free places does not look done.
    """

    state: str
    start: int
    length: int
    height: int


def progress(states: Mapping[UnitState, int], expected: int | None = None) -> list[ProgressPiece]:
    """Return the pieces in order; what is expected and not submitted stays free.

    No state that occurs is too small to be seen.
    """
    total = max(sum(states.values()), expected or 0)
    pieces, start = [], 0
    for state in ORDER:
        if count := states.get(state, 0):
            length = max(_LEAST, round(LENGTH * count / total))
            height = _HEIGHTS.get(state, _LOWEST)
            place = min(start, LENGTH - _LEAST)
            pieces.append(ProgressPiece(state, place, min(length, LENGTH), height))
            start += length
    return pieces
