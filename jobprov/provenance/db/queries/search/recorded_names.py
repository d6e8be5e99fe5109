"""Lists of recorded names: experiments, campaigns, stages, tasks and sites, in order."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, exists, select

from jobprov.provenance.db.queries.fragments.patterns import TextColumn
from jobprov.provenance.db.tables import Experiment, Host, Job, Stage, TaskRow

_COLUMNS: Mapping[str, TextColumn] = {
    "experiments": Experiment.name,
    "campaigns": Stage.campaign,
    "stages": Stage.name,
    "tasks": TaskRow.task_id,
    "sites": Host.site,
}
KINDS = tuple(_COLUMNS)
"""What names are listed of."""


class NameFilters(NamedTuple):
    """Which names are wanted: those of an experiment, of a campaign, or one of them."""

    experiment: str | None = None
    campaign: str | None = None
    name: str | None = None


def recorded_names(
    connection: Connection, kind: str, filters: NameFilters, *, after: str, limit: int
) -> list[str]:
    """Return names behind `after`, each once, in order; what has no name is left out."""
    column = _COLUMNS[kind]
    query = _of_kind(kind, column, filters)
    if filters.name is not None:
        query = query.where(column == filters.name)
    # The empty name, which stands for no name, comes before all others and is left out
    query = query.where(column > after).distinct().order_by(column).limit(limit)
    return list(connection.execute(query).scalars())


def _of_kind(kind: str, column: TextColumn, filters: NameFilters) -> Select[Any]:
    """Return the names of a kind that an experiment or a campaign has."""
    query = select(column)
    if filters.experiment is None and filters.campaign is None:
        return query
    if kind == "tasks":
        return _of_tasks(query, filters)
    if kind == "sites":
        return query.where(_ran_there(filters))
    if kind == "experiments":
        query = query.outerjoin(Stage, Stage.experiment_id == Experiment.id)
        return query.where(*_conditions(filters))
    query = query.join(Experiment, Experiment.id == Stage.experiment_id)
    return query.where(*_conditions(filters))


def _of_tasks(query: Select[Any], filters: NameFilters) -> Select[Any]:
    """Return the names of tasks; those of an experiment in the order of its index.

    Joined with experiments, PostgreSQL would sort the names of all tasks for the first thousand.
    """
    if filters.experiment is not None:
        key = select(Experiment.id).where(Experiment.name == filters.experiment).scalar_subquery()
        query = query.where(TaskRow.experiment_id == key)
    if filters.campaign is not None:
        query = query.join(Stage, Stage.id == TaskRow.stage_id)
        query = query.where(Stage.campaign == filters.campaign)
    return query


def _conditions(filters: NameFilters) -> list[ColumnElement[bool]]:
    conditions = []
    if filters.experiment is not None:
        conditions.append(Experiment.name == filters.experiment)
    if filters.campaign is not None:
        conditions.append(Stage.campaign == filters.campaign)
    return conditions


def _ran_there(filters: NameFilters) -> ColumnElement[bool]:
    """Return whether a job of the experiment or campaign ran on a host of the site."""
    jobs = select(Job.id).join(Experiment, Experiment.id == Job.experiment_id)
    jobs = jobs.outerjoin(Stage, Stage.id == Job.stage_id)
    return exists(jobs.where(Job.host_id == Host.id, *_conditions(filters)))
