"""What runs and waits: jobs of reported queues, and jobs that their hooks announced.

A job counts once. Of a queue and a hook, what came last is right: a job that was idle when its
queue was asked and that announced itself since runs; one that announced itself and that is no
longer in its queue does not; one whose record came is over. A job that only announced itself and
was not heard of for long is silent: nobody knows whether it runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.tasks.queue import QueueState
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.art.event_lines import EventSpan
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.job_rows import RUNNING
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import (
    Experiment,
    Host,
    Job,
    LogTailPiece,
    ProvisionalRecord,
    QueueJob,
    QueueReport,
    Stage,
    TaskRow,
)


class Standing(NamedTuple):
    """What a job of a queue does."""

    state: QueueState
    is_stuck: bool = False
    is_slow: bool = False


STANDINGS = (
    Standing("held"),
    Standing("running", is_stuck=True, is_slow=True),
    Standing("running", is_stuck=True),
    Standing("running", is_slow=True),
    Standing("running"),
    Standing("idle"),
    Standing("removed"),
)
"""In the order in which people want to see them; a row has the place of its own."""

RUNNING_STANDINGS = [
    place for place, standing in enumerate(STANDINGS) if standing.state == "running"
]
_IDLE, _HELD = STANDINGS.index(Standing("idle")), STANDINGS.index(Standing("held"))
_RUNNING, _REMOVED = STANDINGS.index(Standing("running")), STANDINGS.index(Standing("removed"))
_ANNOUNCED_AT = func.coalesce(Job.started_at, Job.received_at)
"""When a job began that its hook announced."""
_MOST_REASONS = 1000


class QueueScope(NamedTuple):
    """Whose jobs: of all that is there, of an experiment, of tasks, or of a campaign.

    Attributes:
        silent_before: a job that only its hook announced was heard of since.
        experiment: its key.
        task_id: its name, with `task`, its key; jobs of a queue may name a task nobody knows yet.
        campaign: its name.
    """

    silent_before: datetime | BindParameter[datetime]
    experiment: int | None = None
    task_id: str | None = None
    task: int | None = None
    campaign: str | None = None


class ReportRow(NamedTuple):
    """When a queue was last asked."""

    schedd: str
    asked_at: datetime
    left_out: int


class QueueRow(NamedTuple):
    """A job that runs or waits.

    Attributes:
        key: of its row in the queue; of its job where its hook alone announced it.
        job: the key of its record; None where none came yet.
        stage: the key of its stage, where its hook alone announced it.
        is_announced: whether its hook alone announced it.
    """

    key: int
    standing: int
    batch_id: str | None
    task_id: str
    experiment: str
    unit: str | None
    job: int | None
    job_id: str | None
    since: datetime | None
    started_at: datetime | None
    host: str | None
    site: str | None
    hold_reason: str | None = None
    memory_bytes: int | None = None
    requested_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    usual_seconds: float | None = None
    stage: int | None = None
    is_announced: bool = False


class Queued(NamedTuple):
    """A unit that runs or waits, as queues and hooks have it.

    Attributes:
        state: running, idle or held.
        why: a reason for which it is held; None otherwise.
    """

    state: UnitState
    why: str | None = None


_RUNS, _WAITS = Queued(UnitState.RUNNING), Queued(UnitState.IDLE)
_FURTHEST_FIRST = (UnitState.RUNNING, UnitState.IDLE, UnitState.HELD)


class LogProgress(NamedTuple):
    """What is known of a log of a running job.

    Attributes:
        spans: events of its pieces, in order.
    """

    name: str
    received_at: datetime
    spans: list[EventSpan]


def reports(connection: Connection, experiment: int | None) -> list[ReportRow]:
    """Return when the queues of an experiment, or of all, were last asked, the oldest first."""
    query = select(QueueReport.schedd, QueueReport.asked_at, QueueReport.left_out)
    if experiment is not None:
        query = query.where(QueueReport.experiment_id == experiment)
    rows = connection.execute(query.order_by(QueueReport.asked_at))
    return [ReportRow(*row) for row in rows]


def count_queued(connection: Connection, scope: QueueScope) -> dict[int, int]:
    """Return how many jobs of queues stand in each way, by place in `STANDINGS`."""
    if connection.execute(select(QueueJob.id).limit(1)).first() is None:
        # Else all tasks of a campaign are looked up for it
        return {}
    query = _in_queue(scope, QueueJob.standing, func.count()).group_by(QueueJob.standing)
    return {standing: count for standing, count in connection.execute(query)}  # noqa: C416 - typed


def held_since(connection: Connection, scope: QueueScope) -> datetime | None:
    """Return since when the longest held job is held; None where no queue reports it."""
    query = _in_queue(scope, func.min(QueueJob.since)).where(QueueJob.standing == _HELD)
    since: datetime | None = connection.execute(query).scalar_one()
    return since


def hold_reasons(connection: Connection, scope: QueueScope) -> dict[str, int]:
    """Return how many jobs are held for which sentence of their batch system, '' for none.

    Of the thousand most frequent ones, those first.
    """
    reason, jobs = func.coalesce(QueueJob.hold_reason, ""), func.count()
    query = (
        _in_queue(scope, reason, jobs)
        .where(QueueJob.standing == _HELD)
        .group_by(reason)
        .order_by(jobs.desc(), reason)
        .limit(_MOST_REASONS)
    )
    return {words: count for words, count in connection.execute(query)}  # noqa: C416 - typed


def stages_in_queue(connection: Connection, since: datetime) -> set[tuple[str, str, str]]:
    """Return experiment, campaign and name of the stages with a running or idle job in a queue.

    Queues that do not name the units of their jobs tell that something of a stage goes on. A queue
    that was not asked since a moment tells nothing.
    """
    tasks = (
        select(QueueJob.experiment_id, QueueJob.task_id)
        .join(QueueReport, QueueReport.id == QueueJob.report_id)
        .where(QueueJob.standing.in_((*RUNNING_STANDINGS, _IDLE)), QueueReport.asked_at >= since)
        .distinct()
        .subquery()
    )
    is_task = and_(
        TaskRow.experiment_id == tasks.c.experiment_id, TaskRow.task_id == tasks.c.task_id
    )
    query = (
        select(Experiment.name, Stage.campaign, Stage.name)
        .select_from(tasks)
        .join(TaskRow, is_task)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .join(Experiment, Experiment.id == tasks.c.experiment_id)
        .distinct()
    )
    rows = connection.execute(query)
    return {(experiment, campaign, stage) for experiment, campaign, stage in rows}


class AnnouncedOfStage(NamedTuple):
    """How many jobs of a stage run as far as their hooks said, and are in no reported queue.

    Attributes:
        stage: its key; None for tasks that name none.
        stuck: of these, in whose logs nothing came since some moment.
    """

    stage: int | None
    running: int
    stuck: int


def count_announced(
    connection: Connection, scope: QueueScope, *, quiet_since: datetime
) -> list[AnnouncedOfStage]:
    """Return how many jobs only their hooks announced, by stage."""
    newest_line = (
        select(func.max(LogTailPiece.received_at))
        .where(LogTailPiece.job_id == Job.id)
        .correlate(Job)
        .scalar_subquery()
    )
    is_stuck = case((newest_line <= quiet_since, 1), else_=0)
    query = _announced(scope, TaskRow.stage_id, func.count(), func.sum(is_stuck))
    rows = connection.execute(query.group_by(TaskRow.stage_id))
    return [AnnouncedOfStage(*row) for row in rows]


def count_announced_before(
    connection: Connection, scope: QueueScope, moments: Mapping[int, datetime]
) -> int:
    """Return how many jobs that only their hooks announced began before the moment of their stage.

    Args:
        moments: by key of the stage; jobs of other stages do not count.
    """
    if not moments:
        return 0
    typed = {stage: literal(moment, _ANNOUNCED_AT.type) for stage, moment in moments.items()}
    moment_of_stage = case(typed, value=TaskRow.stage_id)
    query = _announced(scope, func.count()).where(moment_of_stage > _ANNOUNCED_AT)
    return int(connection.execute(query).scalar_one())


def queued_jobs(
    connection: Connection, scope: QueueScope, *, after: tuple[int, int], limit: int
) -> list[QueueRow]:
    """Return jobs of queues behind a (standing, key), in that order."""
    place = (QueueJob.standing, QueueJob.id)
    query = (
        _in_queue(
            scope, QueueJob.id, QueueJob.standing, QueueJob.batch_id, QueueJob.task_id,
            Experiment.name, func.coalesce(QueueJob.unit, Job.unit), Job.id, Job.uuid,
            QueueJob.since, QueueJob.started_at, QueueJob.host, QueueJob.site,
            QueueJob.hold_reason, QueueJob.memory_bytes, QueueJob.requested_memory_bytes,
            QueueJob.cpu_seconds, QueueJob.usual_seconds,
        )
        .join(Experiment, Experiment.id == QueueJob.experiment_id)
        .where(
            or_(place[0] > after[0], and_(place[0] == after[0], place[1] > after[1]))
        )
        .order_by(*place)
        .limit(limit)
    )  # fmt: skip
    return [QueueRow(*row) for row in connection.execute(query)]


def announced_jobs(
    connection: Connection, scope: QueueScope, *, after: int, limit: int
) -> list[QueueRow]:
    """Return jobs that only their hooks announced behind a key, the oldest first."""
    columns = (
        Job.id.label("key"),
        Job.batch_id,
        TaskRow.task_id,
        Experiment.name.label("experiment"),
        Job.unit,
        Job.id.label("job"),
        Job.uuid.label("job_id"),
        _ANNOUNCED_AT.label("since"),
        _ANNOUNCED_AT.label("started_at"),
        func.nullif(Host.hostname, "").label("host"),
        func.nullif(Host.site, "").label("site"),
        TaskRow.stage_id.label("stage"),
    )
    query = (
        _announced(scope, *columns)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(Job.id > after)
        .order_by(Job.id)
        .limit(limit)
    )
    rows = connection.execute(query).mappings()
    return [QueueRow(**row, standing=_RUNNING, is_announced=True) for row in rows]


def units_in_queue(
    connection: Connection, tasks: Sequence[int], *, silent_before: datetime
) -> dict[int, dict[str, Queued]]:
    """Return by task its units that run or wait, by the job of each that is furthest.

    A recorded job without a unit is one by itself; others without one are left out, and those that
    only their hooks announced and that were not heard of since `silent_before`.
    """
    values = {"tasks": tasks, "silent_before": silent_before}
    units: dict[int, dict[str, Queued]] = {task: {} for task in tasks}
    for task, name, standing, reason in run(connection, _UNITS_IN_QUEUE, values):
        _note_furthest(units[task], name, _queued(standing, reason))
    for task, name in run(connection, _UNITS_ANNOUNCED, values):
        units[task][name] = _RUNS
    return units


def _queued(standing: int, reason: str | None) -> Queued:
    if standing == _HELD:
        return Queued(UnitState.HELD, reason)
    return _WAITS if standing == _IDLE else _RUNS


def _note_furthest(units: dict[str, Queued], name: str, queued: Queued) -> None:
    """Note what a unit does, unless another job of it is further."""
    before = units.get(name)
    if before is None or _FURTHEST_FIRST.index(queued.state) < _FURTHEST_FIRST.index(before.state):
        units[name] = queued


def log_progress(connection: Connection, jobs: Iterable[int]) -> dict[int, list[LogProgress]]:
    """Return how far the logs of these jobs are, by the jobs' keys; the newest log last."""
    query = select(
        LogTailPiece.job_id,
        LogTailPiece.name,
        LogTailPiece.received_at,
        LogTailPiece.first_event,
        LogTailPiece.last_event,
        LogTailPiece.first_event_clock,
        LogTailPiece.last_event_clock,
    ).order_by(LogTailPiece.job_id, LogTailPiece.name, LogTailPiece.start)
    logs_by_name: dict[int, dict[str, LogProgress]] = {}
    pieces = rows_among(connection, query, LogTailPiece.job_id, sorted(set(jobs)))
    for job, name, received_at, *span in pieces:
        logs = logs_by_name.setdefault(job, {})
        log = logs.get(name, LogProgress(name, received_at, []))
        logs[name] = log._replace(received_at=max(log.received_at, received_at))
        [first_event, *_] = span
        if first_event is not None:
            log.spans.append(EventSpan._make(span))
    progress = {}
    for job, logs in logs_by_name.items():
        progress[job] = sorted(logs.values(), key=lambda log: log.received_at)
    return progress


def announcements(connection: Connection, jobs: Iterable[int]) -> dict[int, bytes]:
    """Return what the hooks of these jobs announced, as JSON, by the jobs' keys."""
    query = select(ProvisionalRecord.job_id, ProvisionalRecord.body).where(
        ProvisionalRecord.witness == "wrapper"
    )
    rows = rows_among(connection, query, ProvisionalRecord.job_id, sorted(set(jobs)))
    return {job: unpack(body) for job, body in rows}


def _in_queue(scope: QueueScope, *columns: Any) -> Select[Any]:
    """Return a query for jobs of queues, without those whose record is newer than the report."""
    is_up_to_date = case(
        (QueueJob.standing.in_(RUNNING_STANDINGS), Job.state == RUNNING),
        else_=or_(Job.state != RUNNING, Job.received_at <= QueueReport.asked_at),
    )
    query = (
        select(*columns)
        .select_from(QueueJob)
        .join(QueueReport, QueueReport.id == QueueJob.report_id)
        .outerjoin(
            Job, and_(Job.uuid == QueueJob.job_uuid, Job.experiment_id == QueueJob.experiment_id)
        )
        .where(or_(Job.id.is_(None), is_up_to_date))
    )
    if scope.experiment is not None:
        query = query.where(QueueJob.experiment_id == scope.experiment)
    if scope.task_id is not None:
        query = query.where(QueueJob.task_id == scope.task_id)
    if scope.campaign is not None:
        tasks = _tasks_of_campaign(TaskRow.task_id, scope)
        query = query.where(QueueJob.task_id.in_(tasks))
    return query


def _announced(scope: QueueScope, *columns: Any) -> Select[Any]:
    """Return a query for jobs that their hooks announced, and of which no queue knows more."""
    row, report = aliased(QueueJob), aliased(QueueReport)
    queue = aliased(QueueReport)
    # No join: SQLite might begin with the report, and read all of its jobs for each of ours
    asked_at = select(report.asked_at).where(report.id == row.report_id).scalar_subquery()
    is_told_by_queue = exists().where(
        row.job_uuid == Job.uuid,
        row.experiment_id == Job.experiment_id,
        or_(row.standing.in_(RUNNING_STANDINGS), asked_at >= Job.received_at),
    )
    # The queue that it came from was asked since, and has it no longer
    is_gone = exists().where(
        queue.experiment_id == Job.experiment_id,
        queue.asked_at >= Job.received_at,
        queue.left_out == 0,
        Job.batch_id.like(func.concat("%@", queue.schedd)),
    )
    is_heard = exists().where(
        ProvisionalRecord.job_id == Job.id, ProvisionalRecord.received_at >= scope.silent_before
    )
    writes_log = exists().where(
        LogTailPiece.job_id == Job.id, LogTailPiece.received_at >= scope.silent_before
    )
    query = (
        select(*columns)
        .select_from(Job)
        .join(TaskRow, TaskRow.id == Job.task_id)
        .where(
            Job.state == RUNNING,
            Job.rerun_of.is_(None),
            ~is_told_by_queue,
            ~is_gone,
            or_(is_heard, writes_log),
        )
    )
    if scope.task is not None:
        return query.where(Job.task_id == scope.task)
    if scope.campaign is not None:
        query = query.where(Job.task_id.in_(_tasks_of_campaign(TaskRow.id, scope)))
    if scope.experiment is not None:
        query = query.where(Job.experiment_id == scope.experiment)
    # Few jobs run among all that were recorded, and no index knows them but this table's
    return query.where(Job.id.in_(select(ProvisionalRecord.job_id)))


def _tasks_of_campaign(column: Any, scope: QueueScope) -> Select[Any]:
    tasks = aliased(TaskRow)
    query = (
        select(getattr(tasks, column.key))
        .join(Stage, Stage.id == tasks.stage_id)
        .where(Stage.campaign == scope.campaign)
    )
    if scope.experiment is not None:
        query = query.where(tasks.experiment_id == scope.experiment)
    return query


_IS_TASK_OF_ROW = and_(
    TaskRow.experiment_id == QueueJob.experiment_id, TaskRow.task_id == QueueJob.task_id
)
_JOB_BY_ITSELF = literal("job ") + cast(Job.id, Text)
_UNIT_OF_ROW = func.coalesce(QueueJob.unit, Job.unit, _JOB_BY_ITSELF)
_TASKS: BindParameter[Any] = bindparam("tasks", expanding=True)
_SCOPE_OF_UNITS = QueueScope(bindparam("silent_before"))
# Nearly all units have one job: grouping them by name would take most of the time
_UNITS_IN_QUEUE = (
    _in_queue(_SCOPE_OF_UNITS, TaskRow.id, _UNIT_OF_ROW, QueueJob.standing, QueueJob.hold_reason)
    .join(TaskRow, _IS_TASK_OF_ROW)
    .where(TaskRow.id.in_(_TASKS), _UNIT_OF_ROW.is_not(None), QueueJob.standing != _REMOVED)
)
_UNITS_ANNOUNCED = _announced(
    _SCOPE_OF_UNITS, Job.task_id, func.coalesce(Job.unit, _JOB_BY_ITSELF)
).where(Job.task_id.in_(_TASKS))
