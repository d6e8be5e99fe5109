"""How long jobs waited in queues and brought their inputs in.

It is read from the records of a bounded sample.

No table holds these moments (docs/decisions/0001); a sample of a few hundred jobs says enough of
their distribution. It is taken in runs of neighbours, since sealed records lie 128 to a frame, and
runs are spread over all jobs, since neighbours wait alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records

MOST_JOBS = 256
RUNS = 8
_STAGE_IN = frozenset({"stage_in", "stage-in"})


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
    """How long one job waited; None where its records do not say it.

    Attributes:
        queue_seconds: from the submission to the first start of the batch job; later starts had run
            before, and say nothing.
        stage_in_seconds: in steps that bring inputs in; 0 where the job tells its steps and none
            does that.
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
    # Nobody asks when they came
    held = {job: HeldJob(job, datetime.min, {}, {}) for job in jobs}  # noqa: DTZ901
    fill_records(connection, store, held)
    return [_wait(list(_decoded(held[job]))) for job in jobs]


def _decoded(held: HeldJob) -> Iterator[_Record]:
    """Yield what the witnesses say, in their precedence.

    What is no record in its form is passed over.
    """
    bodies = {**held.provisional, **{name: final.body for name, final in held.finals.items()}}
    for name in sorted(bodies, key=witness_rank):
        try:
            yield msgspec.json.decode(bodies[name], type=_Record)
        except msgspec.MsgspecError:
            continue


def _wait(records: Sequence[_Record]) -> Wait:
    started = _first(read_time(record.started_at) for record in records)
    batches = [record.batch for record in records if record.batch]
    queued = _first(read_time(batch.queued_at) for batch in batches)
    attempt = _first(batch.attempt for batch in batches)
    queue = None
    if started and queued and attempt in (None, 0, 1):
        queue = max(0.0, (started - queued).total_seconds())  # the clocks of two machines
    steps = _first(record.command.steps for record in records if record.command)
    return Wait(queue, _stage_in(steps) if steps else None)


def _stage_in(steps: Sequence[_Step]) -> float | None:
    spans = [_span(step) for step in steps if step.role in _STAGE_IN]
    known = [span for span in spans if span is not None]
    return sum(known) if len(known) == len(spans) else None


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value not in (None, [])), None)


def _span(step: _Step) -> float | None:
    start, end = read_time(step.started_at), read_time(step.ended_at)
    return (end - start).total_seconds() if start and end and end >= start else None
