"""Files that jobs of a task wrote and that nobody saw since."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.queries.fragments.arrived import was_seen
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    Claim,
    File,
    Identity,
    Job,
    Mention,
    Producer,
    UnarrivedFile,
)
from jobprov.provenance.records.files.presence import Presence

_AT_ONCE = 5000
FileOfJob = tuple[int, int]
"""The keys of a job and of a file that it made."""


class UnseenOutput(NamedTuple):
    """A file that a job wrote and that no catalog or transfer service saw under any of its names.

    `job` and `file` are keys; `written_at` is when the job ended or, if that is later, its record
    came: clocks of nodes may be slow.
    """

    job: int
    file: int
    namespace: str
    name: str
    unit: str | None
    written_at: datetime


def unseen_outputs(
    connection: Connection, task: int, *, written_before: datetime
) -> list[UnseenOutput]:
    """Return the files that were written before a moment, and that nobody saw or made use of."""
    query = (
        _outputs(task)
        .with_only_columns(
            Job.id, File.id, File.namespace, File.name, Job.unit, Job.ended_at, Job.received_at
        )
        .where(Job.received_at < written_before, ~was_seen(), ~_is_used())
        .where(or_(Job.ended_at.is_(None), Job.ended_at < written_before))
    )
    unseen = []
    for job, file, namespace, name, unit, ended_at, received_at in connection.execute(query):
        written_at = max(ended_at or received_at, received_at)
        unseen.append(UnseenOutput(job, file, namespace, name, unit, written_at))
    return unseen


def seen_outputs(connection: Connection, task: int) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the unit of each file that somebody saw."""
    query = (
        _outputs(task)
        .with_only_columns(File.name, Job.unit)
        .where(was_seen())
        .execution_options(yield_per=_AT_ONCE)
    )
    for row in connection.execute(query):
        yield row.name, row.unit


def _outputs(task: int) -> Select[int]:
    """Return the query for the claims at birth of jobs of a task that succeeded."""
    return (
        select(Claim.id)
        .join(Job, Job.id == Claim.job_id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Job.task_id == task, Job.state == SUCCEEDED, Job.rerun_of.is_(None))
        .where(Claim.alias_of.is_(None), is_made())
    )


def _is_used() -> ColumnElement[bool]:
    """Return the condition that a job read a claimed file, and made one that counts."""
    consumer = aliased(Job)
    return (
        select(consumer.id)
        .select_from(Producer)
        .join(Mention, Mention.identity_id == Producer.identity_id)
        .join(consumer, consumer.id == Mention.job_id)
        .where(
            Producer.claim_id == Claim.id,
            func.coalesce(Mention.status, "consumed") == "consumed",
            consumer.id != Claim.job_id,
            consumer.state == SUCCEEDED,
            consumer.output_count > 0,
            consumer.rerun_of.is_(None),
        )
        .correlate(Claim)
        .exists()
    )


def newest_arrival(connection: Connection, task: int, *, before: datetime) -> datetime | None:
    """Return when the last output of a task was seen in its catalog, of those before a moment."""
    query = (
        select(func.max(CatalogFileRow.seen_at))
        .join(CatalogOutput, CatalogOutput.file_id == CatalogFileRow.id)
        .where(CatalogOutput.task_id == task, CatalogFileRow.seen_at < before)
    )
    moment: datetime | None = connection.execute(query).scalar_one()
    return moment


def names_in_catalog(connection: Connection, task: int, *, limit: int) -> list[str]:
    """Return the bare names of outputs of a task that its catalog has, those that came last."""
    query = (
        select(CatalogFileRow.name)
        .join(CatalogOutput, CatalogOutput.file_id == CatalogFileRow.id)
        .where(CatalogOutput.task_id == task, CatalogOutput.presence == Presence.THERE.value)
        .order_by(CatalogOutput.file_id.desc())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def unarrived_files(connection: Connection, task: int) -> set[FileOfJob]:
    """Return the files of a task that never arrived, as its last sync judged."""
    query = select(UnarrivedFile.job_id, UnarrivedFile.file_id)
    rows = connection.execute(query.where(UnarrivedFile.task_id == task))
    return {(row.job_id, row.file_id) for row in rows}


def is_unarrived(connection: Connection, job: int, file: int) -> bool:
    """Return whether the file that a job wrote never arrived, as the last sync judged."""
    query = (
        select(UnarrivedFile.file_id)
        .join(Job, Job.task_id == UnarrivedFile.task_id)
        .where(Job.id == job, UnarrivedFile.job_id == job, UnarrivedFile.file_id == file)
    )
    return connection.execute(query).first() is not None


def units_under_other_names(connection: Connection, task: int, units: Iterable[str]) -> set[str]:
    """Return which of these units have a child in the catalog that no job of the task names.

    It may be the file of their jobs, renamed on the way by somebody who dropped its metadata.
    """
    claimed = (
        select(Claim.id)
        .join(File, File.id == Claim.file_id)
        .join(Job, Job.id == Claim.job_id)
        .where(
            File.name == CatalogFileRow.name,
            File.experiment_id == CatalogFileRow.experiment_id,
            Job.task_id == task,
        )
        .correlate(CatalogFileRow)
    )
    query = (
        select(CatalogOutput.unit)
        .join(CatalogFileRow, CatalogFileRow.id == CatalogOutput.file_id)
        .where(
            CatalogOutput.task_id == task,
            CatalogOutput.unit != "",
            CatalogOutput.presence != Presence.GONE.value,
            ~claimed.exists(),
        )
        .distinct()
    )
    return {row.unit for row in rows_among(connection, query, CatalogOutput.unit, units)}
