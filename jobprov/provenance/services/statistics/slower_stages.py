"""Stages whose jobs take longer than before, of all experiments.

A stage got slower where the median of how long its jobs of the last 24 hours took is at least twice
that of the seven days before, a minute above it, and longer than nine in ten jobs took then. The last
says that it is more than the usual scatter, however wide that is. Only jobs that succeeded count, as
the others stop early: at least twenty now, and twenty before. Each campaign is compared with itself.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import SlowerStage, SlowerStages
from jobprov.provenance.db.connections.time_limits import SECONDS
from jobprov.provenance.db.queries.alerts.watched import RunTime, run_times
from jobprov.provenance.services.statistics.shares import (
    TIMES,
    LastDay,
    Share,
    compare_last_day,
    first_worse_hour,
)
from jobprov.provenance.times import utc_text

_LEAST_JOBS = 20
"""With fewer jobs in the last day, or before it, medians mean nothing."""
_LEAST_SECONDS = 60
"""By how much a stage is slower; of jobs of a few seconds nobody wants to know."""
_USUAL = 0.9
"""The share of the jobs before that took no longer than what is called usual."""


class _StageName(NamedTuple):
    campaign: str
    stage: str


_OfStages = Mapping[_StageName, list[RunTime]]


def list_slower_stages(
    connection: Connection, now: datetime, *, seconds: float = SECONDS
) -> SlowerStages:
    """Return the stages that got slower, those of most jobs first; see `compare_last_day`."""
    stages, ended = compare_last_day(connection, now, _compare, seconds=seconds)
    stages.sort(key=lambda stage: (-stage.jobs, stage.campaign, stage.stage))
    return SlowerStages(stages=stages, ended=ended)


def _compare(connection: Connection, day: LastDay) -> tuple[list[SlowerStage], int]:
    lately = _by_stage(run_times(connection, day.lately, day.now))
    ended = sum(map(len, lately.values()))
    if all(len(jobs) < _LEAST_JOBS for jobs in lately.values()):
        return [], ended
    before: defaultdict[_StageName, array[float]] = defaultdict(lambda: array("d"))
    for job in run_times(connection, day.before, day.began):
        before[_StageName(job.campaign, job.stage)].append(job.wall_seconds)
        ended += 1
    return _slower(day, lately, before), ended


def _by_stage(jobs: Iterable[RunTime]) -> _OfStages:
    of_stages: defaultdict[_StageName, list[RunTime]] = defaultdict(list)
    for job in jobs:
        of_stages[_StageName(job.campaign, job.stage)].append(job)
    return of_stages


def _slower(
    day: LastDay, lately: _OfStages, before: Mapping[_StageName, "array[float]"]
) -> list[SlowerStage]:
    """Return the stages of an experiment that got slower."""
    slower = []
    for name, jobs in lately.items():
        earlier = before.get(name, ())
        if len(jobs) < _LEAST_JOBS or len(earlier) < _LEAST_JOBS:
            continue
        seconds = [job.wall_seconds for job in jobs]
        if not got_slower(seconds, earlier):
            continue
        hour = _first_slow_hour(jobs, _usual_at_most(earlier))
        slower.append(
            SlowerStage(
                experiment=day.experiment,
                campaign=name.campaign,
                stage=name.stage,
                jobs=len(jobs),
                seconds=median(seconds),
                jobs_before=len(earlier),
                seconds_before=median(earlier),
                since=utc_text(day.began + timedelta(hours=hour)),
            )
        )
    return slower


def got_slower(lately: Collection[float], before: Collection[float]) -> bool:
    """Return whether jobs that took so many seconds are slower than those before, clearly."""
    takes, took = median(lately), median(before)
    is_clear = takes >= TIMES * took and takes >= took + _LEAST_SECONDS
    return is_clear and takes > _usual_at_most(before)


def _usual_at_most(before: Collection[float]) -> float:
    """Return the seconds that nine in ten of the jobs before took at most."""
    return sorted(before)[ceil(_USUAL * len(before)) - 1]


def _first_slow_hour(jobs: Iterable[RunTime], usual: float) -> int:
    """Return the hour from which on more jobs than one in ten took longer than is usual."""
    ended: Counter[int] = Counter()
    long: Counter[int] = Counter()
    for job in jobs:
        ended[job.hour] += 1
        long[job.hour] += job.wall_seconds > usual
    hours = {hour: Share(long[hour], ended[hour]) for hour in ended}
    of_day = Share(long.total(), ended.total())
    return first_worse_hour(hours, Share(1, 10), of_day)
