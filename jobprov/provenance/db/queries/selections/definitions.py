"""Definitions of catalog clients: the tasks and campaigns of an experiment, by name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Host, Identity, Job, LedgerEntry, Mention, Stage, TaskRow
from jobprov.provenance.lineage.graph import SHARED_ROLES

TASK, CAMPAIGN = "task", "campaign"
_IS_UNIT_INPUT = func.coalesce(Mention.role, "").not_in(sorted(SHARED_ROLES))


class FoundDefinition(NamedTuple):
    """A task or campaign as a definition.

    Attributes:
        kind: `task` or `campaign`.
        key: an integer that stays: of the task, or of the campaign's first stage.
        submitter: who declared it; None where nobody did.
    """

    kind: str
    name: str
    key: int
    campaign: str | None = None
    stage: str | None = None
    declared_at: datetime | None = None
    submitter: str | None = None


class ReadCount(NamedTuple):
    """How many files jobs of a task read that stand in one state: the best of their readers."""

    state: str
    files: int


class ConsumerJob(NamedTuple):
    """A job of a task as a consumer process; `files` is how many it read."""

    key: int
    state: str
    batch_id: str | None
    host: str | None
    files: int


def find_definitions(
    connection: Connection, experiment: int, names: Sequence[str]
) -> dict[str, FoundDefinition]:
    """Return the definitions of these names; a task goes before a campaign of its name."""
    definitions: dict[str, FoundDefinition] = {}
    names = [name for name in names if "\0" not in name]  # which PostgreSQL takes not at all
    campaigns = (
        select(Stage.campaign, func.min(Stage.id))
        .where(Stage.experiment_id == experiment, Stage.campaign.in_(names))
        .group_by(Stage.campaign)
    )
    for name, key in connection.execute(campaigns):
        if name:
            definitions[name] = FoundDefinition(CAMPAIGN, name, key)
    tasks = (
        select(
            TaskRow.task_id, TaskRow.id, Stage.campaign, Stage.name,
            LedgerEntry.received_at, LedgerEntry.submitter,
        )
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .outerjoin(LedgerEntry, LedgerEntry.id == TaskRow.entry_id)
        .where(TaskRow.experiment_id == experiment, TaskRow.task_id.in_(names))
    )  # fmt: skip
    for row in connection.execute(tasks):
        definitions[row[0]] = FoundDefinition(TASK, *row)
    return definitions


class DefinitionFilters(NamedTuple):
    """Which tasks and campaigns are wanted as definitions; None sets no condition.

    Attributes:
        name: a pattern (`*`, `?`).
        user: who declared the task.
        declared_after, declared_before: when it was declared.
    """

    name: str = "*"
    user: str | None = None
    declared_after: datetime | None = None
    declared_before: datetime | None = None


def definition_names(
    connection: Connection, experiment: int, filters: DefinitionFilters, *, most: int
) -> list[str]:
    """Return the first names of tasks and campaigns that pass the filters, in order.

    Nobody declares a campaign, so none passes a filter on who did, or when.
    """
    if "\0" in filters.name:
        return []
    declaration = _by_user(filters.user)
    if filters.declared_after is not None:
        declaration.append(LedgerEntry.received_at >= filters.declared_after)
    if filters.declared_before is not None:
        declaration.append(LedgerEntry.received_at < filters.declared_before)
    names: Any = _task_names(connection, experiment, filters.name, declaration)
    if not declaration:
        campaigns = select(Stage.campaign.label("name")).where(
            Stage.experiment_id == experiment,
            Stage.campaign != "",
            *matches(connection.dialect.name, Stage.campaign, filters.name),
        )
        names = names.union(campaigns)
    named = names.subquery()
    query = select(named.c.name).order_by(named.c.name).limit(most)
    return list(connection.execute(query).scalars())


def _task_names(
    connection: Connection,
    experiment: int,
    pattern: str,
    declaration: Sequence[ColumnElement[bool]],
) -> Select[str]:
    """Return the query for tasks whose names match and whose declaration meets the conditions.

    Without a condition, tasks pass that nobody declared.
    """
    query = select(TaskRow.task_id.label("name")).where(
        TaskRow.experiment_id == experiment,
        *matches(connection.dialect.name, TaskRow.task_id, pattern),
    )
    if not declaration:
        return query
    return query.where(TaskRow.entry_id.in_(select(LedgerEntry.id).where(*declaration)))


def _by_user(user: str | None) -> list[ColumnElement[bool]]:
    """Return the condition on who declared a task; none for None."""
    return [] if user is None else [LedgerEntry.submitter == user]


class ProjectFilters(NamedTuple):
    """Which tasks are wanted as projects; None sets no condition.

    Attributes:
        name: a pattern (`*`, `?`).
        user: who declared the task.
        started_after, ended_before: of the first start and the last end of the task's jobs; so
            are the other two.
    """

    name: str = "*"
    user: str | None = None
    started_before: datetime | None = None
    started_after: datetime | None = None
    ended_before: datetime | None = None
    ended_after: datetime | None = None


def project_names(
    connection: Connection, experiment: int, filters: ProjectFilters, *, most: int
) -> list[str]:
    """Return the first names of tasks that pass the filters, in order."""
    if "\0" in filters.name:
        return []
    query = _task_names(connection, experiment, filters.name, _by_user(filters.user))
    of_task = Job.task_id == TaskRow.id
    start = select(func.min(Job.started_at)).where(of_task).scalar_subquery()
    end = select(func.max(Job.ended_at)).where(of_task).scalar_subquery()
    if filters.started_before is not None:
        query = query.where(start < filters.started_before)
    if filters.started_after is not None:
        query = query.where(start >= filters.started_after)
    if filters.ended_before is not None:
        query = query.where(end < filters.ended_before)
    if filters.ended_after is not None:
        query = query.where(end >= filters.ended_after)
    names = connection.execute(query.order_by(TaskRow.task_id).limit(most))
    return list(names.scalars())


def count_read_files(connection: Connection, task: int) -> list[ReadCount]:
    """Return how many files the jobs of a task read, by the best state of their readers."""
    rank = case({state: place for place, state in enumerate(_BEST_FIRST)}, value=Job.state)
    best = (
        _reading(Identity.file_id, func.min(rank).label("rank"))
        .join(Identity, Identity.id == Mention.identity_id)
        .where(Job.task_id == task)
        .group_by(Identity.file_id)
        .subquery()
    )
    query = select(best.c.rank, func.count()).group_by(best.c.rank)
    counts = []
    for place, files in connection.execute(query):
        counts.append(ReadCount(STATES[_BEST_FIRST[place]], files))
    return counts


_BEST_FIRST = [STATES.index(s) for s in ("succeeded", "running", "failed", "killed", "lost")]


def readers_of_task(connection: Connection, task: int, *, most: int) -> list[ConsumerJob]:
    """Return the first jobs of a task that read files, in the order in which they came."""
    query = (
        _reading(Job.id, Job.state, Job.batch_id, Host.hostname, func.count())
        .outerjoin(Host, Host.id == Job.host_id)
        .where(Job.task_id == task)
        .group_by(Job.id, Job.state, Job.batch_id, Host.hostname)
        .order_by(Job.id)
        .limit(most)
    )
    readers = []
    for key, state, batch_id, host, files in connection.execute(query):
        readers.append(ConsumerJob(key, STATES[state], batch_id, host, files))
    return readers


def count_readers(connection: Connection, task: int) -> dict[str, int]:
    """Return how many jobs of a task there are by state; reruns for comparison left out."""
    query = (
        select(Job.state, func.count())
        .where(Job.task_id == task, Job.rerun_of.is_(None))
        .group_by(Job.state)
    )
    return {STATES[state]: count for state, count in connection.execute(query)}


def _reading(*columns: Any) -> Select[Any]:
    query: Select[Any] = select(*columns)
    return (
        query.select_from(Mention)
        .join(Job, Job.id == Mention.job_id)
        .where(Job.rerun_of.is_(None), _IS_UNIT_INPUT)
    )
