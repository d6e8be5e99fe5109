"""What rules of alerts look at: the newest jobs that ended, and what indexes have.

No statement here looks at all jobs of an experiment. Campaign, stage and site are looked up for the
newest jobs alone, so that it is the index of ended jobs that is walked, whatever a rule asks.
"""

import json
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import aliased

from jobprov.provenance.db.queries.fragments.bounded import count_at_most
from jobprov.provenance.db.queries.fragments.steps import Window, place_of
from jobprov.provenance.db.queries.tasks.queue import STANDINGS
from jobprov.provenance.db.recording.job_rows import FIRST_BAD, SUCCEEDED
from jobprov.provenance.db.tables import (
    Experiment,
    FailureClass,
    GapSet,
    Host,
    Job,
    LedgerEntry,
    Proof,
    QueueJob,
    Stage,
    TaskRow,
)
from jobprov.provenance.records.proofs import DIFFERS, FAILED

MOST_LOOKED_AT = 20_000
"""Jobs of a window, the newest, that are looked at."""
_MOST_SEGMENTS = 100
"""Segments of a chain that are looked at for a record; others hold what was declared."""
_TASKS_NAMED = 5
_STUCK = [place for place, standing in enumerate(STANDINGS) if standing.is_stuck]
_HELD = [place for place, standing in enumerate(STANDINGS) if standing.state == "held"]
_Own, _Class, _Job = aliased(Stage), aliased(FailureClass), aliased(Job)
_OWN_STAGE: ColumnElement[Any] = case((TaskRow.has_several_stages, func.nullif(_Own.name, "")))
"""The stage that a job's record names, where its task has several."""
_IS_NOT_REPRODUCED: tuple[ColumnElement[Any], ...] = (
    literal_column("proofs.state <> 1"),
    Proof.state.in_((FAILED, DIFFERS)),
)
"""The first is that of the index."""


class EndedScope(NamedTuple):
    """A choice of jobs that ended: of an experiment and since a moment; None in a field: any.

    Attributes:
        until: only those that ended before this moment.
    """

    experiment: int
    since: datetime
    campaign: str | None = None
    stage: str | None = None
    site: str | None = None
    until: datetime | None = None


class EndedJobs(NamedTuple):
    """Jobs of a facet that ended, and how many of them failed; '' where jobs name none."""

    facet: str
    jobs: int
    failures: int


class SeenCause(NamedTuple):
    """A cause of failures in a window: its key, its words and how many jobs failed of it.

    Attributes:
        first_at: when the first of them ended.
        is_new: whether no job had failed of it before the window.
    """

    key: str
    words: str
    jobs: int
    first_at: datetime
    is_new: bool


class GapJobs(NamedTuple):
    """Jobs with one list of gaps that ended in one hour, at one site and of one stage.

    Attributes:
        hour: which hour of the window, 0 the first.
        gap_set: the key of the list; None where there is none.
        site, stage: '' where jobs name none.
    """

    hour: int
    gap_set: int | None
    site: str
    stage: str
    jobs: int


class EndedAtSite(NamedTuple):
    """Jobs that ended at one site in one hour of a window, 0 the first; '' where they name none."""

    hour: int
    site: str
    jobs: int
    failures: int


class RunTime(NamedTuple):
    """How long a job of a stage took that succeeded.

    Attributes:
        hour: which hour of the window it ended in, 0 the first.
        campaign: '' where the job names none.
    """

    hour: int
    campaign: str
    stage: str
    wall_seconds: float


class QueuedTask(NamedTuple):
    """How many jobs of a task are stuck or held."""

    task_id: str
    jobs: int


class QueuedJobs(NamedTuple):
    """How many jobs are stuck or held, and the tasks with most of them."""

    jobs: int
    tasks: list[QueuedTask]


class NotReproduced(NamedTuple):
    """How many recipes did not pass when jobprov last reran them.

    Attributes:
        since: when the first of these reruns was; None where there is none.
    """

    recipes: int
    since: datetime | None


def ended_by(connection: Connection, scope: EndedScope, *, by: str | None) -> list[EndedJobs]:
    """Return the newest jobs that ended, counted by `stage` or `site`, or all together."""
    newest = _newest(scope)
    facets: dict[str | None, Any] = {
        "stage": func.coalesce(_OWN_STAGE, Stage.name, ""),
        "site": func.coalesce(Host.site, ""),
        None: literal_column("''"),
    }
    facet = facets[by].label("facet")
    failures = func.coalesce(func.sum(case((newest.c.state >= FIRST_BAD, 1), else_=0)), 0)
    query = _joined(newest, scope, facet, func.count().label("jobs"), failures)
    if by is not None:
        query = query.group_by(facet)
    rows = connection.execute(query)
    return [EndedJobs(name, jobs, int(failed)) for name, jobs, failed in rows]


def ended_by_hour(connection: Connection, scope: EndedScope, until: datetime) -> list[EndedAtSite]:
    """Return the newest jobs that ended until a moment, by hour and site."""
    newest = _newest(scope._replace(until=until))
    window = Window(scope.since, until, timedelta(hours=1))
    hour = place_of(connection, newest.c.ended_at, window).label("hour")
    site = func.coalesce(Host.site, "").label("site")
    failures = func.sum(case((newest.c.state >= FIRST_BAD, 1), else_=0))
    query = _joined(newest, scope, hour, site, func.count(), failures).group_by(hour, site)
    rows = connection.execute(query)
    return [EndedAtSite(int(at), name, jobs, int(failed)) for at, name, jobs, failed in rows]


def causes_since(
    connection: Connection, scope: EndedScope, *, least: int, most: int
) -> list[SeenCause]:
    """Return the causes by which the newest jobs failed; the cause that was seen first comes first.

    Args:
        least: jobs of a cause.
        most: how many causes.
    """
    newest = _newest(scope)
    first = func.min(newest.c.id).label("first")
    causes = (
        _joined(
            newest,
            scope,
            FailureClass.cause_key,
            func.min(FailureClass.cause).label("words"),
            func.count().label("jobs"),
            func.min(newest.c.ended_at).label("first_at"),
            first,
        )
        .join(FailureClass, FailureClass.job_id == newest.c.id)
        .where(newest.c.state >= FIRST_BAD)
        .group_by(FailureClass.cause_key)
        .having(func.count() >= least)
        .order_by(first)
        .limit(most)
        .subquery("causes")
    )
    # The first job that an index finds decides, however many there are
    seen_before = (
        exists()
        .where(_Class.cause_key == causes.c.cause_key)
        .where(_Job.id == _Class.job_id, _Job.experiment_id == scope.experiment)
        .where(_Job.ended_at < scope.since, _Job.rerun_of.is_(None))
    )
    query = select(
        causes.c.cause_key, causes.c.words, causes.c.jobs, causes.c.first_at, ~seen_before
    ).order_by(causes.c.first)
    return [SeenCause(*row) for row in connection.execute(query)]


def gaps_by_hour(connection: Connection, scope: EndedScope, until: datetime) -> list[GapJobs]:
    """Return the newest jobs that ended until a moment, by hour, list of gaps, site and stage."""
    newest = _newest(scope._replace(until=until))
    window = Window(scope.since, until, timedelta(hours=1))
    group = (
        place_of(connection, newest.c.ended_at, window).label("hour"),
        newest.c.gap_set_id,
        func.coalesce(Host.site, "").label("site"),
        func.coalesce(_OWN_STAGE, Stage.name, "").label("stage"),
    )
    query = _joined(newest, scope, *group, func.count()).group_by(*group)
    gap_jobs = []
    for hour, gap_set, site, stage, jobs in connection.execute(query):
        gap_jobs.append(GapJobs(int(hour), gap_set, site, stage, jobs))
    return gap_jobs


def gaps_between(connection: Connection, scope: EndedScope) -> dict[int | None, int]:
    """Return how many of the newest jobs of a time have which list of gaps, by its key."""
    newest = _newest(scope)
    query = select(newest.c.gap_set_id, func.count()).group_by(newest.c.gap_set_id)
    return {gap_set: jobs for gap_set, jobs in connection.execute(query)}  # noqa: C416 - typed


def gap_codes(connection: Connection, gap_sets: Collection[int]) -> dict[int, frozenset[str]]:
    """Return the codes of lists of gaps, by key."""
    codes = {}
    query = select(GapSet.id, GapSet.document).where(GapSet.id.in_(sorted(gap_sets)))
    for key, document in connection.execute(query):
        codes[key] = frozenset(json.loads(document))
    return codes


def run_times(connection: Connection, scope: EndedScope, until: datetime) -> Iterator[RunTime]:
    """Yield how long the newest jobs until a moment took, of those of a stage that succeeded."""
    newest = _newest(scope._replace(until=until))
    window = Window(scope.since, until, timedelta(hours=1))
    stage = func.coalesce(_OWN_STAGE, Stage.name, "")
    query = _joined(
        newest,
        scope,
        place_of(connection, newest.c.ended_at, window),
        func.coalesce(Stage.campaign, ""),
        stage,
        newest.c.wall_seconds,
    ).where(newest.c.state == SUCCEEDED, newest.c.wall_seconds.is_not(None), stage != "")
    for hour, *others in connection.execute(query):
        yield RunTime(int(hour), *others)


def stuck_jobs(connection: Connection, experiment: int) -> QueuedJobs:
    """Return how many jobs are stuck in queues."""
    return _queued(connection, experiment, _STUCK)


def held_jobs(connection: Connection, experiment: int) -> QueuedJobs:
    """Return how many jobs are held in queues."""
    return _queued(connection, experiment, _HELD)


def newest_record_at(connection: Connection, experiment: int) -> datetime | None:
    """Return when the newest final record of an experiment came; None where none did.

    It is looked for among the entries that wait to be sealed, then in the newest segments.
    """
    of_jobs = (LedgerEntry.experiment_id == experiment, LedgerEntry.job_id.is_not(None))
    unsealed = (
        select(LedgerEntry.received_at)
        .where(*of_jobs, LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.id.desc())
        .limit(1)
    )
    newest: datetime | None = connection.execute(unsealed).scalar_one_or_none()
    if newest is not None:
        return newest
    last = connection.execute(
        select(func.max(LedgerEntry.segment)).where(LedgerEntry.experiment_id == experiment)
    ).scalar_one()
    if last is None:
        return None
    for segment in range(last, max(last - _MOST_SEGMENTS, -1), -1):
        sealed = select(func.max(LedgerEntry.received_at)).where(
            *of_jobs, LedgerEntry.segment == segment
        )
        newest = connection.execute(sealed).scalar_one()
        if newest is not None:
            return newest
    return None


def count_not_reproduced(connection: Connection, experiment: int) -> int:
    """Return how many recipes failed, or gave other outputs, when jobprov last reran them."""
    query = select(func.count()).where(Proof.experiment_id == experiment, *_IS_NOT_REPRODUCED)
    return connection.execute(query).scalar_one()


def not_reproduced_by_experiment(connection: Connection) -> dict[str, NotReproduced]:
    """Return how many recipes of each experiment were not reproduced, and since when, by name."""
    query = (
        select(Experiment.name, func.count(), func.min(Proof.proved_at))
        .join(Experiment, Experiment.id == Proof.experiment_id)
        .where(*_IS_NOT_REPRODUCED)
        .group_by(Experiment.name)
    )
    rows = connection.execute(query)
    return {name: NotReproduced(recipes, since) for name, recipes, since in rows}


def count_ended(connection: Connection, since: datetime, until: datetime) -> int:
    """Return how many jobs ended since a moment and before another, up to `MOST_LOOKED_AT`."""
    ended = select(Job.id).where(Job.ended_at >= since, Job.ended_at < until)
    return count_at_most(connection, ended, MOST_LOOKED_AT)


def _newest(scope: EndedScope) -> Subquery:
    columns: tuple[Any, ...] = (
        Job.id,
        Job.state,
        Job.task_id,
        Job.stage_id,
        Job.host_id,
        Job.gap_set_id,
        Job.ended_at,
        Job.wall_seconds,
    )
    query = select(*columns).where(
        Job.ended_at >= scope.since,
        Job.experiment_id == scope.experiment,
        Job.rerun_of.is_(None),
    )
    if scope.until is not None:
        query = query.where(Job.ended_at < scope.until)
    return query.order_by(Job.ended_at.desc()).limit(MOST_LOOKED_AT).subquery("newest")


def _joined(newest: Subquery, scope: EndedScope, *columns: Any) -> Select[Any]:
    """Return the query of these columns over the newest jobs, narrowed to the scope."""
    query = (
        select(*columns)
        .select_from(newest)
        .outerjoin(TaskRow, TaskRow.id == newest.c.task_id)
        .outerjoin(Stage, Stage.id == func.coalesce(TaskRow.stage_id, newest.c.stage_id))
        .outerjoin(_Own, _Own.id == newest.c.stage_id)
        .outerjoin(Host, Host.id == newest.c.host_id)
    )
    if scope.campaign is not None:
        query = query.where(Stage.campaign == scope.campaign)
    if scope.stage is not None:
        query = query.where(func.coalesce(_OWN_STAGE, Stage.name) == scope.stage)
    if scope.site is not None:
        query = query.where(Host.site == scope.site)
    return query


def _queued(connection: Connection, experiment: int, standings: list[int]) -> QueuedJobs:
    is_so = (QueueJob.experiment_id == experiment, QueueJob.standing.in_(standings))
    jobs = func.count()
    total = connection.execute(select(jobs).select_from(QueueJob).where(*is_so)).scalar_one()
    if total == 0:
        return QueuedJobs(0, [])
    query = (
        select(QueueJob.task_id, jobs)
        .where(*is_so)
        .group_by(QueueJob.task_id)
        .order_by(jobs.desc(), QueueJob.task_id)
        .limit(_TASKS_NAMED)
    )
    return QueuedJobs(total, [QueuedTask(*row) for row in connection.execute(query)])
