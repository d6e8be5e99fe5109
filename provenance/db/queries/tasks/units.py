"""Units of tasks by their best attempt, waived units, and files that no job has read yet."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, and_, case, cast, func, literal, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.tasks import ReadyFile
from jobprov.provenance.db.queries.fragments.claim_places import IN_ORDER, PLACE, behind
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    Producer,
    ProvisionalRecord,
    TaskRow,
    WaivedUnit,
)

# The best attempt of a unit counts: one that succeeded, else one that runs, else what went wrong
# last.
_BEST_FIRST = ("succeeded", "running", "failed", "killed", "lost")
_RANK = case(*[(Job.state == STATES.index(state), rank) for rank, state in enumerate(_BEST_FIRST)])
_TAKEN = [STATES.index(state) for state in ("succeeded", "running")]


class UnitRow(NamedTuple):
    """A unit with attempts; one without a name is a job by itself."""

    unit: str
    is_named: bool
    state: str


def unit_rows(connection: Connection, tasks: Sequence[int]) -> dict[int, list[UnitRow]]:
    """Return by task its units with attempts, each with its best attempt's state, by name."""
    name = func.coalesce(Job.unit, literal("job ") + cast(Job.id, Text))
    query = (
        select(Job.task_id, name.label("name"), func.max(Job.unit), func.min(_RANK))
        .where(Job.task_id.in_(tasks), Job.rerun_of.is_(None))
        .group_by(Job.task_id, "name")
        .order_by(Job.task_id, "name")
    )
    units: dict[int, list[UnitRow]] = {task: [] for task in tasks}
    for task, unit, unit_name, rank in connection.execute(query):
        units[task].append(UnitRow(unit, unit_name is not None, _BEST_FIRST[rank]))
    return units


def silent_units(connection: Connection, task: int, *, before: datetime) -> set[str]:
    """Return the units whose running jobs were all last heard of before a moment, done or not.

    They are named as in `unit_rows`.
    """
    name = func.coalesce(Job.unit, literal("job ") + cast(Job.id, Text))
    query = (
        select(name.label("name"))
        .outerjoin(ProvisionalRecord, ProvisionalRecord.job_id == Job.id)
        .where(Job.task_id == task, Job.state == STATES.index("running"), Job.rerun_of.is_(None))
        .group_by("name")
        # a job reports again while it runs; `jobs` only keeps when its first record came
        .having(func.max(func.coalesce(ProvisionalRecord.received_at, Job.received_at)) < before)
    )
    return {row[0] for row in connection.execute(query)}


def waived_units(connection: Connection, tasks: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return by task the ledger entry that waives each unit that is waived."""
    query = select(WaivedUnit.task_id, WaivedUnit.unit, WaivedUnit.entry_id).where(
        WaivedUnit.task_id.in_(tasks)
    )
    entries: dict[int, dict[str, int]] = {task: {} for task in tasks}
    for task, unit, entry in connection.execute(query):
        entries[task][unit] = entry
    return entries


def entry_times(connection: Connection, entries: list[int]) -> dict[int, str]:
    """Return when each ledger entry came."""
    query = select(LedgerEntry.id, LedgerEntry.received_at).where(LedgerEntry.id.in_(entries))
    return {row[0]: row[1].isoformat() for row in connection.execute(query)}


def ready_files(
    connection: Connection, task: int, *, after: int, limit: int
) -> list[tuple[int, ReadyFile]]:
    """Return files that jobs of a task made and that no other job reads or has read, with places.

    Those of the oldest job come first. A rerun for comparison counts on neither side.

    Args:
        connection: where from.
        task: its key.
        after: the place after which to go on.
        limit: how many at most.
    """
    consumer = Job.__table__.alias("consumer")

    def readers(*conditions: Any) -> Any:
        return (
            select(literal(1))
            .select_from(Producer)
            .join(Mention, Mention.identity_id == Producer.identity_id)
            .join(consumer, consumer.c.id == Mention.job_id)
            .where(
                Producer.claim_id == Claim.id,
                consumer.c.id != Job.id,
                consumer.c.rerun_of.is_(None),
                *conditions,
            )
            .correlate(Claim, Job)
        )

    def number_of(*conditions: Any) -> Any:
        return (
            readers(*conditions)
            .with_only_columns(func.count(consumer.c.id.distinct()))
            .scalar_subquery()
        )

    query = (
        select(
            PLACE, File.name, File.namespace, Experiment.name, Identity.size_bytes, Identity.checksums,
            Claim.data_tier, Claim.event_count, Job.uuid, Job.unit, Job.ended_at,
            number_of(consumer.c.state.not_in(_TAKEN)),
        )
        .join(Job, Job.id == Claim.job_id)
        .join(TaskRow, and_(TaskRow.id == Job.task_id, TaskRow.id == task))
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(
            behind(after),
            Claim.alias_of.is_(None),
            func.coalesce(Claim.status, "written") == "written",
            Job.state == STATES.index("succeeded"),
            Job.rerun_of.is_(None),
            # a number, not NOT EXISTS: PostgreSQL looks it up for each claim of the task, and joins
            # no whole tables
            number_of(consumer.c.state.in_(_TAKEN)) == 0,
        )
        .order_by(*IN_ORDER)
        .limit(limit)
    )  # fmt: skip
    return [(row[0], _ready_file(row)) for row in connection.execute(query)]


def _ready_file(row: Any) -> ReadyFile:
    (
        _, name, namespace, experiment, size_bytes, checksums,
        data_tier, event_count, job_id, unit, ended_at, failed_attempts,
    ) = row  # fmt: skip
    return ReadyFile(
        name=name,
        namespace=namespace,
        experiment=experiment,
        url=file_page(name, experiment, namespace),
        size_bytes=size_bytes,
        checksums=checksums.split(),
        data_tier=data_tier,
        event_count=event_count,
        job_id=job_id,
        job_url=job_page(job_id),
        unit=unit,
        made_at=ended_at.isoformat() if ended_at else None,
        failed_attempts=failed_attempts,
    )
