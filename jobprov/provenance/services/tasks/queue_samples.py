"""Keeps how many jobs queues had over time: a sample each five minutes, thinned with age.

A report of a queue replaces the one before. What is kept of it are three counts by stage, once for
each five minutes in which a report came. After two days the samples of an hour become one, their
mean; after four weeks those of a day. So a queue that is reported all the time has some 1,200
samples and one more each day, however often it is reported.

See docs/decisions/0046-queues-over-time.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.changes.tasks import add_queue_sample, remove_queue_samples
from jobprov.provenance.db.queries.tasks.queue import STANDINGS
from jobprov.provenance.db.queries.tasks.queue_samples import (
    FoundSample,
    QueueNumbers,
    SampleCounts,
    SampledQueue,
    samples_to_thin,
    stages_by_sample,
)

SAMPLE = timedelta(minutes=5)
"""Of the reports of so long the first one is kept."""
MOST_STAGES = 100
"""Stages that a sample counts apart; jobs of smaller stages count as jobs without a stage."""
_MOST_THINNED = 500
"""Samples that one report thins: a second of work at most, after months without a report."""


class _Age(NamedTuple):
    """What becomes of samples that are so old.

    Attributes:
        step: for how long they stand.
        after: their age.
        becomes: the time of which they become one.
    """

    step: timedelta
    after: timedelta
    becomes: timedelta


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_AGES = (
    _Age(timedelta(), timedelta(days=2), _HOUR),
    _Age(_HOUR, timedelta(weeks=4), _DAY),
)


def count_queue(jobs: Iterable[tuple[int, int | None]]) -> SampleCounts:
    """Return how many jobs wait and run.

    Args:
        jobs: of each its place in `STANDINGS`, and the key of its stage where it is known.
    """
    total: Counter[str] = Counter()
    by_stage: dict[int, Counter[str]] = {}
    for standing, stage in jobs:
        state = STANDINGS[standing].state
        total[state] += 1
        if stage is not None:
            by_stage.setdefault(stage, Counter())[state] += 1
    largest = sorted(by_stage, key=lambda stage: (-by_stage[stage].total(), stage))[:MOST_STAGES]
    return SampleCounts(_numbers(total), {stage: _numbers(by_stage[stage]) for stage in largest})


def _numbers(states: Mapping[str, int]) -> QueueNumbers:
    return QueueNumbers(
        float(states.get("idle", 0)), float(states.get("held", 0)), float(states.get("running", 0))
    )


def keep_sample(
    connection: Connection,
    queue: SampledQueue,
    asked_at: datetime,
    counted: SampleCounts,
    *,
    now: datetime,
) -> None:
    """Keep the counts of a report, one in five minutes at most; thin out old samples."""
    start = _floor(asked_at, SAMPLE)
    if not add_queue_sample(connection, queue, start, counted):
        return
    for age in _AGES:
        _thin(connection, queue, age, now)


def _thin(connection: Connection, queue: SampledQueue, age: _Age, now: datetime) -> None:
    """Make one sample of those of each hour, or day, that are old."""
    before = _floor(now - age.after, age.becomes)
    step_seconds = int(age.step.total_seconds())
    samples = samples_to_thin(connection, queue, step_seconds, before=before, most=_MOST_THINNED)
    by_time: dict[datetime, list[FoundSample]] = {}
    for sample in samples:
        by_time.setdefault(_floor(sample.start, age.becomes), []).append(sample)
    if len(samples) == _MOST_THINNED and len(by_time) > 1:
        # The last of them may not be all of its hour; the next report goes on with it
        by_time.popitem()
    by_sample = stages_by_sample(connection, [sample.key for sample in samples])
    for start, joined in by_time.items():
        mean = _mean(joined, by_sample)
        remove_queue_samples(connection, [sample.key for sample in joined])
        length = int(age.becomes.total_seconds())
        add_queue_sample(connection, queue, start, mean, step_seconds=length)


def _mean(
    samples: list[FoundSample], by_sample: Mapping[int, Mapping[int, QueueNumbers]]
) -> SampleCounts:
    """Return what samples have on average; a stage that one of them does not have counts as 0."""
    total = QueueNumbers()
    by_stage: dict[int, QueueNumbers] = {}
    for sample in samples:
        total = total.plus(sample.counts)
        for stage, numbers in by_sample.get(sample.key, {}).items():
            by_stage[stage] = by_stage.get(stage, QueueNumbers()).plus(numbers)
    share = 1 / len(samples)
    means = {stage: numbers.times(share) for stage, numbers in by_stage.items()}
    return SampleCounts(total.times(share), means)


def _floor(moment: datetime, length: timedelta) -> datetime:
    """Return the start of the step that a moment is in; steps of this length begin in 1970."""
    seconds = length.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
