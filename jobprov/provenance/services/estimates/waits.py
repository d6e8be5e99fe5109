"""How long jobs of a stage waited in queues and brought their inputs in, as estimates show it.

Both are apart from the wall time of an estimate: a queue depends on who else is there, and inputs
are brought in by the job itself, in its slot.

The waits are read from the records of a bounded sample. No table holds these moments
(docs/decisions/0001); a sample of a few hundred jobs says enough of their distribution. It is taken
in runs of neighbours, since sealed records lie 128 to a frame, and runs are spread over all jobs,
since neighbours wait alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.estimates import (
    ChainWait,
    Hours,
    JobWait,
    StagesLearntFrom,
    WaitSample,
)
from jobprov.provenance.db.queries.estimates import MeasuredAttempt
from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.services.estimates.forecasts import Interval, forecast_sum, hour_of
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessRecords, read_witnesses
from jobprov.provenance.services.statistics.resources import quantile

V = TypeVar("V")
MOST_JOBS = 256
RUNS = 8
_STAGE_IN = frozenset({"stage_in", "stage-in"})
_HOUR = 3600


class _Batch(Struct):
    queued_at: Any = None
    attempt: Any = None


class _Step(Struct):
    role: Any = None
    started_at: Any = None
    ended_at: Any = None


class _Command(Struct):
    steps: list[_Step] | None = None


class _Record(Struct):
    """The few fields that are asked; the rest of the record is passed over."""

    started_at: Any = None
    batch: _Batch | None = None
    command: _Command | None = None


class Wait(NamedTuple):
    """How long one job waited; None where its records do not have it.

    Attributes:
        queue_seconds: from the submission to the first start of the batch job; None for later
            starts, which had already run before.
        stage_in_seconds: in steps that bring inputs in; 0 where the job's steps are known and none
            of them does that.
    """

    queue_seconds: float | None
    stage_in_seconds: float | None


def choose(count: int) -> Iterator[int]:
    """Yield which of `count` jobs in order are read.

    Where there are few, all are read; of many, `RUNS` runs of neighbours, evenly spread.
    """
    if count <= MOST_JOBS:
        yield from range(count)
        return
    length = MOST_JOBS // RUNS
    for run in range(RUNS):
        start = run * (count - length) // (RUNS - 1)
        yield from range(start, start + length)


def read_waits(connection: Connection, store: Store, jobs: Sequence[int]) -> list[Wait]:
    """Return how long these jobs waited, by their keys, in order.

    It takes two statements, and the segments that hold their records.
    """
    witnesses = read_witnesses(connection, store, jobs)
    return [_wait(list(_decoded(witnesses[job]))) for job in jobs]


def _decoded(witnesses: WitnessRecords) -> Iterator[_Record]:
    """Yield the records of the witnesses, in their precedence; unreadable ones are skipped."""
    bodies = witnesses.bodies()
    for name in sorted(bodies, key=witness_rank):
        try:
            yield msgspec.json.decode(bodies[name], type=_Record)
        except msgspec.MsgspecError:
            continue


def _wait(records: Sequence[_Record]) -> Wait:
    steps = _first(record.command.steps for record in records if record.command)
    stage_in = _stage_in(steps) if steps else None
    return Wait(_queue(records), stage_in)


def _queue(records: Sequence[_Record]) -> float | None:
    started = _first(read_time(record.started_at) for record in records)
    batches = [record.batch for record in records if record.batch]
    queued = _first(read_time(batch.queued_at) for batch in batches)
    attempt = _first(batch.attempt for batch in batches)
    if started is None or queued is None or attempt not in (None, 0, 1):
        return None
    # the clocks of two machines: a job may seem to start before it was queued
    return max(0.0, (started - queued).total_seconds())


def _stage_in(steps: Sequence[_Step]) -> float | None:
    spans = [_span(step) for step in steps if step.role in _STAGE_IN]
    known_spans = [span for span in spans if span is not None]
    # one step without times: the sum of the others would be too short
    return sum(known_spans) if len(known_spans) == len(spans) else None


def _first(values: Iterable[V | None]) -> V | None:
    """Return the first value that is known and no empty list; None where there is none."""
    return next((value for value in values if value not in (None, [])), None)


def _span(step: _Step) -> float | None:
    start, end = read_time(step.started_at), read_time(step.ended_at)
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


class StageWaits(NamedTuple):
    """How long the jobs of a stage wait; each is None where no sampled job has it.

    Attributes:
        queue, stage_in: of one job.
        stage_in_hours: of all attempts together.
    """

    queue: JobWait | None
    stage_in: JobWait | None
    stage_in_hours: Hours | None


class SampledWait(NamedTuple):
    """How long one of the sampled attempts waited, and the hour in which it ended."""

    hour: datetime | None
    wait: Wait


def sample_waits(
    connection: Connection, store: Store, tried: Sequence[MeasuredAttempt]
) -> list[SampledWait]:
    """Return what some of these attempts waited, spread over all of them."""
    chosen = [tried[place] for place in choose(len(tried))]
    waits = read_waits(connection, store, [attempt.job for attempt in chosen])
    samples = []
    for attempt, wait in zip(chosen, waits, strict=True):
        samples.append(SampledWait(hour_of(attempt.ended_at), wait))
    return samples


def hours(seconds: Interval) -> Hours:
    """Return an interval of seconds in hours."""
    interval = seconds.times(1 / _HOUR)
    return Hours(interval.expected, interval.low, interval.high)


def add_hours(parts: Sequence[Hours]) -> Hours:
    """Return the sum of intervals, as if all were off in the same direction: the safe side."""
    return Hours(
        expected=sum(part.expected for part in parts),
        low=sum(part.low for part in parts),
        high=sum(part.high for part in parts),
    )


def stage_waits(samples: Sequence[SampledWait], attempts: float) -> StageWaits:
    """Return what so many attempts at a stage wait."""
    queued = [sample.wait.queue_seconds for sample in samples]
    staged_in = [sample.wait.stage_in_seconds for sample in samples]
    if not any(staged_in):
        return StageWaits(_quantiles(queued), None, None)  # no step of any job brings inputs in
    by_hour = []
    for sample in samples:
        if sample.wait.stage_in_seconds is not None:
            by_hour.append((sample.hour, sample.wait.stage_in_seconds))
    sum_of_all = forecast_sum(by_hour, attempts, done=len(by_hour))
    stage_in_hours = hours(sum_of_all) if sum_of_all else None
    return StageWaits(_quantiles(queued), _quantiles(staged_in), stage_in_hours)


def _quantiles(seconds: Sequence[float | None]) -> JobWait | None:
    known = sorted(value for value in seconds if value is not None)
    if not known:
        return None
    return JobWait(
        p10_hours=quantile(known, 0.1) / _HOUR,
        median_hours=quantile(known, 0.5) / _HOUR,
        p90_hours=quantile(known, 0.9) / _HOUR,
        learnt_from=WaitSample(jobs=len(known), read=len(seconds)),
    )


def add_waits(stages: Sequence[JobWait | None]) -> ChainWait | None:
    """Return what a file waits on its way through all stages; None where no stage has a time.

    Stages without one are left out: `learnt_from.stages` is the number of stages with one.
    """
    waits = [wait for wait in stages if wait is not None]
    if not waits:
        return None
    return ChainWait(
        p10_hours=sum(wait.p10_hours for wait in waits),
        median_hours=sum(wait.median_hours for wait in waits),
        p90_hours=sum(wait.p90_hours for wait in waits),
        learnt_from=StagesLearntFrom(len(waits)),
    )
