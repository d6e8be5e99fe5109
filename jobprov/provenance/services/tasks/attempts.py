"""Attempts at a unit: when each was queued, held, began and ended, with its steps.

Their past is read from their records, their present from the queue's last report and from orders.
Queues are not remembered (decision 21): how long an earlier attempt was held is not known, only
when it was queued and when it began.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.tasks.timelines import Stretch, StretchKind, TimelineRow
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.tasks.timelines import PlacedOrder, QueuedAttempt
from jobprov.provenance.records.job_record import JobRecord, Step
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.services.ledger.witnessed_jobs import read_records_left
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.times import utc_text, utc_text_or_none

_FIRST_STARTS = (None, 0, 1)
"""Numbers of a batch job's attempts that had not run before."""


class Moments(NamedTuple):
    """When an attempt was queued, began and ended; None where it is not known.

    Attributes:
        held: since when it is held.
        is_under_way: it waits or runs still.
    """

    queued: datetime | None
    held: datetime | None
    started: datetime | None
    ended: datetime | None
    is_under_way: bool

    @property
    def first(self) -> datetime | None:
        """The earliest of them."""
        return min((moment for moment in self[:4] if moment is not None), default=None)

    @property
    def last(self) -> datetime | None:
        """The latest of them."""
        return max((moment for moment in self[:4] if moment is not None), default=None)


class TimelineAttempt(NamedTuple):
    """An attempt with its moments, and its row as far as it does not depend on the others."""

    moments: Moments
    row: TimelineRow


def recorded_attempts(
    connection: Connection,
    store: Store,
    keys: Sequence[int],
    queued: Iterable[QueuedAttempt],
    orders: Iterable[PlacedOrder],
) -> list[TimelineAttempt]:
    """Return the attempts that are recorded."""
    summaries = summaries_of(connection, keys)
    records = read_records_left(connection, store, keys)
    queued_by_job = {attempt.job_id: attempt for attempt in queued}
    placed_at = {order.job_id: order.placed_at for order in orders}
    ended: dict[str | None, datetime] = {}
    attempts = []
    for key in sorted(keys, key=lambda key: summaries[key].started_at or ""):
        summary, record = summaries[key], records.get(key)
        came_back = ended.get(summary.batch_id) if summary.batch_id else None
        moments = _moments(
            summary,
            record,
            placed_at=placed_at.get(summary.job_id),
            came_back=came_back,
            in_queue=queued_by_job.get(summary.job_id),
        )
        if moments.ended is not None:
            ended[summary.batch_id] = moments.ended
        attempts.append(_recorded_attempt(summary, record, moments))
    return attempts


def _moments(
    summary: JobSummary,
    record: JobRecord | None,
    *,
    placed_at: datetime | None,
    came_back: datetime | None,
    in_queue: QueuedAttempt | None,
) -> Moments:
    """Return when an attempt was queued, began and ended.

    Args:
        summary: the attempt.
        record: its record; None where it was erased.
        placed_at: when its order was handed to the batch system.
        came_back: when the attempt before of the same batch job ended.
        in_queue: what the queue has of it.
    """
    started, ended = read_time(summary.started_at), read_time(summary.ended_at)
    held = None
    if in_queue is not None and in_queue.state == "held":
        held = in_queue.since or in_queue.asked_at
    return Moments(
        queued=_queued_at(record, placed_at, came_back),
        held=held,
        started=started,
        ended=ended,
        is_under_way=_state_of(summary) == "running",
    )


def _queued_at(
    record: JobRecord | None, placed_at: datetime | None, came_back: datetime | None
) -> datetime | None:
    """Return since when an attempt waited.

    The record of a later attempt of a batch job has when the job was first queued, and it ran in
    between: it waited since the attempt before ended.
    """
    if came_back is not None:
        return came_back
    batch = None if record is None else record.batch
    if batch is not None and batch.attempt in _FIRST_STARTS and batch.queued_at is not None:
        return batch.queued_at
    return placed_at


def summed_up_attempt(summary: JobSummary) -> TimelineAttempt:
    """Return what the summary of an attempt has: when it ran."""
    moments = _moments(summary, None, placed_at=None, came_back=None, in_queue=None)
    return _recorded_attempt(summary, None, moments)


def _recorded_attempt(
    summary: JobSummary, record: JobRecord | None, moments: Moments
) -> TimelineAttempt:
    state = _state_of(summary)
    stretches = _waits(moments)
    if moments.started is not None:
        run = _stretch("run", state, moments.started, moments.ended)
        stretches += [run, *_steps(record, state)]
    row = TimelineRow(
        job_id=summary.job_id,
        url=summary.url,
        unit=summary.task.unit,
        batch_id=summary.batch_id,
        host=summary.host.hostname,
        site=summary.host.site,
        state=state,
        reason=summary.exit.message or summary.exit.error_class,
        stretches=stretches,
    )
    return TimelineAttempt(moments, row)


def _state_of(summary: JobSummary) -> str:
    """Return the state of a job; one that runs as far as anybody knows may be silent."""
    heard = read_time(summary.heard_at)
    if summary.state != "running" or heard is None:
        return summary.state
    return "silent" if datetime.now(UTC) - heard > SILENT_AFTER else "running"


def _waits(moments: Moments) -> list[Stretch]:
    """Return for how long an attempt waited before it began."""
    begun = moments.started or moments.ended
    waits = []
    if moments.queued is not None and (begun is None or moments.queued < begun):
        waits.append(_stretch("idle", "idle", moments.queued, moments.held or begun))
    if moments.held is not None:
        waits.append(_stretch("held", "held", moments.held, None))
    return waits


def _steps(record: JobRecord | None, state: str) -> list[Stretch]:
    """Return the steps whose start is recorded."""
    command = None if record is None else record.command
    steps = []
    for step in (command.steps if command is not None else None) or ():
        if step.started_at is not None:
            step_state = _step_state(step, state)
            steps.append(
                _stretch("step", step_state, step.started_at, step.ended_at, name=step.name)
            )
    return steps


def _step_state(step: Step, job_state: str) -> str:
    if step.signal is not None:
        return "killed"
    if step.exit_code is not None:
        return "succeeded" if step.exit_code == 0 else "failed"
    if job_state == "running" and step.ended_at is None:
        return "running"
    return "unknown"


def _stretch(
    kind: StretchKind,
    state: str,
    start: datetime,
    end: datetime | None,
    *,
    name: str | None = None,
) -> Stretch:
    """Return a stretch; it still goes on, or nobody knows when it ended, where `end` is None."""
    # the clocks of two machines: a step may seem to end before it began
    seconds = None if end is None else max(0.0, (end - start).total_seconds())
    return Stretch(kind, name, state, utc_text(start), utc_text_or_none(end), seconds)


def awaited_attempts(
    queued: Iterable[QueuedAttempt], orders: Iterable[PlacedOrder], recorded: set[str | None]
) -> list[TimelineAttempt]:
    """Return the attempts that wait or run and are not recorded yet."""
    attempts = []
    seen = set(recorded)
    placed = {order.job_id: order.placed_at for order in orders}
    for attempt in queued:
        if attempt.job_id not in seen and attempt.state != "removed":
            attempts.append(_awaited(attempt, placed.get(attempt.job_id)))
            seen.add(attempt.job_id)
    for order in orders:
        if order.job_id not in seen and not order.is_over:
            moments = Moments(order.placed_at, None, None, None, is_under_way=True)
            row = TimelineRow(
                job_id=None, batch_id=order.batch_id, state="idle", stretches=_waits(moments)
            )
            attempts.append(TimelineAttempt(moments, row))
    return attempts


def _awaited(attempt: QueuedAttempt, placed_at: datetime | None) -> TimelineAttempt:
    since = attempt.since or attempt.asked_at
    if attempt.state == "running":
        moments = Moments(placed_at, None, since, None, is_under_way=True)
        stretches = [*_waits(moments), _stretch("run", "running", since, None)]
    elif attempt.state == "held":
        moments = Moments(placed_at, since, None, None, is_under_way=True)
        stretches = _waits(moments)
    else:
        moments = Moments(placed_at or since, None, None, None, is_under_way=True)
        stretches = _waits(moments)
    row = TimelineRow(
        batch_id=attempt.batch_id,
        host=attempt.host,
        site=attempt.site,
        state=attempt.state,
        reason=attempt.hold_reason,
        stretches=stretches,
    )
    return TimelineAttempt(moments, row)


def with_gaps(attempts: Sequence[TimelineAttempt]) -> list[TimelineRow]:
    """Return the rows, each with the time in which nothing happened before it."""
    rows = []
    last: datetime | None = None
    for moments, row in attempts:
        gap = None
        if last is not None and moments.first is not None and moments.first > last:
            gap = (moments.first - last).total_seconds()
        rows.append(msgspec.structs.replace(row, gap_seconds=gap))
        if moments.last is not None:
            last = moments.last if last is None else max(last, moments.last)
    return rows
