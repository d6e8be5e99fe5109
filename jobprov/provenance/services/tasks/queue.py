"""What runs and waits: of a task, of a campaign, of an experiment, or all."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.answers.tasks.queue import (
    HeldReason,
    Progress,
    Queue,
    QueueCounts,
    QueueEntry,
    QueueSource,
)
from jobprov.provenance.art.event_lines import join_spans
from jobprov.provenance.db.queries.tasks.queue import (
    STANDINGS,
    LogProgress,
    QueueRow,
    QueueScope,
    ReportRow,
    announced_jobs,
    announcements,
    count_announced,
    count_announced_before,
    count_queued,
    hold_reasons,
    log_progress,
    queued_jobs,
    reports,
)
from jobprov.provenance.db.queries.tasks.queue_reports import UsualTimes
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.paging import bad_cursor, is_key, next_cursor
from jobprov.provenance.services.tasks.queue_reports import QUIET, SLOW_FACTOR, is_slow
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.times import exact_utc_text, exact_utc_text_or_none, moment_after
from jobprov.provenance.triage.causes import pattern_of

FRESH = timedelta(minutes=15)
MOST_LISTED = 1000
_MOST_REASONS = 10
_MACHINE = re.compile(r"^Error from \S+@\S+: |\S+@[\w.-]+|\b[\w-]+(?:\.[\w-]+){2,}")
"""A slot or a host, which the same sentence names for each job another."""


class _Position(NamedTuple):
    """Where a list of a queue goes on.

    Attributes:
        queued: behind this standing and key; None where all jobs of queues were listed.
        announced: behind this job, of those that only hooks announced.
    """

    queued: tuple[int, int] | None = (-1, 0)
    announced: int = 0


class _Step(msgspec.Struct):
    name: str | None = None


class _Command(msgspec.Struct):
    steps: list[_Step] = []


class _Announcement(msgspec.Struct):
    """The program that runs, as a hook announced it."""

    command: _Command = msgspec.field(default_factory=_Command)

    @property
    def step(self) -> str | None:
        """The name of the newest step."""
        return self.command.steps[-1].name if self.command.steps else None


class _Pace(NamedTuple):
    """How long such jobs usually take, and what is wrong with one."""

    usual_seconds: float | None
    is_slow: bool
    is_stuck: bool


class _Known(NamedTuple):
    """What is known of jobs besides their rows.

    Attributes:
        logs, steps: by the keys of their records.
        usual_times: of their stages.
    """

    now: datetime
    logs: Mapping[int, Sequence[LogProgress]]
    steps: Mapping[int, str | None]
    usual_times: UsualTimes


def task_queue(
    connection: Connection, task: FoundTask, *, limit: int = 100, cursor: str | None = None
) -> Queue:
    """Return what runs and waits of a task.

    Raises:
        BadInputError: the limit or the cursor is not valid.
    """
    scope = QueueScope(_silent_before(), task.experiment_key, task_id=task.task_id, task=task.key)
    queue = _queue(connection, scope, limit, cursor)
    return msgspec.structs.replace(
        queue,
        task_id=task.task_id,
        campaign=task.campaign or None,
        experiment=task.experiment,
    )


def whole_queue(
    connection: Connection,
    *,
    experiment: str | None = None,
    campaign: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Queue:
    """Return what runs and waits of a campaign, of an experiment, or of all.

    Raises:
        NotFoundError: there is no such experiment.
        BadInputError: the limit or the cursor is not valid.
    """
    key = None
    if experiment is not None:
        key = find_experiment(connection, experiment)
    queue = _queue(connection, QueueScope(_silent_before(), key, campaign=campaign), limit, cursor)
    return msgspec.structs.replace(queue, experiment=experiment, campaign=campaign)


def _silent_before() -> datetime:
    return datetime.now(UTC) - SILENT_AFTER


def _queue(connection: Connection, scope: QueueScope, limit: int, cursor: str | None) -> Queue:
    if not 0 <= limit <= MOST_LISTED:
        problem = f"between 0 and {MOST_LISTED}"
        raise BadInputError(f"limit: {problem}.", {"limit": [problem]})
    now = datetime.now(UTC)
    usual_times = UsualTimes(connection)
    counts = _counts(connection, scope, usual_times, now)
    sources = reports(connection, scope.experiment)
    # One more than asked for shows whether there is a next page
    rows = _rows(connection, scope, limit + 1, cursor) if limit else []
    shown = rows[:limit]
    sentences: Mapping[str, int] = {}
    if counts.held:
        sentences = hold_reasons(connection, scope)
    return Queue(
        task_id=None,
        campaign=None,
        experiment=None,
        counts=counts,
        sources=[_source(report, now) for report in sources],
        warning=_warning(sources, now),
        jobs=_entries(connection, shown, usual_times, now),
        next=next_cursor(rows, limit, _cursor),
        held_reasons=_held_reasons(sentences),
    )


def _held_reasons(jobs_by_sentence: Mapping[str, int]) -> list[HeldReason]:
    """Return the reasons, the most frequent first; sentences that differ in names alone are one."""
    jobs: Counter[str] = Counter()
    sentences: dict[str, list[str]] = {}
    for sentence, count in jobs_by_sentence.items():
        pattern = pattern_of(_MACHINE.sub("…", sentence)).removeprefix("…")
        jobs[pattern] += count
        sentences.setdefault(pattern, []).append(sentence)
    reasons = []
    for pattern, count in jobs.most_common(_MOST_REASONS):
        [first, *others] = sentences[pattern]
        reasons.append(HeldReason(pattern if others else first, count))
    return reasons


def _counts(
    connection: Connection, scope: QueueScope, usual_times: UsualTimes, now: datetime
) -> QueueCounts:
    numbers = {"idle": 0, "held": 0, "running": 0, "slow": 0, "stuck": 0}
    for place, count in count_queued(connection, scope).items():
        standing = STANDINGS[place]
        if standing.state == "removed":
            continue
        numbers[standing.state] += count
        if standing.is_slow:
            numbers["slow"] += count
        if standing.is_stuck:
            numbers["stuck"] += count
    # Jobs in a queue were judged when it was reported. No queue reports these, so they are judged
    # now, by the rules of `_pace`
    announced = 0
    slow_before: dict[int, datetime] = {}
    for of_stage in count_announced(connection, scope, quiet_since=now - QUIET):
        announced += of_stage.running
        numbers["stuck"] += of_stage.stuck
        if of_stage.stage is None:
            continue
        usual = usual_times.seconds(of_stage.stage)
        if usual is None:
            continue
        began_before = moment_after(now, -SLOW_FACTOR * usual)
        if began_before is not None:
            slow_before[of_stage.stage] = began_before
    numbers["slow"] += count_announced_before(connection, scope, slow_before)
    numbers["running"] += announced
    return QueueCounts(**numbers, announced=announced)


def _source(report: ReportRow, now: datetime) -> QueueSource:
    return QueueSource(
        schedd=report.schedd,
        as_of=exact_utc_text(report.asked_at),
        is_old=now - report.asked_at > FRESH,
        left_out=report.left_out,
    )


def _warning(sources: Sequence[ReportRow], now: datetime) -> str | None:
    """Return why the counts may be wrong; None where they are fresh and whole."""
    if not sources:
        return (
            "No queue is reported, so waiting jobs are not seen: run `jobprov witness` or "
            "`jobprov agent` where jobs are submitted."
        )
    old = [report.schedd for report in sources if now - report.asked_at > FRESH]
    if old:
        return (
            f"Not reported for more than 15 minutes: {', '.join(old)}. Is `jobprov witness` or "
            "`jobprov agent` still running there?"
        )
    left_out = sum(report.left_out for report in sources)
    if left_out:
        jobs = counted(left_out, "job")
        return f"{jobs} not counted, since the queue is longer than a report may be."
    return None


def _rows(
    connection: Connection, scope: QueueScope, limit: int, cursor: str | None
) -> list[QueueRow]:
    """Return the rows after a cursor: jobs of queues first, then those that hooks announced."""
    rows: list[QueueRow] = []
    position = _read_cursor(cursor)
    if position.queued is not None:
        rows = queued_jobs(connection, scope, after=position.queued, limit=limit)
    left = limit - len(rows)
    if left:
        rows += announced_jobs(connection, scope, after=position.announced, limit=left)
    return rows


def _cursor(row: QueueRow) -> str:
    if row.is_announced:
        return f"announced.{row.key}"
    return f"{row.standing}.{row.key}"


def _read_cursor(cursor: str | None) -> _Position:
    """Return where the list goes on.

    Raises:
        BadInputError: no list has this cursor.
    """
    if cursor is None:
        return _Position()
    where, _, key = cursor.partition(".")
    if is_key(key):
        if where == "announced":
            return _Position(None, int(key))
        if len(where) == 1 and is_key(where):
            return _Position((int(where), int(key)))
    raise bad_cursor()


def _entries(
    connection: Connection, rows: Sequence[QueueRow], usual_times: UsualTimes, now: datetime
) -> list[QueueEntry]:
    jobs = [row.job for row in rows if row.job is not None]
    known = _Known(
        now,
        logs=log_progress(connection, jobs),
        steps=_steps(announcements(connection, jobs)),
        usual_times=usual_times,
    )
    return [_entry(row, known) for row in rows]


def _steps(bodies: Mapping[int, bytes]) -> dict[int, str | None]:
    steps: dict[int, str | None] = {}
    for job, body in bodies.items():
        try:
            steps[job] = msgspec.json.decode(body, type=_Announcement).step
        except msgspec.DecodeError:
            steps[job] = None
    return steps


def _pace(row: QueueRow, logs: Sequence[LogProgress], known: _Known) -> _Pace:
    """Return how a job gets on: as its queue reported, or else judged by what its hook sent."""
    if not row.is_announced:
        standing = STANDINGS[row.standing]
        return _Pace(row.usual_seconds, standing.is_slow, standing.is_stuck)
    usual = None
    if row.stage is not None:
        usual = known.usual_times.seconds(row.stage)
    # Nobody measures its CPU, so only its log can show that it hangs
    is_stuck = bool(logs) and known.now - logs[-1].received_at >= QUIET
    return _Pace(usual, is_slow(row.started_at, usual, known.now), is_stuck)


def _entry(row: QueueRow, known: _Known) -> QueueEntry:
    """Return a job of the queue, or one that its hook announced and that no queue names."""
    state = STANDINGS[row.standing].state
    since, step = row.since, None
    logs: Sequence[LogProgress] = ()
    if state == "running":
        since = row.started_at
        if row.job is not None:
            logs = known.logs.get(row.job, ())
            step = known.steps.get(row.job)
    pace = _pace(row, logs, known)
    seconds = None
    if since is not None:
        seconds = max(0.0, (known.now - since).total_seconds())
    return QueueEntry(
        batch_id=row.batch_id,
        task_id=row.task_id,
        experiment=row.experiment,
        unit=row.unit,
        state=state,
        source="announced" if row.is_announced else "queue",
        is_slow=pace.is_slow,
        is_stuck=pace.is_stuck,
        job_id=row.job_id,
        url=job_page(row.job_id) if row.job_id else None,
        step=step,
        host=row.host,
        site=row.site,
        since=exact_utc_text_or_none(since),
        seconds=seconds,
        usual_seconds=pace.usual_seconds,
        hold_reason=row.hold_reason,
        memory_bytes=row.memory_bytes,
        requested_memory_bytes=row.requested_memory_bytes,
        cpu_seconds=row.cpu_seconds,
        progress=_progress(logs),
    )


def _progress(logs: Iterable[LogProgress]) -> Progress | None:
    """Return the progress by the newest log that counts events."""
    newest: Progress | None = None
    for log in logs:
        span = join_spans(log.spans)
        if span is not None:
            newest = Progress(
                span.last, span.events_per_second, log.name, exact_utc_text(log.received_at)
            )
    return newest
