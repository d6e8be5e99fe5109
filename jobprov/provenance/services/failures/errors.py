"""Why jobs did not succeed: causes by count, growth, age and place.

The hosts and sites that stand out are listed too.

Source: http.md, `GET /statistics/errors`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, LogLine, Outlier
from jobprov.provenance.answers.lookup.jobs import Failure, JobSummary
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.failures.errors import (
    FACETS,
    SUMS,
    CauseRow,
    PlaceCount,
    cause_rows,
    place_counts,
)
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import check_choice
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.triage.outliers import Count, find_outliers

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
) -> ErrorCounts:
    """Return why the jobs that pass the filters failed, and which hosts and sites stand out.

    Args:
        by: split causes by this facet, one of `FACETS`, or count by one of `SUMS` alone.
        sort: `count`, `newest` or `growing` (more in the last day than in the day before).
        now: the moment from which days are counted back.
        seconds: how long the counting may take.

    Raises:
        BadInputError: no such facet or order.
        LimitError: counting took more than `seconds`.
    """
    check_choice("by", by, (*FACETS, *SUMS))
    check_choice("sort", sort, SORTS)
    with time_limit(connection, "narrow it down to a task, a campaign or a time", seconds=seconds):
        rows = cause_rows(connection, filters, by, now=now or datetime.now(UTC), limit=_MOST_ROWS)
        places = place_counts(connection, filters)
    if by == "version":
        rows = _by_version(connection, rows)
    shown = sorted(rows, key=_ORDERS[sort], reverse=True)[:MOST_CAUSES]
    return ErrorCounts(
        jobs=sum(place.jobs for place in places),
        failures=sum(place.failures for place in places),
        cause_count=len(rows),
        causes=_causes(connection, shown),
        outliers=_outliers(places),
    )


def list_causes(connection: Connection, filters: JobFilters, *, most: int) -> list[FailureCause]:
    """Return the most frequent causes of failure of the jobs that pass the filters."""
    rows = cause_rows(connection, filters, None, now=datetime.now(UTC), limit=most)
    return _causes(connection, rows)


_ORDERS: Mapping[str, Callable[[CauseRow], tuple[object, ...]]] = {
    "count": lambda row: (row.job_count, row.example),
    "newest": lambda row: (row.last_at, row.example),
    "growing": lambda row: (row.recent - row.before, row.recent, row.example),
}


def _by_version(connection: Connection, rows: list[CauseRow]) -> list[CauseRow]:
    """Put the name of the code in place of the key of its list; lists of one name are one."""
    names = code_versions(connection, {row.facet for row in rows if row.facet is not None})
    merged: dict[tuple[object, ...], CauseRow] = {}
    cause: tuple[object, ...]
    for row in rows:
        named = row._replace(facet=names.get(row.facet))
        cause = (named.facet, named.cause_key)
        if named.cause_key is None:
            cause = named[:6]  # all that tells causes apart
        if cause in merged:
            named = _sum(merged[cause], named)
        merged[cause] = named
    return list(merged.values())


def _sum(first: CauseRow, second: CauseRow) -> CauseRow:
    """Return two rows of one cause as one.

    The two rows may share hosts: the larger number is taken, as a lower bound.
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
        rules=max(first.rules, second.rules),
    )


def _causes(connection: Connection, rows: list[CauseRow]) -> list[FailureCause]:
    examples = summaries_of(connection, [row.example for row in rows])
    classes = classes_of(connection, examples)
    return [_cause(row, examples[row.example], classes[row.example]) for row in rows]


def _cause(row: CauseRow, example: JobSummary, job_class: Failure) -> FailureCause:
    facet = None if row.facet is None else str(row.facet)
    log = LogLine(job_class.log_name, job_class.log_at) if job_class.log_name else None
    if row.rules > 1:
        # Messages are the same and logs are not: what helps one need not help the others
        words = f"{job_class.words} (the newest; {row.rules} rules fit these failures)"
        job_class = replace(job_class, words=words, advice=None, transient=None, rule=None)
    return FailureCause(
        by=facet,
        state=row.state,
        failed_step=row.failed_step,
        exit_code=row.exit_code,
        signal=row.exit_signal,
        error_class=row.error_class,
        cause=row.cause,
        cause_id=row.cause_key,
        class_name=job_class.class_name,
        words=job_class.words,
        advice=job_class.advice,
        transient=job_class.transient,
        rule=job_class.rule,
        count=row.job_count,
        hosts=row.hosts,
        sites=row.sites,
        last_day=row.recent,
        day_before=row.before,
        first_at=row.first_at.isoformat(),
        last_at=row.last_at.isoformat(),
        message=example.exit.message,
        example=example.job_id,
        url=job_page(example.job_id),
        log=log,
    )


def _outliers(places: list[PlaceCount]) -> list[Outlier]:
    """Return the sites, then the hosts, that fail more often than chance allows."""
    sites: dict[str, Count] = defaultdict(lambda: Count(0, 0))
    hosts: dict[str, Count] = defaultdict(lambda: Count(0, 0))
    for place in places:
        _add(sites, place.site, place)
        _add(hosts, place.host, place)
    return find_outliers("site", sites) + find_outliers("host", hosts)


def _add(counts: dict[str, Count], name: str | None, place: PlaceCount) -> None:
    if name:
        count = counts[name]
        counts[name] = Count(count.jobs + place.jobs, count.failures + place.failures)
