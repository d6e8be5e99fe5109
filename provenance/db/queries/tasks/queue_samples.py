"""How many jobs queues had over time, from the samples that are kept of their reports."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Experiment, QueueSample, QueueSampleStage, Stage
from jobprov.provenance.db.writer.keys import chunks


class QueueNumbers(NamedTuple):
    """How many jobs of a queue wait, are held and run; of several reports on average."""

    idle: float = 0.0
    held: float = 0.0
    running: float = 0.0

    def plus(self, other: "QueueNumbers") -> "QueueNumbers":
        """Return the sums of both."""
        return QueueNumbers(
            self.idle + other.idle, self.held + other.held, self.running + other.running
        )

    def times(self, factor: float) -> "QueueNumbers":
        """Return so many times the numbers."""
        return QueueNumbers(self.idle * factor, self.held * factor, self.running * factor)

    def without(self, other: "QueueNumbers") -> "QueueNumbers":
        """Return what is left without others, which are part of these."""
        return QueueNumbers(
            max(0.0, self.idle - other.idle),
            max(0.0, self.held - other.held),
            max(0.0, self.running - other.running),
        )


class SampleCounts(NamedTuple):
    """How many jobs a sample has: of all stages and of none, and by the key of a stage."""

    counts: QueueNumbers
    by_stage: Mapping[int, QueueNumbers]


class SampledQueue(NamedTuple):
    """What an experiment, of this key, has in a schedd."""

    experiment: int
    schedd: str


class FoundSample(NamedTuple):
    """What a queue had at one time.

    Attributes:
        step_seconds: for how long it stands; 0 of a single report.
        counts: of all stages, and of none.
    """

    key: int
    queue: SampledQueue
    start: datetime
    step_seconds: int
    counts: QueueNumbers


class StageNumbers(NamedTuple):
    """What a sample has of one stage.

    Attributes:
        sample: its key.
        stage: the name of the stage.
        stage_key: its key; stages of two campaigns share a name.
    """

    sample: int
    stage: str
    stage_key: int
    counts: QueueNumbers


_COLUMNS = (
    QueueSample.id,
    QueueSample.experiment_id,
    QueueSample.schedd,
    QueueSample.start,
    QueueSample.step_seconds,
    QueueSample.idle,
    QueueSample.held,
    QueueSample.running,
)
_OF_STAGES = (
    QueueSampleStage.sample_id,
    Stage.name,
    Stage.id,
    QueueSampleStage.idle,
    QueueSampleStage.held,
    QueueSampleStage.running,
)


def queue_samples(
    connection: Connection, start: datetime, end: datetime, *, experiment: str | None = None
) -> list[FoundSample]:
    """Return the samples of a time, of an experiment's queues or of all, the oldest first."""
    query = select(*_COLUMNS).where(QueueSample.start >= start, QueueSample.start < end)
    if experiment is not None:
        query = query.join(Experiment, Experiment.id == QueueSample.experiment_id)
        query = query.where(Experiment.name == experiment)
    rows = connection.execute(query.order_by(QueueSample.start))
    return [_sample(*row) for row in rows]


def stages_of_samples(
    connection: Connection,
    start: datetime,
    end: datetime,
    *,
    experiment: str | None = None,
    campaign: str | None = None,
    stage: str | None = None,
) -> dict[int, list[StageNumbers]]:
    """Return what the samples of a time have of stages, by the key of the sample."""
    query = (
        select(*_OF_STAGES)
        .join(QueueSample, QueueSample.id == QueueSampleStage.sample_id)
        .join(Stage, Stage.id == QueueSampleStage.stage_id)
        .where(QueueSample.start >= start, QueueSample.start < end)
    )
    if experiment is not None:
        query = query.join(Experiment, Experiment.id == QueueSample.experiment_id)
        query = query.where(Experiment.name == experiment)
    if campaign is not None:
        query = query.where(Stage.campaign == campaign)
    if stage is not None:
        query = query.where(Stage.name == stage)
    found: defaultdict[int, list[StageNumbers]] = defaultdict(list)
    for sample, name, key, *numbers in connection.execute(query):
        found[sample].append(StageNumbers(sample, name, key, QueueNumbers(*numbers)))
    return found


def samples_to_thin(
    connection: Connection,
    queue: SampledQueue,
    step_seconds: int,
    *,
    before: datetime,
    most: int,
) -> list[FoundSample]:
    """Return the oldest samples of a queue that stand for so long, up to a moment."""
    query = (
        select(*_COLUMNS)
        .where(
            QueueSample.experiment_id == queue.experiment,
            QueueSample.schedd == queue.schedd,
            QueueSample.step_seconds == step_seconds,
            QueueSample.start < before,
        )
        .order_by(QueueSample.start)
        .limit(most)
    )
    return [_sample(*row) for row in connection.execute(query)]


def stages_by_sample(
    connection: Connection, samples: Sequence[int]
) -> dict[int, dict[int, QueueNumbers]]:
    """Return what samples have of each stage, by the keys of both."""
    found: dict[int, dict[int, QueueNumbers]] = {}
    columns = (
        QueueSampleStage.sample_id,
        QueueSampleStage.stage_id,
        QueueSampleStage.idle,
        QueueSampleStage.held,
        QueueSampleStage.running,
    )
    for part in chunks(samples):
        query = select(*columns).where(QueueSampleStage.sample_id.in_(part))
        for sample, stage, *numbers in connection.execute(query):
            found.setdefault(sample, {})[stage] = QueueNumbers(*numbers)
    return found


def _sample(
    key: int,
    experiment: int,
    schedd: str,
    start: datetime,
    step_seconds: int,
    *numbers: float,
) -> FoundSample:
    queue = SampledQueue(experiment, schedd)
    return FoundSample(key, queue, start, step_seconds, QueueNumbers(*numbers))
