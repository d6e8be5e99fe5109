"""How many jobs queues had over time, from the samples that are kept of their reports."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import Experiment, QueueSample, QueueSampleStage, Stage


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


def queue_samples(
    connection: Connection,
    start: datetime,
    end: datetime,
    *,
    since: datetime,
    experiment: str | None = None,
) -> list[FoundSample]:
    """Return the samples of an experiment's queues, or of all, the oldest first.

    They are those of a time, and before them the last one of each queue since a moment.
    """
    last = (
        select(
            QueueSample.experiment_id,
            QueueSample.schedd,
            func.max(QueueSample.start).label("start"),
        )
        .where(QueueSample.start >= since, QueueSample.start < start)
        .group_by(QueueSample.experiment_id, QueueSample.schedd)
        .subquery()
    )
    is_last = and_(
        last.c.experiment_id == QueueSample.experiment_id,
        last.c.schedd == QueueSample.schedd,
        last.c.start == QueueSample.start,
    )
    before = select(*_COLUMNS).join(last, is_last)
    within = select(*_COLUMNS).where(QueueSample.start >= start, QueueSample.start < end)
    samples = []
    for query in (before, within):
        chosen = query
        if experiment is not None:
            chosen = query.join(Experiment, Experiment.id == QueueSample.experiment_id)
            chosen = chosen.where(Experiment.name == experiment)
        for row in connection.execute(chosen.order_by(QueueSample.start)):
            samples.append(_sample(*row))
    return samples


class SampleScope(NamedTuple):
    """Which samples, and which stages of them: of a time, an experiment, a campaign, a name."""

    start: datetime
    end: datetime
    experiment: str | None = None
    campaign: str | None = None
    stage: str | None = None


def amounts_by_stage(
    connection: Connection, scope: SampleScope, states: Sequence[str]
) -> dict[int, list[tuple[str, float]]]:
    """Return how many jobs in these states samples have of each stage, by the key of the sample.

    A stage is its name; two campaigns may have one each.
    """
    amount: ColumnElement[float] = literal(0.0)
    for state in states:
        amount = amount + getattr(QueueSampleStage, state)
    found: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
    query = _of_stages(scope, QueueSampleStage.sample_id, Stage.name, amount)
    # Tens of thousands of rows: nothing is made of each but what is kept
    for sample, name, count in connection.execute(query):
        found[sample].append((name, count))
    return found


def sums_of_stages(connection: Connection, scope: SampleScope) -> dict[int, QueueNumbers]:
    """Return what samples have of all these stages together, by the key of the sample."""
    sums = (
        func.sum(QueueSampleStage.idle),
        func.sum(QueueSampleStage.held),
        func.sum(QueueSampleStage.running),
    )
    query = _of_stages(scope, QueueSampleStage.sample_id, *sums)
    rows = connection.execute(query.group_by(QueueSampleStage.sample_id))
    return {sample: QueueNumbers(*numbers) for sample, *numbers in rows}


def _of_stages(scope: SampleScope, *columns: Any) -> Select[Any]:
    query = (
        select(*columns)
        .join(QueueSample, QueueSample.id == QueueSampleStage.sample_id)
        .join(Stage, Stage.id == QueueSampleStage.stage_id)
        .where(QueueSample.start >= scope.start, QueueSample.start < scope.end)
    )
    if scope.experiment is not None:
        query = query.join(Experiment, Experiment.id == QueueSample.experiment_id)
        query = query.where(Experiment.name == scope.experiment)
    if scope.campaign is not None:
        query = query.where(Stage.campaign == scope.campaign)
    if scope.stage is not None:
        query = query.where(Stage.name == scope.stage)
    return query


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
    query = select(
        QueueSampleStage.sample_id,
        QueueSampleStage.stage_id,
        QueueSampleStage.idle,
        QueueSampleStage.held,
        QueueSampleStage.running,
    )
    rows = rows_among(connection, query, QueueSampleStage.sample_id, samples)
    for sample, stage, *numbers in rows:
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
