"""The versions of experiments' rules of triage, reclassifications, and the failures concerned."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.tables import Job, LedgerEntry, Reclassification, RuleTableRow


class TableVersion(NamedTuple):
    """A version of an experiment's rules, and who sent it when."""

    experiment_id: int
    version: int
    built_in: int
    document: str
    created_at: datetime
    submitter: str | None


class ReclassificationRow(NamedTuple):
    """Failures that were read again by a version of the rules.

    `task_id` is None for those of all tasks.
    """

    experiment_id: int
    task_id: int | None
    version: int
    created_at: datetime


_VERSIONS = (
    select(
        RuleTableRow.experiment_id,
        RuleTableRow.version,
        RuleTableRow.built_in,
        RuleTableRow.document,
        RuleTableRow.created_at,
        LedgerEntry.submitter,
    )
    .join(LedgerEntry, LedgerEntry.id == RuleTableRow.entry_id)
    .order_by(RuleTableRow.version.desc())
)
"""Every version of the rules of all experiments, the newest first."""


def newest_table(connection: Connection, experiment: int) -> TableVersion | None:
    """Return the newest rules of an experiment, by its key; None where it has none of its own."""
    query = _VERSIONS.where(RuleTableRow.experiment_id == experiment).limit(1)
    row = connection.execute(query).first()
    return None if row is None else TableVersion(*row)


def table_versions(connection: Connection, experiments: Sequence[int]) -> list[TableVersion]:
    """Return every version of the rules of these experiments, the newest first."""
    query = _VERSIONS.where(RuleTableRow.experiment_id.in_(experiments))
    return [TableVersion(*row) for row in connection.execute(query)]


def reclassifications(
    connection: Connection, experiments: Sequence[int]
) -> list[ReclassificationRow]:
    """Return every reclassification of these experiments, the newest first."""
    query = (
        select(
            Reclassification.experiment_id,
            Reclassification.task_id,
            Reclassification.version,
            Reclassification.created_at,
        )
        .where(Reclassification.experiment_id.in_(experiments))
        # entries that were adopted from another service have later keys
        .order_by(Reclassification.created_at.desc(), Reclassification.entry_id.desc())
    )
    return [ReclassificationRow(*row) for row in connection.execute(query)]


def failures_of(
    connection: Connection, experiment: int | None, task: int | None = None
) -> list[int]:
    """Return the keys of the jobs that failed, of one experiment and task or of all, in order."""
    query = select(Job.id).where(IS_BAD)
    if experiment is not None:
        query = query.where(Job.experiment_id == experiment)
    if task is not None:
        query = query.where(Job.task_id == task)
    # In order, SQLite would read every job by its key rather than those that failed by their index
    return sorted(connection.execute(query).scalars())
