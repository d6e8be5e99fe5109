"""Which files that jobs wrote were seen by a catalog or transfer service, and which were not."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from jobprov.provenance.db.queries.fragments.arrived import was_seen
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import (
    CatalogSync,
    Claim,
    File,
    Host,
    Identity,
    Job,
    Stage,
    TaskRow,
)

_ended_at = func.coalesce(Job.ended_at, Job.received_at)


class CountedFiles(NamedTuple):
    """How many files were written on a day, as far as they agree in the rest.

    Attributes:
        day: its place among the days asked for.
        is_late: whether their jobs ended before the moment asked for.
    """

    day: int
    has_arrived: bool
    is_late: bool
    files: int


class UnseenFile(NamedTuple):
    """A file that a job wrote and that was not seen since; the next page starts after `claim`."""

    claim: int
    namespace: str
    name: str
    size_bytes: int | None
    job_id: str
    task_id: str
    stage: str | None
    batch_id: str | None
    node: str | None
    ended_at: datetime
    compared_at: datetime | None


def count_written(
    connection: Connection, experiment: int, days: Sequence[datetime], *, late_before: datetime
) -> list[CountedFiles]:
    """Return how many files the jobs of tasks wrote between the first and the last moment.

    Args:
        days: the beginnings of the days, and the end of the last, in order.
        late_before: the moment that `is_late` is about.
    """
    places = [(_ended_at < end, place) for place, end in enumerate(days[1:])]
    written = (
        _written(experiment, days[0], days[-1])
        .add_columns(
            case(*places, else_=len(days) - 2).label("day"),
            case((was_seen(), 1), else_=0).label("has_arrived"),
            case((_ended_at < late_before, 1), else_=0).label("is_late"),
        )
        .subquery()
    )
    columns = (written.c.day, written.c.has_arrived, written.c.is_late)
    query = select(*columns, func.count()).group_by(*columns)
    counts = []
    for day, has_arrived, is_late, files in connection.execute(query):
        counts.append(CountedFiles(day, bool(has_arrived), bool(is_late), files))
    return counts


def unseen_files(
    connection: Connection,
    experiment: int,
    since: datetime,
    late_before: datetime,
    *,
    before: int | None,
    limit: int,
) -> list[UnseenFile]:
    """Return files of jobs that ended between two moments and that nobody saw, newest first.

    They come before the claim `before`.
    """
    query = (
        _written(experiment, since, late_before)
        .add_columns(
            File.namespace, File.name, Identity.size_bytes, Job.uuid, TaskRow.task_id, Stage.name,
            Job.batch_id, Host.hostname, _ended_at, CatalogSync.finished_at,
        )
        .outerjoin(Stage, Stage.id == Job.stage_id)
        .outerjoin(Host, Host.id == Job.host_id)
        .outerjoin(CatalogSync, CatalogSync.task_id == TaskRow.id)
        .where(~was_seen())
        .order_by(Claim.id.desc())
        .limit(limit)
    )  # fmt: skip
    if before is not None:
        query = query.where(Claim.id < before)
    return [UnseenFile._make(row) for row in connection.execute(query)]


def last_comparison(connection: Connection, experiment: int) -> datetime | None:
    """Return when a task of an experiment was last compared with its catalog as a whole."""
    query = (
        select(func.max(CatalogSync.finished_at))
        .join(TaskRow, TaskRow.id == CatalogSync.task_id)
        .where(TaskRow.experiment_id == experiment)
    )
    moment: datetime | None = connection.execute(query).scalar_one()
    return moment


def _written(experiment: int, since: datetime, until: datetime) -> Select[int]:
    """Return the query for the claims at birth of jobs of tasks that ended between two moments."""
    return (
        select(Claim.id)
        .join(Job, Job.id == Claim.job_id)
        .join(TaskRow, TaskRow.id == Job.task_id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Job.experiment_id == experiment, Job.state == SUCCEEDED)
        .where(Job.rerun_of.is_(None), Claim.alias_of.is_(None), is_made())
        .where(since <= _ended_at, until > _ended_at)
    )
