"""Production over time: how many jobs ended or ran in each step of a window, and what they took.

Source: http.md, `GET /statistics/throughput`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.throughput import (
    QUEUED,
    Spread,
    Throughput,
    ThroughputGroup,
)
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.throughput import (
    SPREADS,
    RankedValue,
    ended_jobs,
    jobs_to_count,
    newest_end,
    ranked_values,
)
from jobprov.provenance.db.queries.tasks.running import ran_jobs
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.statistics.queued import joined, most_at_once, queued_at_once
from jobprov.provenance.services.tasks.running import named, ran_at_once
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.times import utc_text, utc_text_or_none

RUNNING = "running"
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


def length_of(text: str, name: str) -> timedelta:
    """Return the length of time of a text such as `90m`, `24h`, `7d` or `4w`.

    Raises:
        BadInputError: it is no such text; the error calls it by `name`.
    """
    match = _LENGTH.fullmatch(text)
    if match is None:
        wanted = "a length of time such as 90m, 24h, 7d or 4w"
        raise BadInputError.of_field(name, f"{text[:40]!r} is not {wanted}", f"not {wanted}")
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
        step: how long a step is, such as `1h`.
        steps: how many there are at most where `step` is not given, about; the shortest usual step
            is taken that fits.

    Raises:
        BadInputError: a length cannot be read, the window is empty, both `since` and `start` are
            there, or there would be more than a thousand steps.
    """
    if since is not None and start is not None:
        raise BadInputError.of_field("since", "give either this or ended_after")
    end = end or now
    if start is None:
        # Not before 1970, however long the window
        start = end - min(length_of(since or DEFAULT_SINCE, "since"), end - _EPOCH)
    if start >= end:
        raise BadInputError.of_field("ended_after", "the window ends before it starts")
    length = end - start
    step_length = _usual_step(length, steps) if step is None else length_of(step, "step")
    # one more: the edges seldom fall on those of a step
    if length / step_length > MOST_STEPS - 1:
        fitting = next(usual for usual in _STEPS if length / usual <= MOST_STEPS - 1)
        problem = f"more than {MOST_STEPS} steps; {words_of_length(fitting)} or more would do"
        raise BadInputError.of_field("step", problem)
    first = _EPOCH + (start - _EPOCH) // step_length * step_length
    count = -((first - end) // step_length)
    return Window(first, first + count * step_length, step_length)


def _usual_step(length: timedelta, steps: int) -> timedelta:
    for step in _STEPS:
        if length / step <= steps:
            return step
    return _STEPS[-1]


def words_of_length(length: timedelta) -> str:
    """Return a length as addresses have it: `90m`, `3h`, `7d`."""
    for letter in ("d", "h"):
        unit = _UNITS[letter]
        if length >= unit and length % unit == timedelta():
            return f"{length // unit}{letter}"
    return f"{length // _UNITS['m']}m"


class _Group(NamedTuple):
    """A group as it is counted.

    Attributes:
        facet: its value in the database; '' for jobs that name none; None for several groups as
            one.
        shown: the group as the answer has it.
    """

    facet: Any
    shown: ThroughputGroup

    def with_spread(self, spreads: Mapping[Any, Spread]) -> "_Group":
        """Return the group with its distributions."""
        return self._replace(shown=msgspec.structs.replace(self.shown, spread=spreads[self.facet]))


def count_throughput(
    connection: Connection,
    filters: JobFilters,
    window: Window,
    *,
    by: str = "state",
    measure: str = "jobs",
    seconds: float = SECONDS,
    now: datetime | None = None,
) -> Throughput:
    """Return what ended or ran in each step of a window; reruns count nowhere.

    Args:
        window: when they ended; of `running`, when they ran.
        by: tell groups apart by `state`, `stage`, `site` or `class` (of failures).
        measure: what is counted: `jobs`, `files`, `events` or `cpu_hours`; how many were
            `running` at once; the distribution of `wall_seconds` or `max_rss_bytes`; or how many
            were `idle` or `held`, or in the `queue` at all, as it was reported.
        seconds: how long reading may take.
        now: until when jobs run that are not over; what ended later did so by a clock that is ahead.

    Raises:
        BadInputError: of queues it is not known by what is asked for.
        LimitError: reading took more than `seconds`.
    """
    now = now or datetime.now(UTC)
    with time_limit(connection, "ask for a shorter window or a campaign", seconds=seconds):
        if measure in QUEUED:
            groups = queued_at_once(connection, filters, window, by=by, measure=measure, now=now)
            others = joined(groups[MOST_GROUPS:])
            shown = _ShownGroups(most_at_once(groups), groups[:MOST_GROUPS], others)
        elif measure == RUNNING:
            shown = _first_groups(_running(connection, filters, window, by, now), window)
        elif measure in SPREADS:
            shown = _distributed(connection, filters, window, by, measure)
        else:
            shown = _first_groups(_ended(connection, filters, window, by, measure), window)
        newest = newest_end(connection, now)
    return Throughput(
        jobs=shown.jobs,
        by=by,
        measure=measure,
        start=utc_text(window.start),
        end=utc_text(window.end),
        step_seconds=window.step_seconds,
        starts=[utc_text(start) for start in window.starts],
        groups=shown.groups,
        others=shown.others,
        newest_end=utc_text_or_none(newest),
    )


class _ShownGroups(NamedTuple):
    """The groups of an answer: how many jobs they have, and the groups beyond the first as one."""

    jobs: int
    groups: list[ThroughputGroup]
    others: ThroughputGroup | None

    @classmethod
    def of(cls, groups: Sequence[_Group], others: _Group | None) -> Self:
        """Return groups, with those beyond the first as one."""
        shown = [group.shown for group in groups]
        jobs = sum(group.jobs for group in shown)
        if others is None:
            return cls(jobs, shown, None)
        return cls(jobs + others.shown.jobs, shown, others.shown)


def _first_groups(groups: Sequence[_Group], window: Window) -> _ShownGroups:
    """Return the first groups, and the others as one."""
    others = _sum_of(groups[MOST_GROUPS:], window.step_count)
    return _ShownGroups.of(groups[:MOST_GROUPS], others)


def _distributed(
    connection: Connection, filters: JobFilters, window: Window, by: str, measure: str
) -> _ShownGroups:
    """Return how what jobs took is distributed in each step."""
    groups = _ended(connection, filters, window, by, measure)
    first_groups = groups[:MOST_GROUPS]
    facets = [group.facet for group in first_groups]
    values = ranked_values(connection, filters, window, by=by, measure=measure, facets=facets)
    spreads = _spreads(values, window.step_count)
    others = _sum_of(groups[MOST_GROUPS:], window.step_count)
    if others is not None:
        others = others.with_spread(spreads)
    return _ShownGroups.of([group.with_spread(spreads) for group in first_groups], others)


def _ended(
    connection: Connection, filters: JobFilters, window: Window, by: str, measure: str
) -> list[_Group]:
    """Return what ended in each step, by group in order."""
    amounts: defaultdict[Any, list[float]] = defaultdict(lambda: [0.0] * window.step_count)
    jobs: Counter[Any] = Counter()
    for step in ended_jobs(connection, filters, window, by=by, measure=measure):
        facet = _NAMELESS if step.facet is None else step.facet
        amounts[facet][step.place] += step.amount
        jobs[facet] += step.jobs
    return _in_order(by, amounts, jobs)


def _running(
    connection: Connection, filters: JobFilters, window: Window, by: str, now: datetime
) -> list[_Group]:
    """Return how many jobs ran at once in each step, by group in order."""
    ran = ran_jobs(connection, jobs_to_count(filters, by), window, silent_before=now - SILENT_AFTER)
    amounts: dict[Any, list[float]] = {}
    jobs: Counter[Any] = Counter()
    for facet, at_once in named(ran_at_once(ran, window, now)).items():
        amounts[facet] = at_once.amounts
        jobs[facet] = at_once.jobs
    return _in_order(by, amounts, jobs)


def _in_order(by: str, amounts: Mapping[Any, list[float]], jobs: Mapping[Any, int]) -> list[_Group]:
    """Return groups by their amounts: states in their own order, all others the largest first."""
    groups = []
    for facet, group_amounts in amounts.items():
        name = STATES[facet] if by == "state" else facet or None
        shown = ThroughputGroup(name, jobs[facet], sum(group_amounts), group_amounts)
        groups.append(_Group(facet, shown))
    if by == "state":
        return sorted(groups, key=lambda group: group.facet)
    return sorted(groups, key=lambda group: (-group.shown.total, group.shown.name or ""))


def _sum_of(groups: Sequence[_Group], steps: int) -> _Group | None:
    """Return several groups as one; None where there are none."""
    if not groups:
        return None
    amounts = [0.0] * steps
    for group in groups:
        for place, amount in enumerate(group.shown.amounts):
            amounts[place] += amount
    jobs = sum(group.shown.jobs for group in groups)
    return _Group(None, ThroughputGroup(None, jobs, sum(amounts), amounts))


def _spreads(values: Sequence[RankedValue], steps: int) -> Mapping[Any, Spread]:
    """Return the distributions by facet; empty where no job has a value."""
    by_rank: defaultdict[tuple[Any, int, int], dict[int, float]] = defaultdict(dict)
    for value in values:
        by_rank[value.facet, value.place, value.jobs][value.rank] = value.value
    spreads: defaultdict[Any, Spread] = defaultdict(lambda: _empty_spread(steps))
    for (facet, place, jobs), ranked in by_rank.items():
        spread = spreads[facet]
        spread.p10[place] = _quantile(ranked, jobs, 1)
        spread.median[place] = _quantile(ranked, jobs, 5)
        spread.p90[place] = _quantile(ranked, jobs, 9)
        spread.largest[place] = ranked[jobs]
    return spreads


def _empty_spread(steps: int) -> Spread:
    nothing: list[float | None] = [None] * steps
    return Spread(nothing, nothing.copy(), nothing.copy(), nothing.copy())


def _quantile(ranked: Mapping[int, float], jobs: int, tenths: int) -> float:
    """Return a quantile of values by rank, between neighbours in proportion."""
    lower, rest = divmod((jobs - 1) * tenths, 10)
    low = ranked[lower + 1]
    high = ranked.get(lower + 2, low)
    return low + (high - low) * rest / 10
