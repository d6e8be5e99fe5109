"""What jobs of a stage wait, in queues and for their inputs, as estimates show it.

Both are apart from the wall time of an estimate: a queue depends on who else is there, and inputs
are brought in by the job itself, in its slot.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.estimates import (
    ChainWait,
    Hours,
    JobWait,
    StageEstimate,
    StagesLearntFrom,
    WaitSample,
)
from jobprov.provenance.db.queries.statistics.estimates import Attempt
from jobprov.provenance.services.statistics.forecasts import Interval, forecast_sum, hour_of
from jobprov.provenance.services.statistics.resources import quantile
from jobprov.provenance.services.statistics.waits import Wait, choose, read_waits

_HOUR = 3600


class StageWaits(NamedTuple):
    """What the jobs of a stage wait; each is None where no sampled job says it.

    Attributes:
        queue, stage_in: of one job.
        stage_in_hours: of all attempts together.
    """

    queue: JobWait | None
    stage_in: JobWait | None
    stage_in_hours: Hours | None


class ChainWaits(NamedTuple):
    """What a file waits on its way through all stages; each is None where no stage says it."""

    queue: ChainWait | None
    stage_in: ChainWait | None
    stage_in_hours: Hours | None


class SampledWait(NamedTuple):
    """How long one of the sampled attempts waited, and the hour in which it ended."""

    hour: datetime | None
    wait: Wait


def sample_waits(
    connection: Connection, store: Store, tried: Sequence[Attempt]
) -> list[SampledWait]:
    """Return what some of these attempts waited, spread over all of them."""
    chosen = [tried[place] for place in choose(len(tried))]
    waits = read_waits(connection, store, [attempt.job for attempt in chosen])
    return [
        SampledWait(hour_of(attempt.ended_at), wait)
        for attempt, wait in zip(chosen, waits, strict=True)
    ]


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


def add_waits(stages: Sequence[StageEstimate]) -> ChainWaits:
    """Return what a file waits on its way through all stages, and the hours that stage-in takes.

    Stages that do not say it are left out: `learnt_from.stages` says how many do.
    """
    stage_in_hours = [stage.stage_in_hours for stage in stages if stage.stage_in_hours]
    return ChainWaits(
        queue=_add_quantiles([stage.queue for stage in stages if stage.queue]),
        stage_in=_add_quantiles([stage.stage_in for stage in stages if stage.stage_in]),
        stage_in_hours=add_hours(stage_in_hours) if stage_in_hours else None,
    )


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


def _add_quantiles(waits: Sequence[JobWait]) -> ChainWait | None:
    if not waits:
        return None
    return ChainWait(
        p10_hours=sum(wait.p10_hours for wait in waits),
        median_hours=sum(wait.median_hours for wait in waits),
        p90_hours=sum(wait.p90_hours for wait in waits),
        learnt_from=StagesLearntFrom(len(waits)),
    )
