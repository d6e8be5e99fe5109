"""Jobs in lists: filters, the newest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, select, union_all

from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.configurations.parameters import (
    among,
    configurations_with,
    newest_that_ran,
)
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.lookup.job_summaries import SUMMARIES, summaries
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    FailureClass,
    Host,
    Identity,
    Job,
    Mention,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
    Stage,
    TaskRow,
)
from jobprov.provenance.errors import BadInputError

_FIRST_BAD = STATES.index("failed")


class JobFilters(NamedTuple):
    """What a list of jobs is narrowed to; None for what does not matter.

    Attributes:
        software: name of code that the job used; with `revision`, of the code that was at it.
        software_keys: integer keys of software entries, of which the job used one.
        file: a file that the job consumed or produced, by name, with `file_experiment` and
            `namespace` ('' for none).
        reads: a file that the job consumed, named alike.
        file_key, reads_key: the same by their integer keys, in their place:
            `services/lookup/file_names.py`.
    """

    experiment: str | None = None
    task_id: str | None = None
    campaign: str | None = None
    stage: str | None = None
    state: str | None = None
    exit_code: int | None = None
    failed_step: str | None = None
    error_class: str | None = None
    failure_class: str | None = None
    host: str | None = None
    site: str | None = None
    revision: str | None = None
    file: str | None = None
    unit: str | None = None
    batch_id: str | None = None
    recipe: bytes | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    received_after: datetime | None = None
    parameter: str | None = None
    value: str | None = None
    software: str | None = None
    software_keys: frozenset[int] | None = None
    reads: str | None = None
    file_experiment: str | None = None
    namespace: str | None = None
    file_key: int | None = None
    reads_key: int | None = None


def list_job_rows(
    connection: Connection,
    filters: JobFilters,
    *,
    limit: int,
    before: int | None,
    condition: ParameterCondition | None = None,
) -> list[tuple[int, dict[str, Any]]]:
    """Return (key, summary) of the newest jobs that pass the filters, recorded before the job with key `before`.

    `condition` is what the filters `parameter` and `value` say.
    """
    others, software = by_software(connection, filters)
    query = narrowed(SUMMARIES, others).where(*software).order_by(Job.id.desc())
    if condition is not None:
        return _that_ran(connection, query, condition, limit=limit, before=before)
    if before is not None:
        query = query.where(Job.id < before)
    rows = connection.execute(query.limit(limit)).all()
    return list(summaries(connection, rows).items())


def _that_ran(
    connection: Connection,
    query: Select[Any],
    condition: ParameterCondition,
    *,
    limit: int,
    before: int | None,
) -> list[tuple[int, dict[str, Any]]]:
    """Return the first of the query's jobs whose configuration is so."""
    rows: dict[int, Any] = {}
    ran = configurations_with(connection, condition)
    for jobs in newest_that_ran(connection, ran, before=before, length=limit):
        found = query.where(among(connection, Job.id, jobs)).limit(limit)
        rows.update((row[0], row) for row in connection.execute(found))
        if len(rows) >= limit:
            break
    return list(summaries(connection, list(rows.values())[:limit]).items())


def jobs_among(connection: Connection, filters: JobFilters, keys: Sequence[int]) -> set[int]:
    """Return those of these jobs, by integer key, that pass the filters."""
    others, software = by_software(connection, filters)
    query = select(Job.id).where(
        *job_conditions(others), *software, among(connection, Job.id, keys)
    )
    return {row[0] for row in connection.execute(query)}


def narrowed(query: Select[Any], filters: JobFilters) -> Select[Any]:
    """Return a query over jobs, `selected` with experiment, task, stage and host, that passes only what the filters let through."""
    equal = {
        Experiment.name: filters.experiment,
        TaskRow.task_id: filters.task_id,
        Stage.campaign: filters.campaign,
        Stage.name: filters.stage,
        Host.hostname: filters.host,
        Host.site: filters.site,
    }
    joined = [column == value for column, value in equal.items() if value is not None]
    return query.where(*joined, *_own_conditions(filters))


def job_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return the same as conditions on jobs alone, where no other table is joined.

    An index answers a count by itself then.
    """
    found = _own_conditions(filters)
    if filters.experiment is not None:
        found.append(
            Job.experiment_id
            == _key_of(Experiment, {Experiment.name: filters.experiment}).scalar_subquery()
        )
    tasks = {
        TaskRow.task_id: filters.task_id,
        Stage.campaign: filters.campaign,
        Stage.name: filters.stage,
    }
    if any(value is not None for value in tasks.values()):
        query = _key_of(TaskRow, tasks)
        is_staged = filters.campaign is not None or filters.stage is not None
        found.append(
            Job.task_id.in_(query.join(Stage, Stage.id == TaskRow.stage_id) if is_staged else query)
        )
    hosts = {Host.hostname: filters.host, Host.site: filters.site}
    if any(value is not None for value in hosts.values()):
        found.append(Job.host_id.in_(_key_of(Host, hosts)))
    return found


def _key_of(table: Any, equal: Mapping[Any, str | None]) -> Select[int]:
    return select(table.id).where(
        *(column == value for column, value in equal.items() if value is not None)
    )


def _own_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return what the filters say of a job's own columns."""
    equal = {
        Job.exit_code: filters.exit_code,
        Job.failed_step: filters.failed_step,
        Job.error_class: filters.error_class,
        Job.unit: filters.unit,
        Job.batch_id: filters.batch_id,
        Job.recipe: filters.recipe,
        Job.state: None if filters.state is None else _state_number(filters.state),
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if filters.started_after is not None:
        found.append(Job.started_at >= filters.started_after)
    if filters.started_before is not None:
        found.append(Job.started_at < filters.started_before)
    if filters.received_after is not None:
        found.append(Job.received_at >= filters.received_after)
    if software_conditions(filters):
        found.append(Job.software_set_id.in_(_software_sets(filters)))
    if filters.failure_class is not None:
        read = select(FailureClass.job_id).where(FailureClass.class_name == filters.failure_class)
        found += [Job.id.in_(read), Job.state >= _FIRST_BAD]
    if filters.file_key is not None:
        found.append(Job.id.in_(union_all(_made(filters.file_key), _read(filters.file_key))))
    if filters.reads_key is not None:
        found.append(Job.id.in_(_read(filters.reads_key)))
    return found


def _state_number(state: str) -> int:
    if state not in STATES:
        raise BadInputError(
            f"state: one of {', '.join(STATES)}.", {"state": [f"one of {', '.join(STATES)}"]}
        )
    return STATES.index(state)


def software_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return what must hold of one entry of a job's list of software."""
    found: list[ColumnElement[bool]] = []
    if filters.software is not None:
        found.append(SoftwareRow.name == filters.software)
    if filters.software_keys is not None:
        found.append(SoftwareRow.id.in_(sorted(filters.software_keys)))
    if (
        revision := filters.revision
    ) is not None:  # a commit, whole or by its first digits, or a ref
        is_commit = begins(SoftwareRow.revision, revision)
        is_found = Resolution.commit.startswith(revision, autoescape=True) | (
            Resolution.asked == revision
        )
        resolved = SoftwareRow.resolution_id.in_(
            select(Resolution.id).where(is_found)
        )  # of a product: inferred
        found.append(is_commit | (SoftwareRow.requested_ref == revision) | resolved)
    return found


def by_software(
    connection: Connection, filters: JobFilters
) -> tuple[JobFilters, list[ColumnElement[bool]]]:
    """Return the filters without what they say of software, and the condition that says it by keys of lists that are looked up here.

    PostgreSQL knows how many jobs have each list, but guesses of a join, and reads all jobs then.
    """
    if not software_conditions(filters):
        return filters, []
    sets = connection.execute(_software_sets(filters)).scalars().all()
    others = filters._replace(software=None, software_keys=None, revision=None)
    return others, [among(connection, Job.software_set_id, sets)]


def _software_sets(filters: JobFilters) -> Select[int]:
    """Return the query for the keys of the lists of software with an entry that the filters ask for."""
    return (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(*software_conditions(filters))
    )


def _made(file: int) -> Select[int]:
    """Return the query for the jobs that produced a file.

    Looked up from the file, which few jobs touch.
    """
    return select(Claim.job_id).where(Claim.file_id == file)


def _read(file: int) -> Select[int]:
    """Return the query for the jobs that consumed a file."""
    return (
        select(Mention.job_id)
        .join(Identity, Identity.id == Mention.identity_id)
        .where(Identity.file_id == file)
    )
