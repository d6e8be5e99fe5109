"""When a unit waited and ran, attempt by attempt; and when a task ran, by its places or jobs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks.timelines import Timeline, TimelineRow
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.tasks.running import is_any_running, ran_jobs
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.timelines import (
    Span,
    jobs_by_place,
    longest_jobs,
    newest_attempts,
    placed_orders_of_unit,
    queued_attempts,
    span_of,
)
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.tasks.attempts import (
    TimelineAttempt,
    awaited_attempts,
    recorded_attempts,
    summed_up_attempt,
    with_gaps,
)
from jobprov.provenance.services.tasks.running import named, ran_at_once
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.times import utc_text, utc_text_or_none

MOST_ATTEMPTS = 50
MOST_COUNTED = 1000
"""Attempts at a unit that are counted."""
MOST_JOBS = 40
"""A task of no more jobs shows each; of a larger one those that took longest, where it is asked."""
MOST_PLACES = 30
STEP_COUNT = 60
"""Steps of a folded task, about."""


def show_timeline(
    connection: Connection,
    store: Store,
    task: FoundTask,
    *,
    unit: str | None = None,
    by: str | None = None,
    seconds: float = SECONDS,
) -> Timeline:
    """Return when a unit, or all of a task, waited and ran.

    Args:
        connection: where from.
        store: the archive, where records may be.
        task: which one.
        unit: whose attempts; the whole task by default.
        by: what the rows of a task are: `job`, `site` or `host`; by default jobs where all of them
            fit, else sites.
        seconds: how long reading a task may take.

    Raises:
        BadInputError: both `unit` and `by` are given.
        LimitError: reading took more than `seconds`.
        NotFoundError: no job, order or queue names the unit.
    """
    if unit is None:
        with time_limit(connection, "ask for one of its units", seconds=seconds):
            return _task_timeline(connection, task, by)
    if by is not None:
        message = "the rows of a unit are its attempts: leave this out, or the unit"
        raise BadInputError(f"by: {message}.", {"by": [message]})
    return _unit_timeline(connection, store, task, unit)


def _unit_timeline(connection: Connection, store: Store, task: FoundTask, unit: str) -> Timeline:
    now = datetime.now(UTC)
    counted = newest_attempts(connection, task.key, unit, limit=MOST_COUNTED)
    keys = counted[:MOST_ATTEMPTS]
    queued = queued_attempts(connection, task, unit, limit=MOST_ATTEMPTS)
    orders = placed_orders_of_unit(connection, task.key, unit, limit=MOST_ATTEMPTS)
    if not keys and not queued and not orders:
        raise NotFoundError(
            f"No job, order or queue names unit {unit} of task {task.task_id}: not submitted, or "
            "misspelt."
        )
    attempts = recorded_attempts(connection, store, keys, queued, orders)
    recorded = {attempt.row.job_id for attempt in attempts}
    attempts += awaited_attempts(queued, orders, recorded)
    attempts.sort(key=lambda attempt: attempt.moments.first or now)
    timeline = _empty(task, unit, "attempt", len(counted))
    return msgspec.structs.replace(
        timeline,
        **_ends(attempts, now),
        rows=with_gaps(attempts),
        left_out=len(counted) - len(keys),
    )


def _empty(task: FoundTask, unit: str | None, by: str, jobs: int) -> Timeline:
    return Timeline(
        task_id=task.task_id,
        experiment=task.experiment,
        campaign=task.campaign or None,
        stage=task.stage or None,
        unit=unit,
        by=by,
        jobs=jobs,
        start=None,
        end=None,
        step_seconds=None,
        rows=[],
        left_out=0,
    )


def _ends(attempts: Sequence[TimelineAttempt], now: datetime) -> dict[str, str | None]:
    """Return when the first attempt was heard of, and when the last ended: now while any runs."""
    all_moments = [attempt.moments for attempt in attempts]
    firsts = [moments.first for moments in all_moments if moments.first is not None]
    lasts = [moments.last for moments in all_moments if moments.last is not None]
    if any(moments.is_under_way for moments in all_moments):
        lasts.append(now)
    start, end = min(firsts, default=None), max(lasts, default=None)
    return {"start": utc_text_or_none(start), "end": utc_text_or_none(end)}


def _task_timeline(connection: Connection, task: FoundTask, by: str | None) -> Timeline:
    span = span_of(connection, task.key)
    if by is None:
        by = "job" if span.jobs <= MOST_JOBS else "site"
    timeline = _empty(task, None, by, span.jobs)
    if by == "job":
        return _by_job(connection, task, timeline)
    return _by_place(connection, task, timeline, span)


def _by_job(connection: Connection, task: FoundTask, timeline: Timeline) -> Timeline:
    now = datetime.now(UTC)
    keys = longest_jobs(connection, task.key, limit=MOST_JOBS)
    summaries = summaries_of(connection, keys)
    in_order = sorted(keys, key=lambda key: summaries[key].started_at or "")
    attempts = [summed_up_attempt(summaries[key]) for key in in_order]
    return msgspec.structs.replace(
        timeline,
        **_ends(attempts, now),
        rows=[attempt.row for attempt in attempts],
        left_out=timeline.jobs - len(attempts),
    )


def _by_place(connection: Connection, task: FoundTask, timeline: Timeline, span: Span) -> Timeline:
    """Return how many jobs ran at once at each site or host of a task."""
    now = datetime.now(UTC)
    if span.start is None:
        return timeline
    jobs, silent_before = jobs_by_place(task.key, timeline.by), now - SILENT_AFTER
    moments = [moment for moment in (span.newest_start, span.end) if moment is not None]
    if is_any_running(connection, jobs, silent_before=silent_before):
        moments.append(now)
    window = _window_of(span.start, max(moments))
    ran = ran_jobs(connection, jobs, window, silent_before=silent_before)
    places = named(ran_at_once(ran, window, now))
    shown = sorted(places, key=lambda name: (-places[name].jobs, name))
    rows = []
    for name in shown[:MOST_PLACES]:
        place = places[name]
        rows.append(TimelineRow(name=name or None, jobs=place.jobs, running=place.amounts))
    return msgspec.structs.replace(
        timeline,
        start=utc_text(window.start),
        end=utc_text(window.end),
        step_seconds=window.step_seconds,
        rows=rows,
        left_out=max(0, len(shown) - MOST_PLACES),
    )


def _window_of(start: datetime, end: datetime) -> Window:
    """Return a window of about `STEP_COUNT` steps that begins with a second."""
    first = start.replace(microsecond=0)
    length = max(timedelta(seconds=1), (end - first) // STEP_COUNT)
    seconds = -(-length // timedelta(seconds=1))
    step = timedelta(seconds=seconds)
    # one past the end: what ended at the very end ended in a step
    count = (end - first) // step + 1
    return Window(first, first + count * step, step)
