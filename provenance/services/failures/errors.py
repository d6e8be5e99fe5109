"""Why jobs did not succeed: causes by count, growth and age, where, and which hosts and sites stand out.

Source: http.md, `GET /statistics/errors`.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.failures.errors import (
    FACETS,
    SUMS,
    CauseRow,
    cause_rows,
    place_counts,
)
from jobprov.provenance.db.queries.fragments.node_facts import code_versions, job_url
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.time_limits import SECONDS, time_limit
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.failures.classes import JobClass, classes_of
from jobprov.provenance.triage.outliers import Count, Outlier, find_outliers

SORTS = ("count", "newest", "growing")
MOST_CAUSES = 200
_MOST_ROWS = 5000


def count_errors(
    connection: Connection,
    filters: JobFilters,
    *,
    by: str | None = None,
    sort: str = "count",
    now: datetime | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Return `{jobs, failures, cause_count, causes, outliers}` of the jobs that pass the filters and are over.

    A cause is `{by, state, failed_step, exit_code, signal, error_class, class, words, advice,
    transient, rule, count, hosts, sites, last_day, day_before, first_at, last_at, message, example,
    url, log}`; `by` is the part of the facet, None without one, and where that is `class`, `step`
    or `code` failures are counted by it alone. Class, words, advice and `log` (`{name, at}`: the
    line that told, in the example's log) are what the rules of triage say. `outliers` are hosts and
    sites with `{kind, name, jobs, failures, rate, rate_elsewhere, p_value}`: see
    `provenance.triage.outliers`.

    Args:
        connection: where from.
        filters: which jobs.
        by: split causes by this facet, one of `FACETS`, or count by one of `SUMS` alone.
        sort: `count`, `newest` or `growing` (more in the last day than in the day before).
        now: the moment from which days are counted back.
        seconds: how long the counting may take.

    Raises:
        BadInputError: a facet or order that is none.
        LimitError: counting took more than `seconds`.
    """
    _check("by", by, (*FACETS, *SUMS, None))
    _check("sort", sort, SORTS)
    with time_limit(connection, "narrow it down to a task, a campaign or a time", seconds=seconds):
        rows = cause_rows(connection, filters, by, now=now or datetime.now(UTC), limit=_MOST_ROWS)
        places = place_counts(connection, filters)
    rows = _by_version(connection, rows) if by == "version" else rows
    shown = sorted(rows, key=_ORDERS[sort], reverse=True)[:MOST_CAUSES]
    return {
        "jobs": sum(jobs for _, _, jobs, _ in places),
        "failures": sum(failures for *_, failures in places),
        "cause_count": len(rows),
        "causes": _causes(connection, shown),
        "outliers": _outliers(places),
    }


def list_causes(
    connection: Connection, filters: JobFilters, *, most: int = MOST_CAUSES
) -> list[dict[str, Any]]:
    """Return the most frequent causes of failure of the jobs that pass the filters, as `count_errors` does."""
    return _causes(
        connection, cause_rows(connection, filters, None, now=datetime.now(UTC), limit=most)
    )


_ORDERS: dict[str, Any] = {
    "count": lambda row: (row.job_count, row.example),
    "newest": lambda row: (row.last_at, row.example),
    "growing": lambda row: (row.recent - row.before, row.recent, row.example),
}


def _check(name: str, value: str | None, known: Iterable[str | None]) -> None:
    if value not in known:
        words = f"one of {', '.join(word for word in known if word)}"
        raise BadInputError(f"{name}: {words}.", {name: [words]})


def _by_version(connection: Connection, rows: list[CauseRow]) -> list[CauseRow]:
    """Put the name of the code in place of the key of its list; lists of one name are one."""
    names = code_versions(connection, {row.facet for row in rows if row.facet is not None})
    merged: dict[tuple[Any, ...], CauseRow] = {}
    for row in rows:
        named = row._replace(facet=names.get(row.facet))
        key = named[:8]
        held = merged.get(key)
        merged[key] = named if held is None else _sum(held, named)
    return list(merged.values())


def _sum(first: CauseRow, second: CauseRow) -> CauseRow:
    """Return two rows of one cause as one.

    A host that is in both counts once a row, so `hosts` is at most that.
    """
    return first._replace(
        job_count=first.job_count + second.job_count,
        hosts=max(first.hosts, second.hosts),
        sites=max(first.sites, second.sites),
        recent=first.recent + second.recent,
        before=first.before + second.before,
        first_at=min(first.first_at, second.first_at),
        last_at=max(first.last_at, second.last_at),
        example=max(first.example, second.example),
    )


def _causes(connection: Connection, rows: list[CauseRow]) -> list[dict[str, Any]]:
    examples = job_summaries(connection, [row.example for row in rows])
    classes = classes_of(connection, examples)
    return [_cause(row, examples[row.example], classes[row.example]) for row in rows]


def _cause(row: CauseRow, example: dict[str, Any], read: JobClass) -> dict[str, Any]:
    return {
        "by": str(row.facet) if row.facet is not None else None,
        "state": row.state,
        "failed_step": row.failed_step,
        "exit_code": row.exit_code,
        "signal": row.exit_signal,
        "error_class": row.error_class,
        "class": read.class_name,
        "words": read.words,
        "advice": read.advice,
        "transient": read.transient,
        "rule": read.rule,
        "count": row.job_count,
        "hosts": row.hosts,
        "sites": row.sites,
        "last_day": row.recent,
        "day_before": row.before,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "message": example["exit"]["message"],
        "example": example["job_id"],
        "url": job_url(example["job_id"]),
        "log": {"name": read.log_name, "at": read.log_at} if read.log_name else None,
    }


def _outliers(places: list[tuple[str | None, str | None, int, int]]) -> list[dict[str, Any]]:
    counts: dict[str, dict[str, Count]] = {
        "host": defaultdict(lambda: Count(0, 0)),
        "site": defaultdict(lambda: Count(0, 0)),
    }
    for host, site, jobs, failures in places:
        for kind, name in (("host", host), ("site", site)):
            if name:
                held = counts[kind][name]
                counts[kind][name] = Count(held.jobs + jobs, held.failures + failures)
    return [
        _shown(kind, outlier)
        for kind in ("site", "host")
        for outlier in find_outliers(counts[kind])
    ]


def _shown(kind: str, outlier: Outlier) -> dict[str, Any]:
    return {"kind": kind, **outlier._asdict()}
