"""What would stop reruns of jobs in ten years: counts with remedies, and gaps that grow.

A gap grows where at least ten jobs of the last 24 hours have it, and its share of these jobs is at
least twice its share of the jobs of the seven days before, and at least five points above it. Where
fewer than twenty jobs ended in those days there is nothing to compare with. Of gaps that usually
close by themselves soon after the job, jobs of the last hour do not count.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import GrowingGap, GrowingGaps
from jobprov.provenance.answers.lookup.jobs import GapCount, GapCounts, JobSummary
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.alerts.watched import (
    EndedScope,
    GapJobs,
    gap_codes,
    gaps_between,
    gaps_by_hour,
)
from jobprov.provenance.db.queries.lookup.experiments import experiments_by_name
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.gaps import GapRow, count_gaps
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.services.lookup.proofs import proof_counts
from jobprov.provenance.services.lookup.shares import (
    BEFORE,
    LEAST_BEFORE,
    LEAST_JOBS,
    MOST_EXPERIMENTS,
    Share,
    lately_began,
)
from jobprov.provenance.times import utc_text

STOPS_NONE = 9
_UNKNOWN = (STOPS_NONE, "")
"""Level and cure of a code that a newer version of jobprov may have written."""
CLOSES_ITSELF = frozenset({"software-unresolved", "configuration-unevaluated", "blob-missing"})
"""Code is resolved, configurations are evaluated and files arrive after the record of their job."""
_HOUR = timedelta(hours=1)


def list_gaps(connection: Connection, filters: JobFilters) -> GapCounts:
    """Return the gaps of the jobs that pass the filters, what stops the lowest level first."""
    job_count, rows, proofs = count_gaps(connection, filters)
    examples = summaries_of(connection, [row.newest for row in rows])
    rows = sorted(rows, key=lambda row: GAPS.get(row.code, _UNKNOWN)[0])
    gaps = [_count(row, examples[row.newest]) for row in rows]
    return GapCounts(job_count, gaps, proof_counts(proofs))


def _count(row: GapRow, example: JobSummary) -> GapCount:
    level, how_to_close = GAPS.get(row.code, _UNKNOWN)
    stops = None if level == STOPS_NONE else f"L{level}"
    return GapCount(row.code, stops, row.job_count, how_to_close, example)


def list_growing_gaps(
    connection: Connection, now: datetime, *, seconds: float = SECONDS
) -> GrowingGaps:
    """Return the gaps that grow, of the first thirty experiments; those of most jobs first.

    Of each experiment the newest 20,000 jobs of the day and of the days before are looked at.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    gaps, ended = [], 0
    began = lately_began(now)
    experiments = list(experiments_by_name(connection).items())
    with time_limit(connection, "ask again in a minute", seconds=seconds):
        for name, key in experiments[:MOST_EXPERIMENTS]:
            lately = gaps_by_hour(connection, EndedScope(key, began), now)
            ended += sum(row.jobs for row in lately)
            if sum(row.jobs for row in lately) < LEAST_JOBS:
                continue
            days = EndedScope(key, began - BEFORE, until=began)
            before = gaps_between(connection, days)
            ended += sum(before.values())
            if sum(before.values()) >= LEAST_BEFORE:
                gaps += _growing(connection, name, lately, before, now)
    gaps.sort(key=lambda gap: (-gap.jobs, gap.code))
    return GrowingGaps(gaps=gaps, ended=ended)


def _growing(
    connection: Connection,
    experiment: str,
    lately: Sequence[GapJobs],
    before: Mapping[int | None, int],
    now: datetime,
) -> list[GrowingGap]:
    """Return the gaps of an experiment that grow."""
    keys = {row.gap_set for row in lately} | before.keys()
    codes = gap_codes(connection, {key for key in keys if key is not None})
    had: Counter[str] = Counter()
    for key, jobs in before.items():
        for code in codes.get(key or 0, ()):
            had[code] += jobs
    rows_by_code: defaultdict[str, list[GapJobs]] = defaultdict(list)
    ended_by_hour: Counter[int] = Counter()
    for row in lately:
        ended_by_hour[row.hour] += row.jobs
        for code in codes.get(row.gap_set or 0, ()):
            rows_by_code[code].append(row)
    began = lately_began(now)
    settled = int((now - _HOUR - began) / _HOUR)
    growing = []
    for code, rows in rows_by_code.items():
        of_week = Share(had[code], sum(before.values()))
        ended = ended_by_hour.total()
        if code in CLOSES_ITSELF:
            rows = [row for row in rows if row.hour < settled]  # noqa: PLW2901 - the earlier ones
            ended = sum(jobs for hour, jobs in ended_by_hour.items() if hour < settled)
        of_day = Share(sum(row.jobs for row in rows), ended)
        if of_day.jobs < LEAST_JOBS or not of_day.is_above(of_week):
            continue
        hour = _first_hour(rows, ended_by_hour, of_week)
        growing.append(
            GrowingGap(
                experiment=experiment,
                code=code,
                jobs=of_day.jobs,
                ended=of_day.ended,
                jobs_before=of_week.jobs,
                ended_before=of_week.ended,
                site=_most_named((row.site, row.jobs) for row in rows),
                stage=_most_named((row.stage, row.jobs) for row in rows),
                since=utc_text(began + hour * _HOUR),
            )
        )
    return growing


def _first_hour(rows: Sequence[GapJobs], ended: Mapping[int, int], before: Share) -> int:
    """Return the first hour in which the share was above that of before."""
    by_hour: Counter[int] = Counter()
    for row in rows:
        by_hour[row.hour] += row.jobs
    for hour in sorted(by_hour):
        if Share(by_hour[hour], ended[hour]).is_above(before):
            return hour
    return min(by_hour)


def _most_named(named: Iterable[tuple[str, int]]) -> str | None:
    """Return the name with most jobs; None where that is no name."""
    jobs_by_name: Counter[str] = Counter()
    for name, jobs in named:
        jobs_by_name[name] += jobs
    [(name, _)] = jobs_by_name.most_common(1)
    return name or None
