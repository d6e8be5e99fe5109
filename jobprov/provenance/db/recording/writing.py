"""Writes jobs set-wise: a few statements a table and batch, whatever the number of records.

It uses no per-row ORM. What many jobs share (experiments, hosts, stages, tasks, lists of software,
configurations and gaps) is written once, and jobs point at it.

Not here: whether a record may be written (services/recording/jobs.py), and its exact bytes (the
ledger).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, update

from jobprov.provenance.db.recording.attempt_rows import attempts_of, nodes_of_jobs, write_attempts
from jobprov.provenance.db.recording.configurations.closures import (
    RanConfiguration,
    closure_set_digest,
    intern_closure_sets,
)
from jobprov.provenance.db.recording.files.linking import link_files, link_new_files
from jobprov.provenance.db.recording.files.rows import (
    Removed,
    remove_files,
    write_files,
)
from jobprov.provenance.db.recording.job_rows import (
    JobColumns,
    host_key,
    job_columns,
    shared_document,
    stage_key,
)
from jobprov.provenance.db.recording.module_rows import write_modules
from jobprov.provenance.db.recording.output_counts import leave_out_lost
from jobprov.provenance.db.recording.seed_rows import write_seeds
from jobprov.provenance.db.recording.software_rows import intern_software_sets, software_set_digest
from jobprov.provenance.db.recording.source_rows import write_sources
from jobprov.provenance.db.recording.task_rows import (
    NamedTasks,
    StageKey,
    intern_stages,
    intern_tasks,
    place_again,
    place_tasks,
    task_key,
)
from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Experiment, GapSet, Host, Job, TaskRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.db.writer.turns import take_tasks
from jobprov.provenance.records.files.outputs import count_made
from jobprov.provenance.records.gaps.gaps import Gap
from jobprov.provenance.records.job_record import JobRecord

_PLACES = "SELECT id, task_id, stage_id FROM jobs WHERE id {among}"


class JobDraft(NamedTuple):
    """A job about to be written: its merged record and what the service found out about it.

    Attributes:
        key: integer key, allocated.
        is_new: False where rows of an earlier reading have to go first.
        ran: the configurations that `ran_configurations` returns for the record.
        columns: what `job_columns` returns for the record, where somebody has called it already.
    """

    key: int
    is_new: bool
    record: JobRecord
    received_at: datetime
    level: int
    gaps: list[Gap]
    ran: Sequence[RanConfiguration]
    columns: JobColumns | None = None


class SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key.

    Lists of configurations, software and gaps stand there by digest.
    """

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[StageKey, int]
    tasks: NamedTasks
    closure_sets: dict[str, int]
    software_sets: dict[str, int]
    gap_sets: dict[str, int]


def write_jobs(transaction: Transaction, drafts: Sequence[JobDraft]) -> set[int]:
    """Write the rows of every draft and bring the edges of all names that they touch up to date.

    Returns:
        The files that an earlier reading of these jobs claimed.
    """
    connection = transaction.connection
    if not drafts:
        return set()
    shared = _intern_shared(transaction, drafts)
    replaced = [draft.key for draft in drafts if not draft.is_new]
    removed = remove_files(connection, replaced) if replaced else Removed(set(), set())
    before = _places(connection, replaced)
    insertions = Insertions(connection)
    _write_job_rows(connection, insertions, drafts, shared)
    records = {draft.key: draft.record for draft in drafts}
    change_among(connection, "DELETE FROM failure_classes WHERE job_id {among}", replaced)
    write_modules(transaction, insertions, records, replaced)
    write_seeds(transaction, insertions, records, replaced)
    ran = {draft.key: draft.ran for draft in drafts}
    write_sources(transaction, insertions, records, ran, replaced)
    insertions.write()
    # Last: others who name the same files wait from here on
    touched = write_files(transaction, insertions, records, shared.experiments)
    link_new_files(insertions, touched.new_identities, touched.new_claims)
    insertions.write()
    link_files(connection, removed.named | touched.files, touched.claims)
    place_tasks(transaction, shared.tasks.moved)
    # A task's stage follows from its jobs: where one of them left, it may be another now
    if replaced:
        leave_out_lost(connection, replaced)
        place_again(transaction, _left_tasks(before, _places(connection, replaced)))
    _write_attempts(connection, records, shared, before)
    return removed.claimed


class _Place(NamedTuple):
    """Keys of a job's task and stage, None where its record names none."""

    task: int | None
    stage: int | None


def _places(connection: Connection, jobs: Sequence[int]) -> dict[int, _Place]:
    places: dict[int, _Place] = {}
    for job, task, stage in select_among(connection, _PLACES, jobs):
        places[job] = _Place(task, stage)
    return places


def _left_tasks(before: Mapping[int, _Place], after: Mapping[int, _Place]) -> set[int]:
    """Return the tasks that jobs were in before they got another task or stage."""
    tasks: set[int] = set()
    for job, place in before.items():
        if place.task and place != after[job]:
            tasks.add(place.task)
    return tasks


def _write_attempts(
    connection: Connection,
    records: Mapping[int, JobRecord],
    shared: SharedKeys,
    before: Mapping[int, _Place],
) -> None:
    """Write which of these jobs are attempts at nodes; `before` has those written before."""
    attempts = attempts_of(records)
    replaced = nodes_of_jobs(connection, list(before))
    if not attempts and not replaced:
        return
    tasks = {_task_key(records[attempt.job_id], shared) for attempt in attempts}
    tasks |= {before[job].task for job in replaced}
    # Of the nodes alone: others record jobs of the other tasks meanwhile
    take_tasks(connection, filter(None, tasks))
    write_attempts(connection, attempts, replaced)


def _write_job_rows(
    connection: Connection,
    insertions: Insertions,
    drafts: Sequence[JobDraft],
    shared: SharedKeys,
) -> None:
    fresh = []
    patterns = shared.tasks.patterns
    for draft in drafts:
        row = _job_row(draft, shared)
        task = row["task_id"]
        if task in patterns:
            row["output_count"] = count_made(draft.record, patterns[task])
        if draft.is_new:
            fresh.append(row)
        else:
            connection.execute(update(Job).where(Job.id == draft.key).values(**row))
    insertions.add(table_of(Job), fresh)


class _SharedColumns(TypedDict):
    """The columns of `jobs` that point at what jobs share."""

    experiment_id: int
    task_id: int | None
    stage_id: int | None
    host_id: int | None
    software_set_id: int | None
    closure_set_id: int | None


class _JobRow(JobColumns, _SharedColumns):
    """All columns of `jobs`."""

    id: int
    received_at: datetime
    level: int
    gap_set_id: int


def _job_row(draft: JobDraft, shared: SharedKeys) -> _JobRow:
    return {
        "id": draft.key,
        **(draft.columns or job_columns(draft.record)),
        **_shared_columns(draft, shared),
        "received_at": draft.received_at,
        "level": draft.level,
        "gap_set_id": shared.gap_sets[gap_document(draft.gaps)[0]],
    }


def _shared_columns(draft: JobDraft, shared: SharedKeys) -> _SharedColumns:
    """Return the columns that point at what jobs share; None where the record does not name it."""
    record = draft.record
    experiment = shared.experiments[record.experiment]
    columns: _SharedColumns = {
        "experiment_id": experiment,
        "task_id": _task_key(record, shared),
        "stage_id": None,
        "host_id": None,
        "software_set_id": None,
        "closure_set_id": None,
    }
    if stage := stage_key(record):
        columns["stage_id"] = shared.stages[(experiment, *stage)]
    if host := host_key(record):
        columns["host_id"] = shared.hosts[host]
    if record.software:
        columns["software_set_id"] = shared.software_sets[software_set_digest(record.software)]
    if draft.ran:
        columns["closure_set_id"] = shared.closure_sets[closure_set_digest(draft.ran)]
    return columns


def _task_key(record: JobRecord, shared: SharedKeys) -> int | None:
    """Return the key of a record's task; None where it names none."""
    key = task_key(record, shared.experiments[record.experiment])
    return None if key is None else shared.tasks.keys.get(key)


def intern_experiments(transaction: Transaction, names: set[str]) -> dict[str, int]:
    """Return the integer key of each experiment, made where it is new."""
    return transaction.intern(
        table_of(Experiment), ["name"], {name: {"name": name} for name in names}
    )


def known_experiment(transaction: Transaction, name: str) -> int | None:
    """Return the integer key of an experiment, if the writer has met it."""
    return transaction.known_key(table_of(Experiment), name)


def are_names_known(transaction: Transaction, record: JobRecord, experiment: int) -> bool:
    """Whether the writer has met the host and the task that a record names."""
    host, task = host_key(record), task_key(record, experiment)
    if host is not None and transaction.known_key(table_of(Host), host) is None:
        return False
    return task is None or transaction.known_key(table_of(TaskRow), task) is not None


def name_hosts(
    transaction: Transaction, records: Sequence[JobRecord]
) -> dict[tuple[str, str, str], int]:
    """Return the integer keys of the hosts that records name, made where they are new."""
    columns = ("hostname", "site", "facility")
    hosts: dict[tuple[str, str, str], dict[str, str]] = {}
    for record in records:
        if host := host_key(record):
            hosts[host] = dict(zip(columns, host, strict=True))
    return transaction.intern(table_of(Host), columns, hosts)


def _intern_shared(transaction: Transaction, drafts: Sequence[JobDraft]) -> SharedKeys:
    """Return the keys of what these jobs share, made where they are new."""
    records = [draft.record for draft in drafts]
    names: set[str] = set()
    for record in records:
        names.add(record.experiment)
        for file in record.inputs or ():
            if file.experiment:
                names.add(file.experiment)
    configurations = [draft.ran for draft in drafts if draft.ran]
    software = [record.software for record in records if record.software]
    experiments = intern_experiments(transaction, names)
    stages = intern_stages(transaction, records, experiments)
    return SharedKeys(
        experiments=experiments,
        hosts=name_hosts(transaction, records),
        stages=stages,
        tasks=intern_tasks(transaction, records, experiments),
        closure_sets=intern_closure_sets(transaction, configurations),
        software_sets=intern_software_sets(transaction, software),
        gap_sets=_intern_gap_sets(transaction, [draft.gaps for draft in drafts]),
    )


def _intern_gap_sets(transaction: Transaction, gaps: Sequence[Sequence[Gap]]) -> dict[str, int]:
    rows = {}
    for job_gaps in gaps:
        digest, document = gap_document(job_gaps)
        rows[digest] = {"sha256": digest, "document": document}
    return transaction.intern(table_of(GapSet), ["sha256"], rows)


def gap_document(gaps: Sequence[Gap]) -> tuple[str, str]:
    """Return digest and text of the codes of a job's gaps, in order.

    Their messages are not stored: they are made where a job is shown.
    """
    return _codes_document(tuple([gap.code for gap in gaps]))


@lru_cache(maxsize=4096)
def _codes_document(codes: tuple[str, ...]) -> tuple[str, str]:
    digest, body = shared_document(list(codes))
    return digest, body.decode()
