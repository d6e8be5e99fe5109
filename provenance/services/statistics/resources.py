"""Distributions of what jobs took: run time, CPU, memory, output, and these an event, by stage, site, host or version.

Source: http.md, `GET /statistics/resources`.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.node_facts import code_versions
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.queries.statistics.resources import COLUMNS, JobCost, job_costs
from jobprov.provenance.db.time_limits import SECONDS, time_limit
from jobprov.provenance.errors import BadInputError

BINS = 24
MOST_GROUPS = 50

MEASURES: dict[str, tuple[str, Callable[[JobCost], float | None]]] = {
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
) -> dict[str, Any]:
    """Return `{jobs, by, measures, groups}` of the newest 50,000 successful jobs that pass the filters.

    `measures` has, for each name of `MEASURES` that a job says, `{unit, edges}`: the edges of the
    bins, the same for all groups. A group is `{name, jobs, measures}`, the largest first, and a
    measure of it `{count, mean, p10, median, p90, largest, bins}`; the first and the last bin also
    hold what lies beyond.

    Args:
        connection: where from.
        filters: which jobs.
        by: tell groups apart by `stage`, `site`, `host` or `version`.
        seconds: how long reading may take.

    Raises:
        BadInputError: nothing to tell groups apart by.
        LimitError: reading took more than `seconds`.
    """
    if by not in COLUMNS:
        words = f"one of {', '.join(COLUMNS)}"
        raise BadInputError(f"by: {words}.", {"by": [words]})
    with time_limit(connection, "narrow it down to a task, a campaign or a stage", seconds=seconds):
        jobs = job_costs(connection, filters, by)
    names = (
        code_versions(connection, {job.facet for job in jobs if job.facet is not None})
        if by == "version"
        else None
    )
    groups: dict[str | None, list[JobCost]] = {}
    for job in jobs:
        groups.setdefault(
            names.get(job.facet) if names is not None else (job.facet or None), []
        ).append(job)
    edges = {name: _edges(_values(jobs, read)) for name, (_, read) in MEASURES.items()}
    edges = {name: found for name, found in edges.items() if found}
    largest = sorted(groups, key=lambda name: (-len(groups[name]), name or ""))[:MOST_GROUPS]
    return {
        "jobs": len(jobs),
        "by": by,
        "measures": {
            name: {"unit": MEASURES[name][0], "edges": found} for name, found in edges.items()
        },
        "groups": [
            {"name": name, "jobs": len(groups[name]), "measures": _measures(groups[name], edges)}
            for name in largest
        ],
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _values(jobs: Sequence[JobCost], read: Callable[[JobCost], float | None]) -> list[float]:
    return sorted(float(value) for job in jobs if (value := read(job)) is not None)


def _edges(values: Sequence[float]) -> list[float]:
    """Return the edges of equal bins between the first and the last hundredth.

    Nothing without values.
    """
    if not values:
        return []
    low, high = quantile(values, 0.01), quantile(values, 0.99)
    if high <= low:
        high = low + (abs(low) or 1.0) * 1e-3
    return [low + (high - low) * place / BINS for place in range(BINS + 1)]


def _measures(jobs: Sequence[JobCost], edges: dict[str, list[float]]) -> dict[str, Any]:
    found = {}
    for name, limits in edges.items():
        values = _values(jobs, MEASURES[name][1])
        if not values:
            continue
        bins = [0] * BINS
        for value in values:
            bins[min(BINS - 1, max(0, bisect_right(limits, value) - 1))] += 1
        found[name] = {
            "count": len(values),
            "mean": sum(values) / len(values),
            "p10": quantile(values, 0.1),
            "median": quantile(values, 0.5),
            "p90": quantile(values, 0.9),
            "largest": values[-1],
            "bins": bins,
        }
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, between neighbours in proportion."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
