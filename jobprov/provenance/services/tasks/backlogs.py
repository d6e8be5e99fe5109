"""What is left of a campaign or a task, and when it may be gone."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from jobprov.provenance.answers.tasks.backlogs import Backlog, BurnDown
from jobprov.provenance.answers.tasks.tasks import NEEDS_SOMEBODY, UnitState
from jobprov.provenance.services.tasks.time_left import TimeLeft
from jobprov.provenance.times import moment_after, utc_text_or_none


def backlog_of(
    burn_down: BurnDown | None,
    states: Iterable[Mapping[UnitState, int]],
    left: TimeLeft | None,
    now: datetime,
) -> Backlog | None:
    """Return a burn-down with what becomes of what is left; None without a burn-down.

    Args:
        burn_down: until now.
        states: the units that it counts, by state.
        left: how long they still take; None without an estimate.
        now: since when that is.
    """
    if burn_down is None:
        return None
    stays = 0
    for counts in states:
        stays += sum(counts.get(state, 0) for state in NEEDS_SOMEBODY)
    ends: list[str | None] = [None, None, None]
    if left is not None and left.seconds and moment_after(now, left.high) is not None:
        ends = [utc_text_or_none(moment_after(now, seconds)) for seconds in left]
    return Backlog(burn_down, min(stays, burn_down.left[-1]), *ends)
