"""Production over time: how many jobs ended in each step of a window, and what they made.

Source: http.md, `GET /statistics/throughput`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.throughput import Throughput, ThroughputGroup
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.throughput import (
    FACETS,
    Step,
    ended_jobs,
    newest_end,
)
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.errors import BadInputError

MEASURES = ("jobs", "files", "events", "cpu_hours")
BYS = tuple(FACETS)
DEFAULT_SINCE = "7d"
MOST_STEPS = 1000
"""A window of more steps is refused."""
MOST_GROUPS = 12
USUAL_STEPS = 170
"""A window that names neither a step nor their number has at most so many: a week by the hour."""
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 7, 28, 91, 364)),
)
_LENGTH = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMELESS = ""


class Window(NamedTuple):
    """A stretch of time in steps; both ends are on the edge of a step since 1970."""

    start: datetime
    end: datetime
    step: timedelta

    @property
    def step_count(self) -> int:
        """Return how many steps it has."""
        return int((self.end - self.start) / self.step)

    @property
    def starts(self) -> list[datetime]:
        """Return when each step begins."""
        return [self.start + place * self.step for place in range(self.step_count)]


def length_of(text: str, name: str) -> timedelta:
    """Return the length of time that a text such as `90m`, `24h`, `7d` or `4w` says.

    Raises:
        BadInputError: it is no such text; the error calls it by `name`.
    """
    match = _LENGTH.fullmatch(text)
    if match is None:
        wanted = "a length of time such as 90m, 24h, 7d or 4w"
        raise BadInputError(f"{name}: {text[:40]!r} is not {wanted}.", {name: [f"not {wanted}"]})
    return int(match[1]) * _UNITS[match[2]]


def read_window(
    now: datetime,
    *,
    since: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    step: str | None = None,
    steps: int = USUAL_STEPS,
) -> Window:
    """Return the window that a question names: the last week, where it names none.

    Args:
        now: where a window without an end ends.
        since: how long before its end it starts, such as `24h`.
        start: when it starts, instead.
        end: when it ends.
        step: how long a step is, such as `1h`.
        steps: how many there are at most where `step` is not given, about; the shortest usual step
            is taken that fits.

    Raises:
        BadInputError: a length cannot be read, the window is empty, both `since` and `start` are
            there, or there would be more than a thousand steps.
    """
    if since is not None and start is not None:
        message = "give either this or ended_after"
        raise BadInputError(f"since: {message}.", {"since": [message]})
    end = end or now
    if start is None:
        start = _before(end, length_of(since or DEFAULT_SINCE, "since"))
    if start >= end:
        message = "the window ends before it starts"
        raise BadInputError(f"ended_after: {message}.", {"ended_after": [message]})
    length = end - start
    step_length = _usual_step(length, steps) if step is None else length_of(step, "step")
    # one more: the edges seldom fall on those of a step
    if length / step_length > MOST_STEPS - 1:
        fitting = next(usual for usual in _STEPS if length / usual <= MOST_STEPS - 1)
        message = f"more than {MOST_STEPS} steps; {words_of_length(fitting)} or more would do"
        raise BadInputError(f"step: {message}.", {"step": [message]})
    first = _EPOCH + (start - _EPOCH) // step_length * step_length
    count = -((first - end) // step_length)
    return Window(first, first + count * step_length, step_length)


def _before(end: datetime, length: timedelta) -> datetime:
    """Return the moment that lies so long before another, or 1970 where that is later."""
    return end - min(length, end - _EPOCH)


def _usual_step(length: timedelta, steps: int) -> timedelta:
    for step in _STEPS:
        if length / step <= steps:
            return step
    return _STEPS[-1]


def words_of_length(length: timedelta) -> str:
    """Return a length as addresses say it: `90m`, `3h`, `7d`."""
    for letter in ("d", "h"):
        unit = _UNITS[letter]
        if length >= unit and length % unit == timedelta():
            return f"{length // unit}{letter}"
    return f"{length // _UNITS['m']}m"


def count_throughput(
    connection: Connection,
    filters: JobFilters,
    window: Window,
    *,
    by: str = "state",
    measure: str = "jobs",
    seconds: float = SECONDS,
) -> Throughput:
    """Return what ended in each step of a window; reruns count nowhere.

    Args:
        connection: where from.
        filters: which jobs.
        window: when they ended.
        by: tell groups apart by `state`, `stage`, `site` or `class` (of failures).
        measure: what is counted: `jobs`, `files`, `events` or `cpu_hours`.
        seconds: how long reading may take.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    with time_limit(connection, "ask for a shorter window or a campaign", seconds=seconds):
        steps = ended_jobs(
            connection,
            filters,
            by=by,
            measure=measure,
            start=window.start,
            end=window.end,
            step=window.step,
        )
        newest = newest_end(connection)
    groups = _groups(steps, by, window.step_count)
    return Throughput(
        jobs=sum(step.jobs for step in steps),
        by=by,
        measure=measure,
        start=_text(window.start),
        end=_text(window.end),
        step_seconds=int(window.step.total_seconds()),
        starts=[_text(start) for start in window.starts],
        groups=groups[:MOST_GROUPS],
        others=_sum_of(groups[MOST_GROUPS:], window.step_count),
        newest_end=None if newest is None else _text(newest),
    )


def _groups(steps: Sequence[Step], by: str, count: int) -> list[ThroughputGroup]:
    """Return the groups: states in their own order, all others the largest first."""
    amounts: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * count)
    jobs: Counter[str] = Counter()
    for step in steps:
        name = STATES[step.facet] if by == "state" else step.facet or _NAMELESS
        amounts[name][step.place] += step.amount
        jobs[name] += step.jobs
    groups = []
    for name, group_amounts in amounts.items():
        total = sum(group_amounts)
        groups.append(ThroughputGroup(name or None, jobs[name], total, group_amounts))
    if by == "state":
        return sorted(groups, key=lambda group: STATES.index(group.name or STATES[0]))
    return sorted(groups, key=lambda group: (-group.total, group.name or ""))


def _sum_of(groups: Sequence[ThroughputGroup], count: int) -> ThroughputGroup | None:
    """Return several groups as one; None where there are none."""
    if not groups:
        return None
    amounts = [0.0] * count
    for group in groups:
        for place, amount in enumerate(group.amounts):
            amounts[place] += amount
    jobs = sum(group.jobs for group in groups)
    return ThroughputGroup(None, jobs, sum(amounts), amounts)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
