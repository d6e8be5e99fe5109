"""How long a task still takes: from its pace in the last hour, and from what runs now.

The pace is that of the task itself: time before its first job does not count, nor do pauses. Both
the pace and the wall times vary, so that the answer is a time with a band.

Source: http.md, `GET /tasks/{task_id}`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.tasks.tasks import done_since
from jobprov.provenance.db.queries.tasks.time_left import (
    Activity,
    Running,
    activity_by_minute,
    newest_run_times,
    running_jobs,
)
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.services.tasks.units import Units

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPANS = (timedelta(hours=1), timedelta(days=1))
_PAUSE = timedelta(minutes=15)
_MINUTE = timedelta(minutes=1)
_LEAST_DONE = 5
"""Units: fewer than these say nothing about the pace."""
_LOW, _MIDDLE, _HIGH = 0.16, 0.5, 0.84
"""One standard deviation of a normal distribution on either side, as for the square root of n."""
_MOST = 0.99
"""Of a hundred wall times the longest may be that of a job that hung."""


class TimeLeft(NamedTuple):
    """Seconds until nothing is missing, and the band that holds the truth two times in three."""

    seconds: float
    low: float
    high: float


class _Pause(NamedTuple):
    """A time in which no job of the task ran."""

    start: datetime
    end: datetime


class _Window(NamedTuple):
    """A time in which a task got on: since when, and for how long without its pauses."""

    start: datetime
    worked: timedelta


def time_left(
    connection: Connection, needed: Mapping[int, int], units_by_task: Sequence[Units]
) -> TimeLeft | None:
    """Return how long tasks take until no unit is missing that does not wait for somebody.

    It is None where only such units are missing, where nobody knows what is missing, or where too
    little is done to know the pace.

    Args:
        connection: where from.
        needed: by the key of a task, how many outputs make a unit done.
        units_by_task: the units of these tasks.
    """
    left = _count_left(units_by_task)
    if left is None:
        return None
    missing, under_way, running = left
    if not missing:
        return TimeLeft(0.0, 0.0, 0.0)
    if not under_way:
        return None

    now = datetime.now(UTC)
    jobs = running_jobs(connection, list(needed), heard_since=now - SILENT_AFTER)
    last_to_end = None
    if running:
        last_to_end = _until_last_ends(connection, list(needed), jobs, now)
    if under_way <= running:
        return last_to_end
    at_pace = _at_pace(connection, needed, jobs, now, under_way)
    if at_pace is None or last_to_end is None:
        return at_pace
    return _longer(at_pace, last_to_end)


class _UnitsLeft(NamedTuple):
    """How many units are not made yet.

    Attributes:
        under_way: those of the missing ones that wait for nobody.
    """

    missing: int
    under_way: int
    running: int


def _count_left(units_by_task: Sequence[Units]) -> _UnitsLeft | None:
    """Return how many units of the tasks are left; None where no task knows what is missing."""
    is_known = False
    missing, under_way, running = 0, 0, 0
    for units in units_by_task:
        if units.missing is None:
            continue
        is_known = True
        missing += units.missing
        under_way += max(0, units.missing - units.needs_somebody)
        running += units.running
    return _UnitsLeft(missing, under_way, running) if is_known else None


def _longer(one: TimeLeft, other: TimeLeft) -> TimeLeft:
    return TimeLeft(
        max(one.seconds, other.seconds), max(one.low, other.low), max(one.high, other.high)
    )


def _until_last_ends(
    connection: Connection, tasks: Sequence[int], running: Running, now: datetime
) -> TimeLeft | None:
    """Return when the last of the running jobs ends, if they run as long as those that are done.

    None where none of those ran as long as the youngest job does now.
    """
    if running.last_started_at is None:
        return None
    age = (now - running.last_started_at).total_seconds()
    to_run = []
    for seconds in sorted(newest_run_times(connection, tasks)):
        if seconds > age:
            to_run.append(seconds - age)
    if not to_run:
        return None
    # All of them end before the time that each ends before with the root of the probability
    moments = []
    for probability in (_MIDDLE, _LOW, _HIGH):
        share = min(_MOST, probability ** (1 / running.jobs))
        moments.append(to_run[int(share * len(to_run))])
    return TimeLeft(*moments)


def _at_pace(
    connection: Connection,
    needed: Mapping[int, int],
    running: Running,
    now: datetime,
    under_way: int,
) -> TimeLeft | None:
    """Return how long so many units take at the pace of the last hour of work, else of the last day.

    A count of n units is known to the square root of n.
    """
    since = now - max(_SPANS)
    activity = activity_by_minute(connection, list(needed), since, now)
    if not activity:
        return None
    pauses, first = _find_pauses(activity, running.jobs, since, now)
    windows = [_window(span, pauses, first, now) for span in _SPANS]
    done_in = done_since(connection, needed, [window.start for window in windows])
    for window, done in zip(windows, done_in, strict=True):
        if done >= _LEAST_DONE:
            seconds = under_way * window.worked.total_seconds() / done
            spread = sqrt(done) / done
            return TimeLeft(seconds, seconds / (1 + spread), seconds / (1 - spread))
    return None


def _find_pauses(
    activity: Mapping[int, Activity], running: int, since: datetime, now: datetime
) -> tuple[list[_Pause], datetime]:
    """Return the pauses of a task, the newest first, and since when it is at work.

    It goes back in time minute by minute, with the number of jobs that ran.

    Args:
        activity: what jobs did, by minute.
        running: how many jobs run now.
        since: where to end.
        now: where to begin.
    """
    pauses = []
    first = quiet_until = now
    for minute in range(_minute_of(now), _minute_of(since) - 1, -1):
        start = _EPOCH + minute * _MINUTE
        done = activity.get(minute)
        if done is not None or running > 0:
            if quiet_until - (start + _MINUTE) > _PAUSE:
                pauses.append(_Pause(start + _MINUTE, quiet_until))
            quiet_until = start
            first = max(since, start)
        if done is not None:
            running += done.ended - done.started
            if running <= 0:
                first = done.first_at
    return pauses, first


def _minute_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MINUTE


def _window(span: timedelta, pauses: Sequence[_Pause], first: datetime, now: datetime) -> _Window:
    """Return the time in which a task was at work last: so long, or since it began."""
    worked = timedelta()
    end = now
    for pause in pauses:
        if worked + (end - pause.end) >= span:
            break
        worked += end - pause.end
        end = pause.start
    start = max(first, end - (span - worked))
    return _Window(start, worked + max(timedelta(), end - start))
