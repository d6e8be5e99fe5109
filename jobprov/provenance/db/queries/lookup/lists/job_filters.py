"""Filters of lists of jobs, and the conditions in SQL that they stand for."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, union_all

from jobprov.provenance.answers.names import is_job_id
from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.fragments.stages import MAY_HOLD_STAGE, is_at_stage
from jobprov.provenance.db.recording.job_rows import FIRST_BAD, STATES
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    FailureClass,
    Host,
    Identity,
    Job,
    JobSeed,
    Mention,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
    Stage,
    TaskRow,
)
from jobprov.provenance.errors import BadInputError

MOST_IDS = 200
"""Ids of jobs in a filter: so many fit into an address."""


class JobFilters(NamedTuple):
    """Filters of a list of jobs; None sets no condition.

    Attributes:
        state: one or several with commas between them.
        job_id: ids of jobs, several with commas between them.
        variable: `NAME=VALUE` of an environment variable that decides physics, or its name.
        seed: of a random engine, as the job drew it.
        software: name of code that the job used; with `revision`, of the code that was at it.
        software_keys: integer keys of software entries; the job used one of them.
        file: a file that the job consumed or produced, by name, with `file_experiment` and
            `namespace` ('' for none).
        reads: a file that the job consumed, named alike.
        checksum: with which the job saw the file; see `named_filters.py`.
        file_key, reads_key: the same by their integer keys, in their place:
            `services/lookup/named_filters.py`.
        identity_keys: in place of `checksum`, the keys of the identities that have it.
        host_keys, software_sets: the keys of the hosts, and of the lists of software, that the
            filters above name, once they are looked up: see `look_up_keys`.
    """

    experiment: str | None = None
    task_id: str | None = None
    campaign: str | None = None
    stage: str | None = None
    state: str | None = None
    job_id: str | None = None
    exit_code: int | None = None
    failed_step: str | None = None
    error_class: str | None = None
    failure_class: str | None = None
    cause_id: str | None = None
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
    variable: str | None = None
    seed: int | None = None
    software: str | None = None
    software_keys: frozenset[int] | None = None
    reads: str | None = None
    file_experiment: str | None = None
    namespace: str | None = None
    checksum: str | None = None
    file_key: int | None = None
    reads_key: int | None = None
    identity_keys: frozenset[int] | None = None
    host_keys: frozenset[int] | None = None
    software_sets: frozenset[int] | None = None


_OF_HOSTS = ("host", "site")
_OF_SOFTWARE = ("software", "software_keys", "revision")


def is_of_tasks(filters: JobFilters) -> bool:
    """Return whether the filters name a task, a campaign or a stage."""
    return any((filters.task_id, filters.campaign, filters.stage))


def narrowed(query: Select[Any], filters: JobFilters) -> Select[Any]:
    """Return a query over jobs, narrowed to those that pass the filters.

    It is one that `selected` made, with experiment, task, stage and host.
    """
    of_joined_tables = {
        Experiment.name: filters.experiment,
        TaskRow.task_id: filters.task_id,
        Stage.campaign: filters.campaign,
        Host.hostname: filters.host,
        Host.site: filters.site,
    }
    conditions = _equalities(of_joined_tables)
    if filters.stage is not None:
        conditions.append(or_(Stage.name == filters.stage, MAY_HOLD_STAGE))
        conditions.append(is_at_stage(filters.stage))
    return query.where(*conditions, *_own_conditions(filters))


def job_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return the conditions of the filters on jobs alone, without a join with other tables.

    That way an index alone can answer a count.
    """
    conditions = _own_conditions(filters)
    experiment = None
    if filters.experiment is not None:
        experiment = _key_of(Experiment, {Experiment.name: filters.experiment}).scalar_subquery()
    if is_of_tasks(filters):
        keys_of_tasks = _keys_of_tasks(filters)
        if experiment is not None:
            keys_of_tasks = keys_of_tasks.where(TaskRow.experiment_id == experiment)
        conditions.append(Job.task_id.in_(keys_of_tasks))
        if filters.stage is not None:
            conditions.append(is_at_stage(filters.stage))
    elif experiment is not None:
        conditions.append(Job.experiment_id == experiment)
    hosts = {Host.hostname: filters.host, Host.site: filters.site}
    if any(value is not None for value in hosts.values()):
        conditions.append(Job.host_id.in_(_key_of(Host, hosts)))
    return conditions


def _keys_of_tasks(filters: JobFilters) -> Select[int]:
    """Return the query for the tasks that filters on tasks, campaigns and stages choose."""
    wanted = {TaskRow.task_id: filters.task_id, Stage.campaign: filters.campaign}
    keys = _key_of(TaskRow, wanted)
    if filters.stage is not None:
        keys = keys.where(or_(Stage.name == filters.stage, MAY_HOLD_STAGE))
    if filters.campaign is not None or filters.stage is not None:
        keys = keys.join(Stage, Stage.id == TaskRow.stage_id)
    return keys


def _key_of(table: Any, wanted: Mapping[Any, str | None]) -> Select[int]:
    return select(table.id).where(*_equalities(wanted))


def _equalities(wanted: Mapping[Any, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions that these columns have these values; None sets no condition."""
    return [column == value for column, value in wanted.items() if value is not None]


def _own_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return the conditions on a job's own columns."""
    conditions = _equalities(
        {
            Job.exit_code: filters.exit_code,
            Job.failed_step: filters.failed_step,
            Job.error_class: filters.error_class,
            Job.unit: filters.unit,
            Job.batch_id: filters.batch_id,
            Job.recipe: filters.recipe,
        }
    )
    if filters.state is not None:
        conditions.append(_is_in_state(filters.state))
    if filters.job_id is not None:
        conditions.append(Job.uuid.in_(read_job_ids(filters.job_id)))
    conditions += _time_conditions(filters)
    if software_conditions(filters):
        conditions.append(Job.software_set_id.in_(_software_sets(filters)))
    if filters.cause_id is not None:
        alike = select(FailureClass.job_id).where(FailureClass.cause_key == filters.cause_id)
        conditions += [Job.id.in_(alike), IS_BAD]
    if filters.seed is not None:
        conditions.append(Job.id.in_(select(JobSeed.job_id).where(JobSeed.seed == filters.seed)))
    if filters.failure_class is not None:
        classified = select(FailureClass.job_id).where(
            FailureClass.class_name == filters.failure_class
        )
        conditions += [Job.id.in_(classified), IS_BAD]
    conditions += _file_conditions(filters)
    return conditions


def _file_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.file_key is not None:
        made = select(Claim.job_id).where(Claim.file_id == filters.file_key)
        if filters.identity_keys is not None:
            made = made.where(Claim.identity_id.in_(filters.identity_keys))
        read = _read(filters.file_key, filters.identity_keys)
        conditions.append(Job.id.in_(union_all(made, read)))
    if filters.reads_key is not None:
        conditions.append(Job.id.in_(_read(filters.reads_key, filters.identity_keys)))
    return conditions


def _time_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.started_after is not None:
        conditions.append(Job.started_at >= filters.started_after)
    if filters.started_before is not None:
        conditions.append(Job.started_at < filters.started_before)
    if filters.received_after is not None:
        conditions.append(Job.received_at >= filters.received_after)
    return conditions


def _is_in_state(states: str) -> ColumnElement[bool]:
    numbers = read_states(states)
    is_in_state = Job.state.in_(numbers) if len(numbers) > 1 else Job.state == numbers[0]
    if min(numbers) < FIRST_BAD:
        return is_in_state
    return and_(IS_BAD, is_in_state)


def read_states(states: str) -> list[int]:
    """Return the numbers of states that are named with commas between them, each once.

    Raises:
        BadInputError: a name is not a state, or there is no name.
    """
    numbers = []
    for name in _listed(states, "state"):
        if name not in STATES:
            problem = f"{name[:40]!r} is not one of {', '.join(STATES)}"
            raise BadInputError.of_field("state", problem)
        numbers.append(STATES.index(name))
    return numbers


def read_job_ids(ids: str) -> list[str]:
    """Return the ids of jobs that are named with commas between them, each once.

    Raises:
        BadInputError: a name is not an id, there is none, or there are too many.
    """
    names = _listed(ids, "job_id")
    if len(names) > MOST_IDS:
        problem = f"at most {MOST_IDS} ids at a time, not {len(names)}"
        raise BadInputError.of_field("job_id", problem)
    for name in names:
        if not is_job_id(name):
            problem = f"{name[:40]!r} is not the id of a job"
            raise BadInputError.of_field("job_id", problem)
    return names


def _listed(words: str, parameter: str) -> list[str]:
    """Return words between commas, each once.

    Raises:
        BadInputError: there is none.
    """
    listed = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if not listed:
        raise BadInputError(f"{parameter}: name at least one.", {parameter: ["none is named"]})
    return listed


def software_conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return what must hold of one entry of a job's list of software."""
    conditions: list[ColumnElement[bool]] = []
    if filters.software is not None:
        conditions.append(SoftwareRow.name == filters.software)
    if filters.software_keys is not None:
        conditions.append(SoftwareRow.id.in_(sorted(filters.software_keys)))
    if filters.revision is not None:
        conditions.append(_is_at(filters.revision))
    return conditions


def _is_at(revision: str) -> ColumnElement[bool]:
    """Return the condition that an entry was at a commit (its first digits do) or at a ref."""
    resolutions = select(Resolution.id).where(
        Resolution.commit.startswith(revision, autoescape=True) | (Resolution.asked == revision)
    )
    return (
        begins(SoftwareRow.revision, revision)
        | (SoftwareRow.requested_ref == revision)
        # a product names no commit itself: the service inferred it from the version
        | SoftwareRow.resolution_id.in_(resolutions)
    )


def look_up_keys(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return the filters with the keys of the hosts and lists of software that they name.

    A question that takes several queries looks them up once, before the first.

    PostgreSQL knows how many jobs have each list of software, but only guesses how many a join has,
    and then reads all jobs. And an index has the jobs of one host in order, but not those of hosts
    that a sub-query returns.
    """
    if software_conditions(filters) and filters.software_sets is None:
        sets = connection.execute(_software_sets(filters)).scalars()
        filters = filters._replace(software_sets=frozenset(sets))
    if filters.host is not None and filters.host_keys is None:
        named = {Host.hostname: filters.host, Host.site: filters.site}
        hosts = connection.execute(_key_of(Host, named)).scalars()
        filters = filters._replace(host_keys=frozenset(hosts))
    return filters


def without(filters: JobFilters, names: AbstractSet[str]) -> JobFilters:
    """Return the filters without those of these names, and without the keys that these had."""
    gone = set(names)
    if not gone.isdisjoint(_OF_HOSTS):
        gone.add("host_keys")
    if not gone.isdisjoint(_OF_SOFTWARE):
        gone.add("software_sets")
    return filters._replace(**dict.fromkeys(gone))


def conditions_by_keys(connection: Connection, filters: JobFilters) -> list[ColumnElement[bool]]:
    """Return the conditions on jobs alone, with hosts and software by their keys."""
    others, by_key = by_keys(connection, filters)
    return [*job_conditions(others), *by_key]


def by_keys(
    connection: Connection, filters: JobFilters
) -> tuple[JobFilters, list[ColumnElement[bool]]]:
    """Return the filters without software and host, and the conditions by keys in their place."""
    keys = look_up_keys(connection, filters)
    conditions: list[ColumnElement[bool]] = []
    others = filters
    if keys.software_sets is not None:
        others = without(others, set(_OF_SOFTWARE))
        conditions.append(among(connection, Job.software_set_id, sorted(keys.software_sets)))
    if keys.host_keys is not None:
        others = without(others, set(_OF_HOSTS))
        conditions.append(_ran_on(connection, keys.host_keys))
    return others, conditions


def _ran_on(connection: Connection, hosts: frozenset[int]) -> ColumnElement[bool]:
    if len(hosts) == 1:
        (host,) = hosts
        return Job.host_id == host
    # two sites may have a host of one name
    return among(connection, Job.host_id, sorted(hosts))


def _software_sets(filters: JobFilters) -> Select[int]:
    """Return the query for the keys of software lists with an entry that the filters want."""
    return (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(*software_conditions(filters))
    )


def _read(file: int, identities: frozenset[int] | None) -> Select[int]:
    """Return the query for the jobs that consumed a file; only as some identities if given."""
    query = (
        select(Mention.job_id)
        .join(Identity, Identity.id == Mention.identity_id)
        .where(Identity.file_id == file)
    )
    if identities is not None:
        query = query.where(Mention.identity_id.in_(identities))
    return query
