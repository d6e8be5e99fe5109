"""Gaps that more jobs have than before: what begins to stop reruns in ten years.

A gap grows where at least ten jobs of the last 24 hours have it, and its share of these jobs is at
least twice its share of the jobs of the seven days before, and at least five points above it. Where
fewer than twenty jobs ended in those days there is nothing to compare with. Of gaps that usually
close by themselves soon after the job, jobs of the last hour do not count.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import GrowingGap, GrowingGaps
from jobprov.provenance.db.connections.time_limits import SECONDS
from jobprov.provenance.db.queries.alerts.watched import (
    GapJobs,
    gap_codes,
    gaps_between,
    gaps_by_hour,
)
from jobprov.provenance.services.statistics.shares import (
    LEAST_BEFORE,
    LEAST_JOBS,
    LastDay,
    Share,
    compare_last_day,
)
from jobprov.provenance.times import utc_text

CLOSES_ITSELF = frozenset({"software-unresolved", "configuration-unevaluated", "blob-missing"})
"""Code is resolved, configurations are evaluated and files arrive after the record of their job."""
_HOUR = timedelta(hours=1)


def list_growing_gaps(
    connection: Connection, now: datetime, *, seconds: float = SECONDS
) -> GrowingGaps:
    """Return the gaps that grow, those of most jobs first; see `compare_last_day`."""
    gaps, ended = compare_last_day(connection, now, _compare, seconds=seconds)
    gaps.sort(key=lambda gap: (-gap.jobs, gap.code))
    return GrowingGaps(gaps=gaps, ended=ended)


def _compare(connection: Connection, day: LastDay) -> tuple[list[GrowingGap], int]:
    lately = gaps_by_hour(connection, day.lately, day.now)
    ended = sum(row.jobs for row in lately)
    if ended < LEAST_JOBS:
        return [], ended
    jobs_before = gaps_between(connection, day.before)
    ended_before = sum(jobs_before.values())
    ended += ended_before
    if ended_before < LEAST_BEFORE:
        return [], ended
    return _growing(connection, day, lately, jobs_before), ended


class _JobsOfHours:
    """Jobs of some hours of the last day: counted by hour, and listed by the gaps they have."""

    def __init__(
        self, rows: Iterable[GapJobs], codes_by_set: Mapping[int, Collection[str]]
    ) -> None:
        self.ended_by_hour: Counter[int] = Counter()
        self.rows_by_code: defaultdict[str, list[GapJobs]] = defaultdict(list)
        for row in rows:
            self.ended_by_hour[row.hour] += row.jobs
            for code in _codes_of(row.gap_set, codes_by_set):
                self.rows_by_code[code].append(row)

    def share_of(self, code: str) -> Share:
        """Return how many of the jobs have a gap."""
        rows = self.rows_by_code.get(code, ())
        return Share(sum(row.jobs for row in rows), self.ended_by_hour.total())


def _growing(
    connection: Connection,
    day: LastDay,
    lately: Sequence[GapJobs],
    jobs_before: Mapping[int | None, int],
) -> list[GrowingGap]:
    """Return the gaps of an experiment that grow.

    `jobs_before` is how many jobs of the days before had each set of gaps.
    """
    gap_sets = {row.gap_set for row in lately} | jobs_before.keys()
    codes_by_set = gap_codes(connection, {key for key in gap_sets if key is not None})
    settled_until = int((day.now - _HOUR - day.began) / _HOUR)
    whole_day = _JobsOfHours(lately, codes_by_set)
    settled = _JobsOfHours((row for row in lately if row.hour < settled_until), codes_by_set)
    had_before = _jobs_by_code(jobs_before, codes_by_set)
    growing = []
    for code in whole_day.rows_by_code:
        jobs = settled if code in CLOSES_ITSELF else whole_day
        before = Share(had_before[code], sum(jobs_before.values()))
        of_day = jobs.share_of(code)
        if of_day.part >= LEAST_JOBS and of_day.is_above(before):
            growing.append(_growing_gap(day, code, jobs, before))
    return growing


def _growing_gap(day: LastDay, code: str, jobs: _JobsOfHours, before: Share) -> GrowingGap:
    """Return a gap that grows, where it is most frequent, and since when."""
    rows = jobs.rows_by_code[code]
    of_day = jobs.share_of(code)
    hour = _first_hour(rows, jobs.ended_by_hour, before)
    return GrowingGap(
        experiment=day.experiment,
        code=code,
        jobs=of_day.part,
        ended=of_day.ended,
        jobs_before=before.part,
        ended_before=before.ended,
        site=_most_frequent((row.site, row.jobs) for row in rows),
        stage=_most_frequent((row.stage, row.jobs) for row in rows),
        since=utc_text(day.began + hour * _HOUR),
    )


def _codes_of(gap_set: int | None, codes_by_set: Mapping[int, Collection[str]]) -> Collection[str]:
    """Return the codes of a set of gaps; none of a job that has no gap."""
    if gap_set is None:
        return ()
    return codes_by_set.get(gap_set, ())


def _jobs_by_code(
    jobs_by_set: Mapping[int | None, int], codes_by_set: Mapping[int, Collection[str]]
) -> Counter[str]:
    """Return how many jobs had each gap."""
    jobs_by_code: Counter[str] = Counter()
    for gap_set, jobs in jobs_by_set.items():
        for code in _codes_of(gap_set, codes_by_set):
            jobs_by_code[code] += jobs
    return jobs_by_code


def _first_hour(rows: Sequence[GapJobs], ended: Mapping[int, int], before: Share) -> int:
    """Return the first hour in which the share was above that of the days before.

    There is one, as the share of all these hours together is above it.
    """
    by_hour: Counter[int] = Counter()
    for row in rows:
        by_hour[row.hour] += row.jobs
    shares = {hour: Share(jobs, ended[hour]) for hour, jobs in by_hour.items()}
    return min(hour for hour, share in shares.items() if share.is_above(before))


def _most_frequent(names: Iterable[tuple[str, int]]) -> str | None:
    """Return the name with most jobs; None if these jobs have an empty name."""
    jobs_by_name: Counter[str] = Counter()
    for name, jobs in names:
        jobs_by_name[name] += jobs
    [(name, _)] = jobs_by_name.most_common(1)
    return name or None
