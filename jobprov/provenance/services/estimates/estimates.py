"""How long would it take to do it again?

Each stage's cost, with a spread, comes from the jobs that did it before.

What jobs waited, in queues and for their inputs, is `waits.py`.

Source: http.md, `GET /estimate`.
"""

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.estimates import (
    Estimate,
    LearntFrom,
    StageEstimate,
    TotalEstimate,
    UnitTimes,
)
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.estimates import (
    MeasuredAttempt,
    Yield,
    attempts,
    stages_of,
    yields,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.estimates.forecasts import Interval, forecast_sum, hour_of
from jobprov.provenance.services.estimates.makespans import RunTimes, makespan
from jobprov.provenance.services.estimates.waits import (
    SampledWait,
    add_hours,
    add_waits,
    hours,
    sample_waits,
    stage_waits,
)
from jobprov.provenance.services.search.unknown_names import refuse_unknown_names
from jobprov.provenance.services.statistics.resources import quantile

_HOUR = 3600
_LEAST_FOR_P99 = 100


class _Unit(NamedTuple):
    """All attempts at one unit together."""

    hour: datetime | None
    wall_seconds: float
    cpu_seconds: float
    attempts: int
    succeeded: bool


class _Learnt(NamedTuple):
    """What the jobs of a stage took, made and waited."""

    stage: str
    units: list[_Unit]
    made: Yield
    waits: list[SampledWait]


def estimate(
    connection: Connection,
    store: Store,
    filters: JobFilters,
    *,
    files: int | None = None,
    events: int | None = None,
    slots: int = 1000,
    seconds: float = SECONDS,
) -> Estimate:
    """Return what it would take to do so many files or events again.

    Failures and retries are counted in, also of units that never succeeded. Where the filters name
    no stage, the whole chain is estimated: later stages get as many units for one of the first as
    they had.

    Args:
        store: the archive, for records that were sealed.
        filters: which jobs to learn from.
        files: units of the first stage.
        events: events that the first stage is to put out, instead of `files`.
        slots: jobs that run at once.
        seconds: how long reading may take.

    Raises:
        BadInputError: not exactly one of `files` and `events`, or events of a stage that counts
            none.
        NotFoundError: nothing has a name of the filters, or no job of them is over and says how
            long it took.
        LimitError: reading took more than `seconds`.
    """
    if (files is None) == (events is None):
        raise BadInputError(
            "files: give files= or events=, one of them.", {"files": ["one of files and events"]}
        )
    with time_limit(connection, "narrow it down to a campaign or a stage", seconds=seconds):
        stages = [filters.stage] if filters.stage is not None else stages_of(connection, filters)
        learnt = []
        for name in stages:
            learnt.append(_learn(connection, store, filters._replace(stage=name), name))
    known = [stage for stage in learnt if _done(stage.units)]
    if not known:
        refuse_unknown_names(connection, filters._asdict())
        raise NotFoundError(
            "Nothing to learn from: no job that these filters let through succeeded and says how "
            "long it took."
        )
    first_units = _first_units(known[0], files, events)
    first_done = _done(known[0].units)
    estimated = []
    for stage in known:
        # rounded first: 3.0000000000000004 units are three
        units = ceil(round(first_units * _done(stage.units) / first_done, 6))
        estimated.append(_stage(stage, units, slots))
    return Estimate(files, events, slots, estimated, _total(estimated))


def _learn(connection: Connection, store: Store, filters: JobFilters, stage: str) -> _Learnt:
    tried = attempts(connection, filters)
    by_unit: dict[str, list[MeasuredAttempt]] = {}
    for attempt in tried:
        by_unit.setdefault(attempt.unit, []).append(attempt)
    units = [_unit(tries) for tries in by_unit.values()]
    return _Learnt(
        stage, units, yields(connection, filters), sample_waits(connection, store, tried)
    )


def _unit(tries: Sequence[MeasuredAttempt]) -> _Unit:
    return _Unit(
        hour=hour_of(
            max((attempt.ended_at for attempt in tries if attempt.ended_at), default=None)
        ),
        wall_seconds=sum(attempt.wall_seconds for attempt in tries),
        cpu_seconds=sum(attempt.cpu_seconds or 0.0 for attempt in tries),
        attempts=len(tries),
        succeeded=any(attempt.succeeded for attempt in tries),
    )


def _done(units: Sequence[_Unit]) -> int:
    return sum(unit.succeeded for unit in units)


def _first_units(first: _Learnt, files: int | None, events: int | None) -> float:
    if files is not None:
        return files
    if not first.made.events:
        message = f"jobs of stage {first.stage} do not say how many events they put out"
        raise BadInputError(f"events: {message}; give files= instead.", {"events": [message]})
    return float((events or 0) * first.made.counted_jobs / first.made.events)


def _stage(learnt: _Learnt, count: int, slots: int) -> StageEstimate:
    units, made = learnt.units, learnt.made
    done = _done(units)
    attempts_a_unit = sum(unit.attempts for unit in units) / done
    wall = _sum([(unit.hour, unit.wall_seconds) for unit in units], count, done)
    cpu = _sum([(unit.hour, unit.cpu_seconds) for unit in units], count, done)
    run_times = RunTimes([unit.wall_seconds for unit in units if unit.succeeded])
    size = made.size_bytes / made.jobs * count if made.jobs else 0
    waits = stage_waits(learnt.waits, count * attempts_a_unit)
    return StageEstimate(
        stage=learnt.stage,
        units=count,
        cpu_hours=hours(cpu),
        slot_hours=hours(wall),
        wall_hours=hours(_makespan(units, run_times, count, slots)),
        unit_times=_unit_times(units, run_times),
        queue=waits.queue,
        stage_in=waits.stage_in,
        stage_in_hours=waits.stage_in_hours,
        output_bytes=round(size),
        attempts_a_unit=attempts_a_unit,
        learnt_from=LearntFrom(len(units), done, len({unit.hour for unit in units})),
    )


def _makespan(units: Sequence[_Unit], run_times: RunTimes, count: int, slots: int) -> Interval:
    """Return how many seconds so many units take, those left out that hang."""
    usual = [unit for unit in units if not run_times.hangs(unit.wall_seconds)]
    total = _sum([(unit.hour, unit.wall_seconds) for unit in usual], count, _done(usual))
    return makespan(total, run_times, count, slots)


def _unit_times(units: Sequence[_Unit], run_times: RunTimes) -> UnitTimes:
    seconds = sorted(unit.wall_seconds for unit in units if unit.succeeded)
    hung = sorted(unit.wall_seconds for unit in units if run_times.hangs(unit.wall_seconds))
    p99_hours = quantile(seconds, 0.99) / _HOUR if len(seconds) >= _LEAST_FOR_P99 else None
    return UnitTimes(
        median_hours=quantile(seconds, 0.5) / _HOUR,
        p90_hours=quantile(seconds, 0.9) / _HOUR,
        p99_hours=p99_hours,
        hung=len(hung),
        hung_hours=hung[0] / _HOUR if hung else None,
    )


def _sum(costs: list[tuple[object, float]], count: int, done: int) -> Interval:
    return forecast_sum(costs, count, done=done) or Interval(0.0, 0.0, 0.0)


def _total(stages: Sequence[StageEstimate]) -> TotalEstimate:
    """Return the sums; intervals add up as if all stages were off in the same direction."""
    stage_in_hours = [stage.stage_in_hours for stage in stages if stage.stage_in_hours]
    return TotalEstimate(
        cpu_hours=add_hours([stage.cpu_hours for stage in stages]),
        slot_hours=add_hours([stage.slot_hours for stage in stages]),
        wall_hours=add_hours([stage.wall_hours for stage in stages]),
        queue=add_waits([stage.queue for stage in stages]),
        stage_in=add_waits([stage.stage_in for stage in stages]),
        stage_in_hours=add_hours(stage_in_hours) if stage_in_hours else None,
        output_bytes=sum(stage.output_bytes for stage in stages),
    )
