"""Takes reports of queues: which jobs run and wait in a schedd.

A report holds the whole queue. It replaces the report before in one transaction, in which only
changed rows are written. When it comes, each job is judged: is it slow, is it stuck? Nothing of a
report goes into the ledger, since records tell how a job ended; only its counts are kept
(`queue_samples.py`).

To compare a long queue with the report before takes seconds, for which the single writer would be
blocked. So it is done outside the writer (`compare_report`), which then writes the differences,
unless another report of the same queue came in between.

Source: http.md, `PUT /queue/{schedd}`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, Self

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.tasks.queue import MOST_REPORTED, QueuedJob, QueueTaken
from jobprov.provenance.db.changes.tasks import (
    add_queue_jobs,
    forget_queue_reports,
    put_queue_report,
    remove_queue_jobs,
)
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.queries.tasks.queue import STANDINGS, Standing
from jobprov.provenance.db.queries.tasks.queue_reports import (
    EarlierJob,
    FoundReport,
    UsualTimes,
    announced_tasks,
    earlier_jobs,
    find_report,
    jobs_with_unit,
    last_log_lines,
    stages_of_tasks,
    units_of_nodes,
)
from jobprov.provenance.db.queries.tasks.queue_samples import SampleCounts, SampledQueue
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.attempts import node_of_batch
from jobprov.provenance.records.job_record import Batch, ExperimentName
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.records.reading.slow_numbers import refuse_slow_numbers
from jobprov.provenance.services.tasks.queue_samples import count_queue, keep_sample
from jobprov.provenance.services.writing import Writing

QUIET = timedelta(minutes=15)
"""A job that runs and does nothing for so long is stuck."""
SLOW_FACTOR = 3
"""A job that runs so many times as long as is usual in its stage is slow."""
_KEPT = timedelta(days=7)
"""A queue that nobody reports any more is forgotten after that."""


class QueueReportBody(msgspec.Struct, kw_only=True):
    """What `PUT /queue/{schedd}` takes.

    Attributes:
        experiment: whose jobs they are.
        age_seconds: how long ago the queue was asked; no clock has to be right for that.
        jobs: all that the queue has of the experiment.
        left_out: jobs that the report has no room for.
    """

    experiment: ExperimentName
    age_seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    jobs: Annotated[list[QueuedJob], msgspec.Meta(max_length=MOST_REPORTED)]
    left_out: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0


class ComparedReport(NamedTuple):
    """What a report changes.

    Attributes:
        asked_at: when its queue was asked; `asked_before` of the report that it was compared with,
            None where there is none.
        rows: jobs that are new or that changed; without the keys that all jobs of a report share.
        gone: keys of rows that are to be removed.
        taken: the counts.
        counted: how many jobs it has, by stage, of which samples are kept.
    """

    asked_at: datetime
    asked_before: datetime | None
    rows: list[dict[str, object]]
    gone: list[int]
    taken: QueueTaken
    counted: SampleCounts


class _JobRow(NamedTuple):
    """The columns of a job, but for those that all jobs of a report share.

    Attributes:
        fingerprint: a few bytes that change when the columns do: whole rows take many times as long
            to read.
    """

    batch_id: str
    task_id: str
    standing: int
    fingerprint: bytes
    columns: Mapping[str, object]

    @classmethod
    def of(cls, batch_id: str, task_id: str, columns: Mapping[str, object], standing: int) -> Self:
        """Return the row of a job."""
        content = msgspec.json.encode(list(columns.values()))
        fingerprint = hashlib.blake2b(content, digest_size=12).digest()
        return cls(batch_id, task_id, standing, fingerprint, columns)

    def all_columns(self) -> dict[str, object]:
        """Return the columns and the fingerprint."""
        return {**self.columns, "fingerprint": self.fingerprint}


class _Facts(NamedTuple):
    """What a report is judged by.

    Attributes:
        earlier: the jobs of the report before, by batch id.
        tasks: by job id, of jobs whose ad names none.
        units: by batch id, of jobs whose ad names none: what earlier attempts at the same node of a
            DAG, or of the same batch job, count for.
        stages: by task, the key of its stage.
        usual: by task, how long jobs of its stage take.
        heard: by job id, when a line of a log came last.
    """

    asked_at: datetime
    earlier: Mapping[str, EarlierJob]
    tasks: Mapping[str, str]
    units: Mapping[str, str]
    stages: Mapping[str, int]
    usual: Mapping[str, float]
    heard: Mapping[str, datetime]


def read_report(body: bytes) -> QueueReportBody:
    """Return a report as it was sent; one of 100,000 jobs has 40 MB.

    Raises:
        BadInputError: it is no JSON, or a field is missing or wrong; `fields` says which.
    """
    refuse_slow_numbers(body, "The report")
    try:
        return msgspec.json.decode(body, type=QueueReportBody)
    except msgspec.ValidationError as problem:
        path, message = misfit(problem, QueueReportBody)
        raise BadInputError(f"{path or 'The report'}: {message}.", {path: [message]}) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        reason = misfit(problem, QueueReportBody).message
        raise BadInputError(f"The body is not JSON: {reason}.", {"": [reason]}) from None


def compare_report(
    connection: Connection, schedd: str, body: QueueReportBody, *, received_at: datetime
) -> ComparedReport:
    """Return what a report changes.

    Raises:
        BadInputError: the report names a job twice.
    """
    _check_once(body.jobs)
    asked_at = received_at - timedelta(seconds=body.age_seconds)
    experiment = experiment_key(connection, body.experiment)
    before = None
    facts = _Facts(asked_at, earlier={}, tasks={}, units={}, stages={}, usual={}, heard={})
    if experiment is not None:
        before = find_report(connection, experiment, schedd)
        facts = _gather(connection, experiment, before, body, asked_at)
    rows = []
    for job in body.jobs:
        task = job.task_id or facts.tasks.get(job.job_id)
        if task is not None:
            rows.append(_row(job, task, facts))
    counted = count_queue((row.standing, facts.stages.get(row.task_id)) for row in rows)
    return _compare(rows, facts, before, counted)


def take_queue_report(
    writing: Writing, schedd: str, body: QueueReportBody, compared: ComparedReport
) -> QueueTaken:
    """Replace what is known of a queue; `compared` is what `compare_report` returned just now."""
    connection = writing.connection
    experiment = intern_experiments(writing, {body.experiment})[body.experiment]
    before = find_report(connection, experiment, schedd)
    asked_before = None if before is None else before.asked_at
    if asked_before != compared.asked_before:
        compared = compare_report(connection, schedd, body, received_at=writing.received_at)
    report = put_queue_report(
        connection, experiment, schedd, asked_at=compared.asked_at, left_out=body.left_out
    )
    remove_queue_jobs(connection, compared.gone)
    add_queue_jobs(connection, experiment, report, compared.rows)
    forget_queue_reports(connection, experiment, before=writing.received_at - _KEPT)
    queue = SampledQueue(experiment, schedd)
    keep_sample(connection, queue, compared.asked_at, compared.counted, now=writing.received_at)
    return compared.taken


def _check_once(jobs: Sequence[QueuedJob]) -> None:
    seen: set[str] = set()
    for place, job in enumerate(jobs):
        if job.batch_id in seen:
            field = f"jobs[{place}].batch_id"
            raise BadInputError(
                f"{field}: {job.batch_id} is in the report twice.", {field: ["twice"]}
            )
        seen.add(job.batch_id)


def _gather(
    connection: Connection,
    experiment: int,
    before: FoundReport | None,
    body: QueueReportBody,
    asked_at: datetime,
) -> _Facts:
    """Look up what the jobs of a report are judged by."""
    jobs = body.jobs
    running = [job for job in jobs if job.state == "running"]
    without_task = [job.job_id for job in running if job.task_id is None]
    tasks = announced_tasks(connection, experiment, without_task)
    named = {job.task_id for job in jobs if job.task_id}
    running_tasks = {job.task_id for job in running if job.task_id} | set(tasks.values())
    stages = stages_of_tasks(connection, experiment, named | running_tasks)
    earlier: Mapping[str, EarlierJob] = {}
    if before is not None:
        earlier = earlier_jobs(connection, before.key)
    return _Facts(
        asked_at,
        earlier=earlier,
        tasks=tasks,
        units=_units_by_node(connection, experiment, body, tasks),
        stages=stages,
        usual=_usual_by_task(connection, stages, running_tasks),
        heard=last_log_lines(connection, experiment, [job.job_id for job in running]),
    )


def _units_by_node(
    connection: Connection, experiment: int, body: QueueReportBody, tasks: Mapping[str, str]
) -> dict[str, str]:
    """Return the units of jobs whose ad names none and whose node has other attempts, by batch id.

    Args:
        tasks: by job id, of jobs whose ad names none.
    """
    nodes: dict[str, int] = {}
    job_ids: dict[str, str] = {}
    for job in body.jobs:
        task = job.task_id or tasks.get(job.job_id)
        if job.unit is not None or task is None:
            continue
        batch = Batch(id=job.batch_id, dag=job.dag, dag_node=job.dag_node, section=job.section)
        node = node_of_batch(body.experiment, task, batch)
        if node is not None:
            nodes[job.batch_id] = node
            job_ids[job.batch_id] = job.job_id
    of_nodes = units_of_nodes(connection, nodes.values())
    units = {batch: of_nodes[node] for batch, node in nodes.items() if node in of_nodes}
    # Such an attempt has a unit of its own, which may be another one
    recorded = jobs_with_unit(connection, experiment, [job_ids[batch] for batch in units])
    return {batch: unit for batch, unit in units.items() if job_ids[batch] not in recorded}


def _usual_by_task(
    connection: Connection, stages: Mapping[str, int], tasks: set[str]
) -> dict[str, float]:
    """Return how long jobs of the stages of these tasks usually take."""
    usual_times = UsualTimes(connection)
    by_task: dict[str, float] = {}
    for task in tasks & stages.keys():
        usual = usual_times.seconds(stages[task])
        if usual is not None:
            by_task[task] = usual
    return by_task


def _row(job: QueuedJob, task: str, facts: _Facts) -> _JobRow:
    """Judge a job and return its columns."""
    changed_measured = None
    usual = None
    standing = Standing(job.state)
    if job.state == "running":
        changed_measured = _cpu_changed_measured(job, facts.earlier.get(job.batch_id))
        usual = facts.usual.get(task)
        standing = Standing(
            "running",
            is_stuck=_is_stuck(job, changed_measured, facts),
            is_slow=is_slow(job.started_at, usual, facts.asked_at),
        )
    place = STANDINGS.index(standing)
    columns = {
        "standing": place,
        "batch_id": job.batch_id,
        "job_uuid": job.job_id,
        "task_id": task,
        "unit": job.unit or facts.units.get(job.batch_id),
        "since": job.since,
        "started_at": job.started_at,
        "host": job.host,
        "site": job.site,
        "hold_reason": job.hold_reason,
        "memory_bytes": job.memory_bytes,
        "requested_memory_bytes": job.requested_memory_bytes,
        "usual_seconds": usual,
        "cpu_seconds": job.cpu_seconds,
        "measured_seconds": job.measured_seconds,
        "cpu_changed_measured": changed_measured,
    }
    return _JobRow.of(job.batch_id, task, columns, place)


def _cpu_changed_measured(job: QueuedJob, earlier: EarlierJob | None) -> float | None:
    """Return how long a job had run when its CPU was last seen to grow; None where nobody knows."""
    if job.cpu_seconds is None or job.measured_seconds is None:
        return None
    is_same_attempt = earlier is not None and earlier.job_id == job.job_id
    if earlier is None or not is_same_attempt or earlier.cpu_changed_measured is None:
        return job.measured_seconds
    has_grown = earlier.cpu_seconds is None or job.cpu_seconds > earlier.cpu_seconds
    return job.measured_seconds if has_grown else earlier.cpu_changed_measured


def _is_stuck(job: QueuedJob, changed_measured: float | None, facts: _Facts) -> bool:
    """Return whether neither log nor CPU of a running job moves.

    Where one of them is not known the other alone counts; where both are not, nobody can tell.
    """
    is_quiet = []
    if job.measured_seconds is not None and changed_measured is not None:
        # The queue hears of the CPU from time to time; only what was measured since counts
        is_quiet.append(job.measured_seconds - changed_measured >= QUIET.total_seconds())
    heard_at = facts.heard.get(job.job_id)
    if heard_at is not None:
        is_quiet.append(facts.asked_at - heard_at >= QUIET)
    return bool(is_quiet) and all(is_quiet)


def is_slow(started_at: datetime | None, usual: float | None, now: datetime) -> bool:
    """Return whether a job runs much longer than is usual in its stage."""
    if started_at is None or usual is None:
        return False
    return (now - started_at).total_seconds() > SLOW_FACTOR * usual


def _compare(
    rows: Sequence[_JobRow], facts: _Facts, before: FoundReport | None, counted: SampleCounts
) -> ComparedReport:
    """Return what differs from the report before."""
    left = dict(facts.earlier)
    changed: list[dict[str, object]] = []
    gone: list[int] = []
    new = 0
    for row in rows:
        earlier = left.pop(row.batch_id, None)
        if earlier is None:
            new += 1
            changed.append(row.all_columns())
        elif earlier.fingerprint != row.fingerprint:
            # Under the same key, so that cursors of lists stay right
            changed.append({**row.all_columns(), "id": earlier.key})
            gone.append(earlier.key)
    gone += [earlier.key for earlier in left.values()]
    taken = QueueTaken(len(rows), new, len(changed) - new, len(left))
    asked_before = None if before is None else before.asked_at
    return ComparedReport(facts.asked_at, asked_before, changed, gone, taken, counted)
