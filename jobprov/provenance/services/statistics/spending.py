"""What the jobs of a campaign cost: by site, by release, and last week against the week before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.spending import Spending, Spent
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.spending import SpentRow, spent_by

MOST_NAMED = 20
WEEKS = ("last 7 days", "7 days before")
_HOUR = 3600


def count_spending(
    connection: Connection, filters: JobFilters, now: datetime, *, seconds: float = SECONDS
) -> Spending:
    """Return what the finished jobs that pass the filters cost.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    with time_limit(connection, "ask for one stage", seconds=seconds):
        rows = spent_by(connection, filters, now)
        lists = {row.software_set for row in rows if row.software_set is not None}
        versions = code_versions(connection, lists)
    by_site = _named((row.site or None, row) for row in rows)
    by_release = _named((versions.get(row.software_set or 0), row) for row in rows)
    weeks = []
    for place, name in enumerate(WEEKS):
        weeks.append(_spent(name, [row for row in rows if row.week == place]))
    return Spending(
        total=_spent("all", rows),
        weeks=weeks,
        sites=_largest(by_site),
        releases=_largest(by_release),
    )


def _named(rows: Iterable[tuple[str | None, SpentRow]]) -> dict[str | None, list[SpentRow]]:
    named: defaultdict[str | None, list[SpentRow]] = defaultdict(list)
    for name, row in rows:
        named[name].append(row)
    return named


def _largest(named: Mapping[str | None, Sequence[SpentRow]]) -> list[Spent]:
    spent = [_spent(name, rows) for name, rows in named.items()]
    spent.sort(key=lambda of_name: (-(of_name.cpu_hours or 0), of_name.name or ""))
    return spent[:MOST_NAMED]


def _spent(name: str | None, rows: Sequence[SpentRow]) -> Spent:
    jobs = sum(row.jobs for row in rows)
    silent_jobs = sum(row.silent_jobs for row in rows)
    cpu_hours, lost_cpu_hours = None, None
    if silent_jobs < jobs or not jobs:
        cpu_hours = sum(row.cpu_seconds for row in rows) / _HOUR
        lost_cpu_hours = sum(row.lost_cpu_seconds for row in rows) / _HOUR
    return Spent(
        name=name,
        jobs=jobs,
        failures=sum(row.failures for row in rows),
        cpu_hours=cpu_hours,
        lost_cpu_hours=lost_cpu_hours,
        silent_jobs=silent_jobs,
    )
