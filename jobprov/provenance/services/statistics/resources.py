"""Distributions of what jobs took, by stage, site, host or version.

They are of wall time, CPU, memory and output, in all and for each event.

Source: http.md, `GET /statistics/resources`.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.resources import (
    MeasureBins,
    MeasureSums,
    ResourceGroup,
    ResourceSums,
)
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.resources import (
    COLUMNS,
    JobResources,
    ModuleRow,
    job_resources,
)
from jobprov.provenance.errors import check_choice

Row = TypeVar("Row", JobResources, ModuleRow)
BINS = 24
MOST_GROUPS = 50

MEASURES: dict[str, tuple[str, Callable[[JobResources], float | None]]] = {
    "wall_seconds": ("seconds", lambda job: job.wall_seconds),
    "cpu_seconds": ("seconds", lambda job: job.cpu_seconds),
    "cpu_efficiency": ("ratio", lambda job: _ratio(job.cpu_seconds, job.wall_seconds)),
    "max_rss_bytes": ("bytes", lambda job: job.max_rss_bytes),
    "output_bytes": ("bytes", lambda job: job.output_bytes),
    "seconds_per_event": ("seconds", lambda job: _ratio(job.wall_seconds, job.events)),
    "bytes_per_event": ("bytes", lambda job: _ratio(job.output_bytes, job.events)),
}
"""What is measured: its unit, and its value for a job."""


def sum_resources(
    connection: Connection, filters: JobFilters, *, by: str = "stage", seconds: float = SECONDS
) -> ResourceSums:
    """Return what the newest 50,000 successful jobs that pass the filters took.

    Args:
        by: tell groups apart by `stage`, `site`, `host` or `version`.
        seconds: how long reading may take.

    Raises:
        BadInputError: nothing to tell groups apart by.
        LimitError: reading took more than `seconds`.
    """
    check_choice("by", by, COLUMNS)
    with time_limit(connection, "narrow it down to a task, a campaign or a stage", seconds=seconds):
        jobs = job_resources(connection, filters, by)
    groups = rows_by_group(connection, jobs, by)
    bins: dict[str, MeasureBins] = {}
    for name, (unit, read) in MEASURES.items():
        if edges := _edges(_values(jobs, read)):
            bins[name] = MeasureBins(unit, edges)
    return ResourceSums(
        jobs=len(jobs),
        by=by,
        measures=bins,
        groups=[_group(name, groups[name], bins) for name in largest_groups(groups)],
    )


def rows_by_group(
    connection: Connection, rows: Sequence[Row], by: str
) -> dict[str | None, list[Row]]:
    """Return rows by the name of their group, in the order in which they are."""
    versions: dict[int, str] = {}
    if by == "version":
        versions = code_versions(connection, {row.facet for row in rows if row.facet is not None})
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        # of versions the facet is the key of a list of code, of all others a name or ''
        name = versions.get(row.facet) if by == "version" else (row.facet or None)
        groups.setdefault(name, []).append(row)
    return groups


def largest_groups(groups: Mapping[str | None, Sequence[object]]) -> list[str | None]:
    """Return the names of the groups that an answer has: those of most rows, the largest first."""
    return sorted(groups, key=lambda name: (-len(groups[name]), name or ""))[:MOST_GROUPS]


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _values(
    jobs: Sequence[JobResources], read: Callable[[JobResources], float | None]
) -> list[float]:
    return sorted(float(value) for job in jobs if (value := read(job)) is not None)


def _edges(values: Sequence[float]) -> list[float]:
    """Return the edges of equal bins between the first and the last hundredth.

    There are none without values.
    """
    if not values:
        return []
    low, high = quantile(values, 0.01), quantile(values, 0.99)
    if high <= low:
        high = low + (abs(low) or 1.0) * 1e-3
    return [low + (high - low) * place / BINS for place in range(BINS + 1)]


def _group(
    name: str | None, jobs: Sequence[JobResources], bins: dict[str, MeasureBins]
) -> ResourceGroup:
    measures: dict[str, MeasureSums] = {}
    for measure, measure_bins in bins.items():
        values = _values(jobs, MEASURES[measure][1])
        if values:
            measures[measure] = _sums(values, measure_bins.edges)
    return ResourceGroup(name, len(jobs), measures)


def _sums(values: Sequence[float], edges: Sequence[float]) -> MeasureSums:
    """Return the distribution of sorted values."""
    counts = [0] * BINS
    for value in values:
        place = bisect_right(edges, value) - 1
        counts[min(BINS - 1, max(0, place))] += 1
    return MeasureSums(
        count=len(values),
        mean=sum(values) / len(values),
        p10=quantile(values, 0.1),
        median=quantile(values, 0.5),
        p90=quantile(values, 0.9),
        largest=values[-1],
        bins=counts,
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, between neighbours in proportion."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
