"""When units were waived, and the files of a task that no job has read yet."""

from typing import Any

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.tasks.tasks import ReadyFile
from jobprov.provenance.db.queries.catalogs.retired import retired_among
from jobprov.provenance.db.queries.fragments.arrived import is_not_lost
from jobprov.provenance.db.queries.fragments.claim_places import PLACE, behind
from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.queries.tasks.tasks import iso_or_none
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    Producer,
    TaskRow,
)
from jobprov.provenance.records.files.outputs import counts_for_unit

_TAKEN = [STATES.index(state) for state in ("succeeded", "running")]


def entry_times(connection: Connection, entries: list[int]) -> dict[int, str]:
    """Return when each ledger entry came."""
    query = select(LedgerEntry.id, LedgerEntry.received_at).where(LedgerEntry.id.in_(entries))
    return {row[0]: row[1].isoformat() for row in connection.execute(query)}


PlacedFile = tuple[int, ReadyFile]
"""A file, after its place in the order of all files that jobs made."""


def ready_files(
    connection: Connection, task: int, *, needed: int, after: int, limit: int
) -> list[PlacedFile]:
    """Return the outputs of a task that the next stage can process, oldest job first.

    These are the files that no other job has read or is reading. Left out are files

    - that do not count for their unit, or that the catalog retired or never got;
    - of jobs that made too few of them: they are made again when their unit is;
    - of a second job of the same unit, as in samples and workflows: else the next stage would
      process the same events twice.

    A rerun for comparison counts on neither side.

    Args:
        task: its key.
        needed: how many outputs make a unit done.
        after: the place after which to go on.
        limit: how many files at most.
    """
    patterns = patterns_of_tasks(connection, [task]).get(task, [])
    ready: list[PlacedFile] = []
    while len(ready) < limit:
        unread = _unread_files(connection, task, needed=needed, after=after, limit=limit)
        retired = retired_among(
            connection, task, [(file.name, file.namespace) for _, file in unread]
        )
        for place, file in unread:
            is_there = (file.name, file.namespace) not in retired
            if is_there and counts_for_unit(file.name, patterns):
                ready.append((place, file))
        if len(unread) < limit:
            break
        after, _ = unread[-1]
    return ready[:limit]


def _unread_files(
    connection: Connection, task: int, *, needed: int, after: int, limit: int
) -> list[PlacedFile]:
    """Return unread files of jobs that made enough outputs, whether they count by name or not."""
    # One output at least: a job without any has no file to return
    least = max(1, needed)
    consumer = Job.__table__.alias("consumer")

    def number_of(*conditions: Any) -> Any:
        return (
            select(func.count(consumer.c.id.distinct()))
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
            .scalar_subquery()
        )

    query = (
        select(
            PLACE, File.name, File.namespace, Experiment.name,
            Identity.size_bytes, Identity.checksums,
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
            is_made(),
            is_not_lost(),
            Job.state == SUCCEEDED,
            Job.output_count >= least,
            Job.rerun_of.is_(None),
            # Numbers, not NOT EXISTS: PostgreSQL looks them up for each claim of the task, and
            # joins no whole tables
            _earlier_jobs_of_unit(least) == 0,
            number_of(consumer.c.state.in_(_TAKEN)) == 0,
        )
        # the job's own key, in whose order SQLite finds the task's jobs: no sort, the limit ends it
        .order_by(Job.id, Claim.position)
        .limit(limit)
    )  # fmt: skip
    return [(row[0], _ready_file(row)) for row in connection.execute(query)]


def _earlier_jobs_of_unit(least: int) -> Any:
    """Return how many earlier jobs did the unit of a job, with at least so many outputs."""
    earlier = Job.__table__.alias("earlier")
    return (
        select(func.count())
        .select_from(earlier)
        .where(
            earlier.c.task_id == Job.task_id,
            earlier.c.unit == Job.unit,
            # By the index of task and unit: jobs of this state may be a million
            without_index(earlier.c.state) == SUCCEEDED,
            without_index(earlier.c.id) < Job.id,
            earlier.c.output_count >= least,
            earlier.c.rerun_of.is_(None),
        )
        .correlate(Job)
        .scalar_subquery()
    )


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
        made_at=iso_or_none(ended_at),
        failed_attempts=failed_attempts,
    )
