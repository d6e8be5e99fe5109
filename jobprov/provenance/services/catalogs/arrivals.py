"""What jobs wrote and no catalog or transfer service saw within the hours that are usual.

Catalogs are taken as `jobprov catalog sync` last saw them, transfer services by `POST /files`.
"""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.catalogs.arrivals import ArrivalDay, Arrivals, LateFile
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.queries.catalogs.arrivals import (
    CountedFiles,
    UnseenFile,
    count_written,
    last_comparison,
    unseen_files,
)
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.lookup.jobs import MOST_LISTED
from jobprov.provenance.services.paging import check_limit, next_cursor, read_cursor

HOURS = 24
"""Within so many hours a file should have arrived, where its experiment sets none."""
MOST_DAYS = 31


def list_arrivals(
    connection: Connection,
    experiment: str,
    *,
    catalogs: Catalogs,
    days: int = 7,
    hours: int | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Arrivals:
    """Return how many files were written and arrived, a day each, and those that did not in time.

    Args:
        connection: where from.
        experiment: whose files.
        catalogs: those that are set up; they have the hours of an experiment.
        days: how many, today being the last.
        hours: that a file may take; by default those of the experiment.
        until: count as of this moment instead of now.
        limit: how many late files to list.
        cursor: `next` of the answer before.

    Raises:
        NotFoundError: no job of this experiment is recorded.
        BadInputError: a wrong limit or cursor.
    """
    check_limit(limit, MOST_LISTED)
    before = read_cursor(cursor)
    key = find_experiment(connection, experiment)
    now = until or datetime.now(UTC)
    within = hours_to_arrive(catalogs, experiment) if hours is None else hours
    late_before = now - timedelta(hours=within)

    beginnings = _beginnings(now, days)
    counts = count_written(connection, key, [*beginnings, now], late_before=late_before)
    rows = unseen_files(connection, key, beginnings[0], late_before, before=before, limit=limit + 1)
    compared_at = last_comparison(connection, key)
    arrival_days = []
    for place, beginning in enumerate(beginnings):
        counts_of_day = [count for count in counts if count.day == place]
        arrival_days.append(_day(beginning, counts_of_day))
    return Arrivals(
        experiment=experiment,
        hours=within,
        until=now.isoformat(),
        compared_at=compared_at.isoformat() if compared_at else None,
        days=arrival_days,
        files=[_late_file(experiment, row) for row in rows[:limit]],
        next=next_cursor(rows, limit, lambda row: row.claim),
    )


def hours_to_arrive(catalogs: Catalogs, experiment: str, *, unset: int = HOURS) -> int:
    """Return within how many hours the files of an experiment should arrive; `unset` by default."""
    settings = catalogs.get(experiment)
    if settings is None or settings.arrive_within_hours is None:
        return unset
    return settings.arrive_within_hours


def arrivals_sentence(arrivals: Arrivals) -> str:
    """Return what became of the files in a sentence."""
    written = sum(day.written for day in arrivals.days)
    late = sum(day.late for day in arrivals.days)
    if not written:
        return "No job of a task wrote a file on these days."
    waiting = sum(day.waiting for day in arrivals.days)
    rest = f"; {counted(waiting, 'file')} may still come" if waiting else ""
    within = counted(arrivals.hours, "hour")
    if not late:
        return f"No file is late by more than {within}, of {number(written)} written{rest}."
    return f"{number(late)} of {counted(written, 'file')} did not arrive within {within}{rest}."


def _beginnings(now: datetime, days: int) -> list[datetime]:
    """Return when each of the days began in UTC, today last."""
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    return [today - timedelta(days=back) for back in reversed(range(days))]


def _day(beginning: datetime, counts: list[CountedFiles]) -> ArrivalDay:
    """Return the sums of one day, whose counts tell files by arrival and lateness."""
    arrived = sum(count.files for count in counts if count.has_arrived)
    late = sum(count.files for count in counts if not count.has_arrived and count.is_late)
    written = sum(count.files for count in counts)
    return ArrivalDay(
        day=f"{beginning:%Y-%m-%d}",
        written=written,
        arrived=arrived,
        late=late,
        waiting=written - arrived - late,
    )


def _late_file(experiment: str, row: UnseenFile) -> LateFile:
    return LateFile(
        name=row.name,
        namespace=row.namespace,
        url=file_page(row.name, experiment, row.namespace),
        size_bytes=row.size_bytes,
        job_id=row.job_id,
        job_url=job_page(row.job_id),
        task_id=row.task_id,
        stage=row.stage,
        batch_id=row.batch_id,
        node=row.node,
        ended_at=row.ended_at.isoformat(),
        compared_at=row.compared_at.isoformat() if row.compared_at else None,
    )
