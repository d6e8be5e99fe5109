"""Bundles: which jobs go into one, and the comparators that experiments declared for them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.lookup.jobs.details import FoundJob
from jobprov.provenance.db.tables import (
    ComparatorSet,
    Experiment,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    Sighting,
    Stage,
    TaskRow,
)

_MOST_SIGHTINGS = 10_000
_COLUMNS: tuple[Any, ...] = (
    Job.id, Job.uuid, Experiment.name, Experiment.id, Job.received_at, Job.software_set_id
)  # fmt: skip


class BundledJob(NamedTuple):
    """A job, and the integer key of its list of software; None where it names none."""

    job: FoundJob
    software_set: int | None


def jobs_with_ids(
    connection: Connection, job_ids: Iterable[str], *, experiment: str | None, limit: int
) -> list[BundledJob]:
    """Return the recorded ones of these jobs, the first `limit` of each few hundred."""
    query = _jobs(experiment, limit)
    return _bundled_jobs(rows_among(connection, query, Job.uuid, sorted(set(job_ids))))


def jobs_in(
    connection: Connection,
    *,
    task_id: str | None,
    campaign: str | None,
    stage: str | None,
    experiment: str | None,
    limit: int,
) -> list[BundledJob]:
    """Return the first jobs of a task, a campaign or a stage, in the order of their ids."""
    query = _jobs(experiment, limit)
    if task_id:
        query = query.join(TaskRow, TaskRow.id == Job.task_id).where(TaskRow.task_id == task_id)
    if campaign is not None or stage:
        query = query.join(Stage, Stage.id == Job.stage_id)
    if campaign is not None:
        query = query.where(Stage.campaign == campaign)
    if stage:
        query = query.where(Stage.name == stage)
    return _bundled_jobs(connection.execute(query))


def input_sightings(connection: Connection, job: int) -> list[tuple[int, str]]:
    """Return by position of a job's inputs what transfer services saw of them, newest first.

    Each is the document as it was sent. Of very many, the newest ten thousand count.
    """
    query = (
        select(Mention.position, Sighting.document)
        .join(Identity, Identity.id == Mention.identity_id)
        .join(Sighting, Sighting.file_id == Identity.file_id)
        .where(Mention.job_id == job)
        .order_by(Sighting.entry_id.desc(), Mention.position)
        .limit(_MOST_SIGHTINGS)
    )
    return [(position, document) for position, document in connection.execute(query)]


def _jobs(experiment: str | None, limit: int) -> Select[Any]:
    query: Select[Any] = (
        select(*_COLUMNS)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .order_by(Job.uuid)
        .limit(limit)
    )
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    return query


def _bundled_jobs(rows: Iterable[Any]) -> list[BundledJob]:
    return [BundledJob(FoundJob(*job), software_set) for *job, software_set in rows]


class ComparatorVersion(NamedTuple):
    """A version of an experiment's rules.

    Attributes:
        document: the rules as JSON.
        submitter: whose token sent them; None where the service did.
    """

    version: int
    document: str
    received_at: datetime
    submitter: str | None


_COMPARATORS = (
    select(
        ComparatorSet.version,
        ComparatorSet.document,
        LedgerEntry.received_at,
        LedgerEntry.submitter,
    )
    .join(Experiment, Experiment.id == ComparatorSet.experiment_id)
    .join(LedgerEntry, LedgerEntry.id == ComparatorSet.entry_id)
    .order_by(ComparatorSet.version.desc())
)


def newest_comparators(connection: Connection, experiment: str) -> ComparatorVersion | None:
    """Return the rules that count; None where the experiment declared none."""
    query = _COMPARATORS.where(Experiment.name == experiment).limit(1)
    row = connection.execute(query).first()
    return None if row is None else ComparatorVersion(*row)


def comparator_versions(connection: Connection, experiment: str) -> list[ComparatorVersion]:
    """Return every version that an experiment declared, newest first."""
    query = _COMPARATORS.where(Experiment.name == experiment)
    return [ComparatorVersion(*row) for row in connection.execute(query)]
