"""What jobs of a stage wait, in queues and for their inputs, as estimates show it.

Both are apart from the wall time of an estimate: a queue depends on who else is there, and inputs
are brought in by the job itself, in its slot.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.statistics.estimates import Attempt
from jobprov.provenance.services.statistics.forecasts import Interval, forecast_sum, hour_of
from jobprov.provenance.services.statistics.resources import quantile
from jobprov.provenance.services.statistics.waits import Wait, choose, read_waits

_HOUR = 3600
_QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}


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


def stage_waits(waits: Sequence[SampledWait], attempts: float) -> dict[str, Any]:
    """Return `{queue, stage_in, stage_in_hours}` of so many attempts.

    Each is None where no sampled job says it.

    `queue` and `stage_in` are of one job: `{p10_hours, median_hours, p90_hours, learnt_from: {jobs,
    read}}`. `stage_in_hours` is the sum over all attempts, as an interval.
    """
    copied = [
        (each.hour, each.wait.stage_in_seconds)
        for each in waits
        if each.wait.stage_in_seconds is not None
    ]
    if not any(seconds for _, seconds in copied):
        copied = []  # no step of any job brings inputs in
    whole = forecast_sum(copied, attempts, done=len(copied))
    return {
        "queue": _spread([each.wait.queue_seconds for each in waits]),
        "stage_in": _spread([each.wait.stage_in_seconds for each in waits]) if copied else None,
        "stage_in_hours": whole.times(1 / _HOUR)._asdict() if whole else None,
    }


def add_waits(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what a file waits on its way through all stages, and the hours that stage-in takes.

    Stages that do not say it are left out: `learnt_from.stages` says how many do. Quantiles add up
    as if a file that waits long in one stage did so in all, which is the safe side.
    """
    hours = [stage["stage_in_hours"] for stage in stages if stage["stage_in_hours"]]
    summed = {bound: sum(each[bound] for each in hours) for bound in Interval._fields}
    return {
        "queue": _add_spreads([stage["queue"] for stage in stages if stage["queue"]]),
        "stage_in": _add_spreads([stage["stage_in"] for stage in stages if stage["stage_in"]]),
        "stage_in_hours": summed if hours else None,
    }


def _spread(seconds: Sequence[float | None]) -> dict[str, Any] | None:
    known = sorted(value for value in seconds if value is not None)
    if not known:
        return None
    hours = {f"{name}_hours": quantile(known, share) / _HOUR for name, share in _QUANTILES.items()}
    return {**hours, "learnt_from": {"jobs": len(known), "read": len(seconds)}}


def _add_spreads(spreads: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not spreads:
        return None
    hours = {
        name: sum(spread[name] for spread in spreads)
        for name in (f"{each}_hours" for each in _QUANTILES)
    }
    return {**hours, "learnt_from": {"stages": len(spreads)}}
