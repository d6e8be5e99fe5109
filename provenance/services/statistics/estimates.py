"""How long would it take to do it again?

Each stage's cost, with a spread, comes from the jobs that did it before.

What jobs waited, in queues and for their inputs, is `statistics/expected_waits.py`.

Source: http.md, `GET /estimate`.
"""

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.queries.statistics.estimates import (
    Attempt,
    Yield,
    attempts,
    stages_of,
    yields,
)
from jobprov.provenance.db.time_limits import SECONDS, time_limit
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.statistics.expected_waits import (
    SampledWait,
    add_waits,
    sample_waits,
    stage_waits,
)
from jobprov.provenance.services.statistics.forecasts import (
    Interval,
    forecast_sum,
    hour_of,
    makespan,
)

_HOUR = 3600


class _Unit(NamedTuple):
    """All attempts at one unit together."""

    hour: datetime | None
    wall_seconds: float
    cpu_seconds: float
    longest: float
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
) -> dict[str, Any]:
    """Return `{files, events, slots, stages, total}`.

    That is what it would take to do so many files or events again.

    A stage is `{stage, units, cpu_hours, slot_hours, wall_hours, stage_in_hours, queue, stage_in,
    output_bytes, attempts_a_unit, learnt_from}`. Hours are `{expected, low, high}`, between which
    the truth lies with 80 %; failures and retries are counted in, also of units that never
    succeeded. `wall_hours` is with `slots` slots; what jobs wait in queues is not in it, but in
    `queue`. `stage_in_hours` is the part of `slot_hours` in which inputs are brought in. Where the
    filters name no stage, the whole chain is estimated: later stages get as many units for one of
    the first as they had. `learnt_from` says from how many.

    Args:
        connection: where from.
        store: the archive, for records that were sealed.
        filters: which jobs to learn from.
        files: units of the first stage.
        events: events that the first stage is to put out, instead of `files`.
        slots: jobs that run at once.
        seconds: how long reading may take.

    Raises:
        BadInputError: not exactly one of `files` and `events`, or events of a stage that counts
            none.
        NotFoundError: no job of the filters is over and says how long it took.
        LimitError: reading took more than `seconds`.
    """
    if (files is None) == (events is None):
        raise BadInputError(
            "files: give files= or events=, one of them.", {"files": ["one of files and events"]}
        )
    with time_limit(connection, "narrow it down to a campaign or a stage", seconds=seconds):
        stages = [filters.stage] if filters.stage is not None else stages_of(connection, filters)
        learnt = [
            _learn(connection, store, filters._replace(stage=stage), stage) for stage in stages
        ]
    known = [stage for stage in learnt if _done(stage.units)]
    if not known:
        raise NotFoundError(
            "Nothing to learn from: no job that these filters let through succeeded and says how "
            "long it took."
        )
    first = _first_units(known[0], files, events)
    shown = [
        _stage(stage, ceil(round(first * _done(stage.units) / _done(known[0].units), 6)), slots)
        for stage in known
    ]
    return {
        "files": files,
        "events": events,
        "slots": slots,
        "stages": shown,
        "total": _total(shown),
    }


def _learn(connection: Connection, store: Store, filters: JobFilters, stage: str) -> _Learnt:
    tried = attempts(connection, filters)
    by_unit: dict[str, list[Attempt]] = {}
    for attempt in tried:
        by_unit.setdefault(attempt.unit, []).append(attempt)
    units = [_unit(tries) for tries in by_unit.values()]
    return _Learnt(
        stage, units, yields(connection, filters), sample_waits(connection, store, tried)
    )


def _unit(tries: Sequence[Attempt]) -> _Unit:
    return _Unit(
        hour=hour_of(
            max((attempt.ended_at for attempt in tries if attempt.ended_at), default=None)
        ),
        wall_seconds=sum(attempt.wall_seconds for attempt in tries),
        cpu_seconds=sum(attempt.cpu_seconds or 0.0 for attempt in tries),
        longest=max(attempt.wall_seconds for attempt in tries),
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


def _stage(learnt: _Learnt, count: int, slots: int) -> dict[str, Any]:
    units, made = learnt.units, learnt.made
    done = _done(units)
    attempts_a_unit = sum(unit.attempts for unit in units) / done
    wall = _sum([(unit.hour, unit.wall_seconds) for unit in units], count, done)
    cpu = _sum([(unit.hour, unit.cpu_seconds) for unit in units], count, done)
    longest = sorted(unit.longest for unit in units)[min(len(units) - 1, round(0.99 * len(units)))]
    size = made.size_bytes / made.jobs * count if made.jobs else 0
    return {
        "stage": learnt.stage,
        "units": count,
        "cpu_hours": cpu.times(1 / _HOUR)._asdict(),
        "slot_hours": wall.times(1 / _HOUR)._asdict(),
        "wall_hours": makespan(wall, longest, max(1, min(slots, count))).times(1 / _HOUR)._asdict(),
        **stage_waits(learnt.waits, count * attempts_a_unit),
        "output_bytes": round(size),
        "attempts_a_unit": attempts_a_unit,
        "learnt_from": {
            "units": len(units),
            "succeeded": done,
            "hours": len({unit.hour for unit in units}),
        },
    }


def _sum(costs: list[tuple[object, float]], count: int, done: int) -> Interval:
    return forecast_sum(costs, count, done=done) or Interval(0.0, 0.0, 0.0)


def _total(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums; intervals add up as if all stages were off in the same direction.

    That is the safe side.
    """

    def add(name: str) -> dict[str, float]:
        return {bound: sum(stage[name][bound] for stage in stages) for bound in Interval._fields}

    return {
        **{name: add(name) for name in ("cpu_hours", "slot_hours", "wall_hours")},
        **add_waits(stages),
        "output_bytes": sum(stage["output_bytes"] for stage in stages),
    }
