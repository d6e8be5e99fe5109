"""What catalogs know of tasks, and what their jobs claim beside it: a few statements a task."""

from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, distinct, func, or_, select
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.catalogs.differences import SilentUnit
from jobprov.provenance.db.queries.fragments.arrived import is_named_like
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    CatalogProcess,
    CatalogSync,
    CatalogUse,
    Claim,
    Experiment,
    File,
    Host,
    Identity,
    Job,
    Mention,
    TaskRow,
)
from jobprov.provenance.records.files.outputs import counts_for_unit
from jobprov.provenance.records.files.presence import Presence

_is_retired = CatalogOutput.presence != Presence.THERE.value
_is_gone = CatalogOutput.presence == Presence.GONE.value


class ClaimedOutput(NamedTuple):
    """An output that a job of a task claims to have written.

    `origin` is the claim at birth, of which others are new names; `ended_at` is of the job, or when
    its record came.
    """

    origin: int
    namespace: str
    name: str
    size_bytes: int | None
    checksums: str
    job_id: str
    state: int
    unit: str | None
    batch_id: str | None
    node: str | None
    ended_at: datetime

    @property
    def is_done(self) -> bool:
        """Whether its job succeeded."""
        return self.state == SUCCEEDED

    def may_be(self, output: "CatalogedOutput") -> bool:
        """Return whether a file of the catalog may be this one.

        Names alike, and namespaces where both say one.
        """
        is_open = not self.namespace or not output.namespace
        return self.name == output.name and (is_open or self.namespace == output.namespace)


class UnknownOutput(NamedTuple):
    """An output that a successful job claims, and that its catalog was not seen to know.

    `claim` is the key of the claim, by which the next ones are asked for.
    """

    claim: int
    namespace: str
    name: str
    size_bytes: int | None
    job_id: str
    unit: str | None


class CatalogedOutput(NamedTuple):
    """An output of a task as its catalog knows or knew it, with the process that wrote it.

    `unit` is '' where no parent is a unit; `presence` is one of `Presence`.
    """

    namespace: str
    name: str
    unit: str
    size_bytes: int | None
    checksums: str
    task_id: str | None
    job_id: str | None
    process_id: int | None
    batch_id: str | None
    node: str | None
    presence: int


class SyncState(NamedTuple):
    """How far a task was compared with its catalog."""

    next_unit: int
    asked_at: datetime
    finished_at: datetime | None
    problem: str | None


def claimed_outputs(connection: Connection, task: int) -> list[ClaimedOutput]:
    """Return what jobs of a task claim to have written and kept, new names included."""
    query = (
        select(
            func.coalesce(Claim.alias_of, Claim.id), File.namespace, File.name,
            Identity.size_bytes, Identity.checksums, Job.uuid, Job.state, Job.unit, Job.batch_id,
            Host.hostname, func.coalesce(Job.ended_at, Job.received_at),
        )
        .join(Job, Job.id == Claim.job_id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(Job.task_id == task, Job.rerun_of.is_(None), is_made())
        .order_by(Claim.id)
    )  # fmt: skip
    return [ClaimedOutput._make(row) for row in connection.execute(query).all()]


def unknown_outputs(
    connection: Connection, task: int, *, only_of_units: bool, after: int, limit: int
) -> list[UnknownOutput]:
    """Return outputs of successful jobs of a task that the catalog knows by no name.

    Args:
        only_of_units: whether only children of units, and retired files, count as known.
        after: the claim of the last one before these.
    """
    renamed, renamed_file = aliased(Claim), aliased(File)
    at_birth = func.coalesce(Claim.alias_of, Claim.id)
    known = (
        select(CatalogOutput.file_id)
        .select_from(renamed)
        .join(renamed_file, renamed_file.id == renamed.file_id)
        .join(CatalogFileRow, is_named_like(renamed_file))
        .join(CatalogOutput, CatalogOutput.file_id == CatalogFileRow.id)
        .where(
            # A file that was renamed is known if the catalog knows any of its names
            or_(renamed.id == at_birth, renamed.alias_of == at_birth),
            # By the file: SQLite would go through all outputs of the task for each claim
            without_index(CatalogOutput.task_id) == task,
        )
    )
    if only_of_units:
        known = known.where(or_(CatalogOutput.unit != "", _is_retired))
    query = (
        select(Claim.id, File.namespace, File.name, Identity.size_bytes, Job.uuid, Job.unit)
        .join(Job, Job.id == Claim.job_id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Job.task_id == task, Job.rerun_of.is_(None), is_made(), Claim.id > after)
        .where(Job.state == SUCCEEDED, ~known.exists())
        .order_by(Claim.id)
        .limit(limit)
    )
    return [UnknownOutput._make(row) for row in connection.execute(query)]


def jobs_of_task(connection: Connection, task: int) -> "array[int]":
    """Return the keys of a task's jobs, those of reruns left out: eight bytes each."""
    query = select(Job.id).where(Job.task_id == task, Job.rerun_of.is_(None))
    return array("q", sorted(connection.execute(query).scalars()))


def bare_inputs(connection: Connection, jobs: Sequence[int], *, experiment: int) -> set[str]:
    """Return the names of an experiment's files that jobs read by name alone, and no job wrote."""
    query = (
        select(File.name)
        .select_from(Mention)
        .join(Identity, Identity.id == Mention.identity_id)
        .join(File, File.id == Identity.file_id)
        .where(
            Mention.job_id.in_(jobs),
            File.namespace == "",
            File.experiment_id == experiment,
            ~select(Claim.id).where(Claim.file_id == File.id).exists(),
        )
        .distinct()
    )
    return set(connection.execute(query).scalars())


def cataloged_outputs(connection: Connection, task: int) -> list[CatalogedOutput]:
    """Return the outputs of a task that its catalog knows, or knew until it retired them."""
    query = (
        select(
            CatalogFileRow.namespace, CatalogFileRow.name, CatalogOutput.unit,
            CatalogFileRow.size_bytes, CatalogFileRow.checksums, CatalogFileRow.task_id,
            CatalogFileRow.job_uuid, CatalogFileRow.process_id, CatalogProcess.batch_id,
            CatalogProcess.node, CatalogOutput.presence,
        )
        .select_from(CatalogOutput)
        .join(CatalogFileRow, CatalogFileRow.id == CatalogOutput.file_id)
        .outerjoin(
            CatalogProcess,
            (CatalogProcess.task_id == CatalogOutput.task_id)
            & (CatalogProcess.process_id == CatalogFileRow.process_id),
        )
        .where(CatalogOutput.task_id == task)
        .order_by(CatalogFileRow.name, CatalogOutput.unit)
    )  # fmt: skip
    return [CatalogedOutput._make(row) for row in connection.execute(query).all()]


def recorded_names(
    connection: Connection, experiment: int, names: Sequence[str]
) -> set[tuple[str, str]]:
    """Return namespace and name of an experiment's files of these bare names that have a page."""
    query = select(File.namespace, File.name).where(File.experiment_id == experiment)
    found = rows_among(connection, query, File.name, names)
    return {(namespace, name) for namespace, name in found}


def count_units_in_catalog(connection: Connection, task: int) -> int:
    """Return of how many units of a task the catalog knows an output that is not gone."""
    query = select(func.count(distinct(CatalogOutput.unit))).where(
        CatalogOutput.task_id == task, CatalogOutput.unit != "", ~_is_gone
    )
    return int(connection.execute(query).scalar_one())


def units_with_outputs(
    connection: Connection, task: int, units: Sequence[str], *, needed: int
) -> set[str]:
    """Return which of these units have as many outputs in the catalog as needed.

    Only outputs that count for a unit by their names.
    """
    patterns = patterns_of_tasks(connection, [task]).get(task, [])
    counts: Counter[str] = Counter()
    query = (
        select(CatalogOutput.unit, CatalogFileRow.name)
        .join(CatalogFileRow, CatalogFileRow.id == CatalogOutput.file_id)
        .where(CatalogOutput.task_id == task, ~_is_gone)
    )
    for unit, name in rows_among(connection, query, CatalogOutput.unit, units):
        counts[unit] += counts_for_unit(name, patterns)
    return {unit for unit, count in counts.items() if count >= max(1, needed)}


def used_units(connection: Connection, task: int) -> list[SilentUnit]:
    """Return which unit was given to which process, with node and batch id.

    The newest process of a unit comes last.
    """
    query = (
        select(
            CatalogUse.unit,
            CatalogUse.process_id,
            CatalogProcess.batch_id,
            CatalogProcess.node,
            CatalogProcess.status,
        )
        .join(
            CatalogProcess,
            (CatalogProcess.task_id == CatalogUse.task_id)
            & (CatalogProcess.process_id == CatalogUse.process_id),
        )
        .where(CatalogUse.task_id == task)
        .order_by(CatalogUse.unit, CatalogUse.process_id)
    )
    return [SilentUnit(*row) for row in connection.execute(query)]


def process_counts(connection: Connection, task: int) -> dict[str, int]:
    """Return how many processes of a task's project stand in each status."""
    query = select(CatalogProcess.status, func.count()).where(CatalogProcess.task_id == task)
    rows = connection.execute(query.group_by(CatalogProcess.status))
    return {row[0] or "unknown": row[1] for row in rows}


def sync_state(connection: Connection, task: int) -> SyncState | None:
    """Return how far a task was compared with its catalog; None where it never was."""
    query = select(
        CatalogSync.next_unit, CatalogSync.asked_at, CatalogSync.finished_at, CatalogSync.problem
    )
    row = connection.execute(query.where(CatalogSync.task_id == task)).first()
    return None if row is None else SyncState(*row)


def tasks_by_last_sync(connection: Connection, experiment: str) -> list[str]:
    """Return the ids of an experiment's declared tasks, those compared longest ago first."""
    query = (
        select(TaskRow.task_id)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .outerjoin(CatalogSync, CatalogSync.task_id == TaskRow.id)
        .where(Experiment.name == experiment, TaskRow.entry_id.is_not(None))
        .order_by(CatalogSync.asked_at.is_not(None), CatalogSync.asked_at, TaskRow.id)
    )
    return [row[0] for row in connection.execute(query)]
