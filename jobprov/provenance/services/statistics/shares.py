"""The last day beside the week before: of which jobs, and when a share is clearly above another."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.alerts.watched import EndedScope
from jobprov.provenance.db.queries.lookup.experiments import experiments_by_name

T = TypeVar("T")

MOST_EXPERIMENTS = 30
"""How many experiments are looked at, in the order of their names."""
_LATELY, _BEFORE = timedelta(hours=24), timedelta(days=7)
"""The last day is compared with the days before it."""
LEAST_JOBS, LEAST_BEFORE = 10, 20
"""With fewer such jobs in the last day, or fewer jobs at all before it, shares mean nothing."""
TIMES, POINTS = 2, 0.05
"""By how much a share is clearly above another."""


class LastDay(NamedTuple):
    """The last day of an experiment up to `now`: which jobs ended then, and in the week before."""

    experiment: str
    now: datetime
    began: datetime
    lately: EndedScope
    before: EndedScope


def compare_last_day(
    connection: Connection,
    now: datetime,
    compare: Callable[[Connection, LastDay], tuple[list[T], int]],
    *,
    seconds: float,
) -> tuple[list[T], int]:
    """Return what got worse in the first thirty experiments, and how many jobs were looked at.

    `compare` returns both of one experiment, looking at its newest 20,000 jobs of each time.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    worse: list[T] = []
    ended = 0
    # At a full hour: so an hour of the day stays the same one as time goes on
    began = (now - _LATELY).replace(minute=0, second=0, microsecond=0)
    experiments = list(experiments_by_name(connection).items())
    with time_limit(connection, "ask again in a minute", seconds=seconds):
        for name, key in experiments[:MOST_EXPERIMENTS]:
            before = EndedScope(key, began - _BEFORE, until=began)
            day = LastDay(name, now, began, EndedScope(key, began), before)
            worse_here, ended_here = compare(connection, day)
            worse += worse_here
            ended += ended_here
    return worse, ended


class Share(NamedTuple):
    """A part of the jobs that ended: those that failed, have a gap, or took long."""

    part: int
    ended: int

    @property
    def value(self) -> float:
        """The share as a number, 0 where no job ended."""
        return self.part / self.ended if self.ended else 0.0

    def is_above(self, other: "Share") -> bool:
        """Return whether it is at least twice the other, and five points above it."""
        return self.value >= TIMES * other.value and self.is_points_above(other)

    def is_points_above(self, other: "Share") -> bool:
        """Return whether it is at least five points above the other."""
        return self.value >= other.value + POINTS


def first_worse_hour(hours: Mapping[int, Share], usual: Share, of_day: Share) -> int:
    """Return the hour from which on a share was worse.

    A single failure in an hour of few jobs means nothing. So each hour counts by the failures that
    it has beyond half-way between the usual share and that of the day. From the hour returned on,
    these add up to most.
    """
    half_way = (usual.value + of_day.value) / 2
    first, most, added_up = max(hours), 0.0, 0.0
    for hour in sorted(hours, reverse=True):
        added_up += hours[hour].part - half_way * hours[hour].ended
        if added_up > most:
            first, most = hour, added_up
    return first
