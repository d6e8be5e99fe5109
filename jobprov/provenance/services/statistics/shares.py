"""Shares of jobs: when one of the last day is clearly above that of the week before."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

MOST_EXPERIMENTS = 30
"""How many experiments are looked at, in the order of their names."""
LATELY, BEFORE = timedelta(hours=24), timedelta(days=7)
"""The last day is compared with the days before it."""
LEAST_JOBS, LEAST_BEFORE = 10, 20
"""With fewer such jobs in the last day, or fewer jobs at all before it, shares mean nothing."""
TIMES, POINTS = 2, 0.05
"""By how much a share is clearly above another."""


def lately_began(now: datetime) -> datetime:
    """Return when the last day began: at a full hour.

    So its hours are those of the clock, and an hour stays the same one as time goes on.
    """
    return (now - LATELY).replace(minute=0, second=0, microsecond=0)


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
