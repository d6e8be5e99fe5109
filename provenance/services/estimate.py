"""How long would it take to do it again? Each stage's cost, with a spread, from the jobs that did it before.

Source: http.md, `GET /estimate`.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from sqlalchemy import Connection

from provenance.db.queries.costs import Attempt, attempts, stages_of, yields
from provenance.db.queries.jobs import JobFilters
from provenance.db.queries.walking import time_limit
from provenance.errors import BadInputError, NotFoundError
from provenance.services.forecasting import Interval, forecast_sum, makespan

_HOUR = 3600


class _Unit(NamedTuple):
    """All attempts at one unit together."""

    hour: object
    wall_seconds: float
    cpu_seconds: float
    longest: float
    attempts: int
    succeeded: bool


def estimate(
    connection: Connection,
    filters: JobFilters,
    *,
    files: int | None = None,
    events: int | None = None,
    slots: int = 1000,
) -> dict[str, Any]:
    """Return `{files, events, slots, stages, total}`: what it would take to do so many files or events again.

    A stage is `{stage, units, cpu_hours, slot_hours, wall_hours, output_bytes, attempts_a_unit, learnt_from}`. Hours are
    `{expected, low, high}`, between which the truth lies with 80 %; failures and retries are counted in, also of units that never
    succeeded. `wall_hours` is with `slots` slots; waiting in queues and copying are not in it. Where the filters name no stage, the
    whole chain is estimated: later stages get as many units for one of the first as they had. `learnt_from` says from how many.

    Args:
        connection: where from.
        filters: which jobs to learn from.
        files: units of the first stage.
        events: events that the first stage is to put out, instead of `files`.
        slots: jobs that run at once.

    Raises:
        BadInputError: not exactly one of `files` and `events`, or events of a stage that counts none.
        NotFoundError: no job of the filters is over and says how long it took.
        LimitError: reading took more than five seconds.
    """
    if (files is None) == (events is None):
        raise BadInputError("files: give files= or events=, one of them.", {"files": ["one of files and events"]})
    with time_limit(connection, "narrow it down to a campaign or a stage"):
        stages = [filters.stage] if filters.stage is not None else stages_of(connection, filters)
        learnt = [_learn(connection, filters._replace(stage=stage)) for stage in stages]
    known = [(stage, units, made) for stage, (units, made) in zip(stages, learnt, strict=True) if _done(units)]
    if not known:
        raise NotFoundError(
            "Nothing to learn from: no job that these filters let through succeeded and says how long it took."
        )
    first = _first_units(known[0], files, events)
    shown = []
    for stage, units, made in known:
        count = first * _done(units) / _done(known[0][1])
        shown.append(_stage(stage, units, made, ceil(round(count, 6)), slots))
    return {"files": files, "events": events, "slots": slots, "stages": shown, "total": _total(shown)}


def _learn(connection: Connection, filters: JobFilters) -> tuple[list[_Unit], Any]:
    by_unit: dict[str, list[Attempt]] = {}
    for attempt in attempts(connection, filters):
        by_unit.setdefault(attempt.unit, []).append(attempt)
    return [_unit(tries) for tries in by_unit.values()], yields(connection, filters)


def _unit(tries: Sequence[Attempt]) -> _Unit:
    ended = max((attempt.ended_at for attempt in tries if attempt.ended_at), default=None)
    return _Unit(
        hour=ended.replace(minute=0, second=0, microsecond=0) if ended else None,
        wall_seconds=sum(attempt.wall_seconds for attempt in tries),
        cpu_seconds=sum(attempt.cpu_seconds or 0.0 for attempt in tries),
        longest=max(attempt.wall_seconds for attempt in tries),
        attempts=len(tries),
        succeeded=any(attempt.succeeded for attempt in tries),
    )


def _done(units: Sequence[_Unit]) -> int:
    return sum(unit.succeeded for unit in units)


def _first_units(first: tuple[str, list[_Unit], Any], files: int | None, events: int | None) -> float:
    if files is not None:
        return files
    stage, _, made = first
    if not made.events:
        message = f"jobs of stage {stage} do not say how many events they put out"
        raise BadInputError(f"events: {message}; give files= instead.", {"events": [message]})
    return float((events or 0) * made.jobs / made.events)


def _stage(stage: str, units: Sequence[_Unit], made: Any, count: int, slots: int) -> dict[str, Any]:
    done = _done(units)
    wall = _sum([(unit.hour, unit.wall_seconds) for unit in units], count, done)
    cpu = _sum([(unit.hour, unit.cpu_seconds) for unit in units], count, done)
    longest = sorted(unit.longest for unit in units)[min(len(units) - 1, round(0.99 * len(units)))]
    size = made.size_bytes / made.jobs * count if made.jobs else 0
    return {
        "stage": stage,
        "units": count,
        "cpu_hours": cpu.times(1 / _HOUR)._asdict(),
        "slot_hours": wall.times(1 / _HOUR)._asdict(),
        "wall_hours": makespan(wall, longest, max(1, min(slots, count))).times(1 / _HOUR)._asdict(),
        "output_bytes": round(size),
        "attempts_a_unit": sum(unit.attempts for unit in units) / done,
        "learnt_from": {"units": len(units), "succeeded": done, "hours": len({unit.hour for unit in units})},
    }


def _sum(costs: list[tuple[object, float]], count: int, done: int) -> Interval:
    return forecast_sum(costs, count, done=done) or Interval(0.0, 0.0, 0.0)


def _total(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums; intervals add up as if all stages were off in the same direction, which is the safe side."""

    def add(name: str) -> dict[str, float]:
        return {bound: sum(stage[name][bound] for stage in stages) for bound in Interval._fields}

    return {
        **{name: add(name) for name in ("cpu_hours", "slot_hours", "wall_hours")},
        "output_bytes": sum(stage["output_bytes"] for stage in stages),
    }
