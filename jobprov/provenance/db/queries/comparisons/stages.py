"""What the jobs of two productions ran, by stage.

Jobs share lists of software and of configurations, and there are few such lists. So jobs are
counted by list, and each list is read once, however many jobs have it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.fragments.stages import with_stage
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, conditions_by_keys
from jobprov.provenance.db.recording.configurations.art_runs import RecordedClosure
from jobprov.provenance.db.recording.configurations.parameters import CUT
from jobprov.provenance.db.recording.configurations.physics_variables import variable_key
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Job, Stage
from jobprov.provenance.db.tables.configurations import SETS_A_BLOCK, sets_in
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.job_record import Software

MOST_CLASSES = 2000
"""Kinds of jobs of one production that are compared, the most frequent ones."""
_MOST_ROWS = 300_000
_OF_VARIABLES = variable_key("")

_SOFTWARE_LISTS = """
SELECT software_set_id, software_id FROM software_set_members
WHERE software_set_id {among} ORDER BY software_set_id, position
"""
_SOFTWARE = """
SELECT s.id, s.document, r."commit" FROM software AS s
LEFT JOIN resolutions AS r ON r.id = s.resolution_id WHERE s.id {among}
"""
_CONFIGURATIONS = """
SELECT m.closure_set_id, m.closure_id FROM closure_set_members AS m
WHERE m.closure_set_id {among} ORDER BY m.closure_set_id, m.position
"""
_CLOSURES = "SELECT id, document FROM closures WHERE id {among}"
_EVALUATIONS = """
SELECT experiment_id, closure_id, set_id, as_written FROM evaluations
WHERE set_id IS NOT NULL AND closure_id {among}
"""
_BLOCKS = f"""
SELECT table_id, block, members FROM parameter_set_tables
WHERE block {{among}} LIMIT {_MOST_ROWS + 1}
"""  # noqa: S608 - nothing in it is from outside
_VALUES = f"""
SELECT p.table_id, k.name, v.canonical FROM parameters AS p
JOIN parameter_values AS v ON v.id = p.value_id JOIN parameter_keys AS k ON k.id = v.key_id
WHERE p.table_id {{among}} LIMIT {_MOST_ROWS + 1}
"""  # noqa: S608 - nothing in it is from outside


class JobClass(NamedTuple):
    """Jobs of one stage that share their lists of software and configurations.

    Attributes:
        stage: its name, None where no record names one.
        software_set, closure_set: integer keys; None where the records name none.
    """

    stage: str | None
    experiment: int
    software_set: int | None
    closure_set: int | None
    job_count: int


def classes_of_tasks(connection: Connection, tasks: Iterable[int]) -> list[JobClass]:
    """Return the kinds of jobs of some tasks, as `_classes` does."""
    return _classes(connection, [among(connection, Job.task_id, sorted(tasks))])


def classes_with_software(connection: Connection, filters: JobFilters) -> list[JobClass]:
    """Return the kinds of jobs that used the software of the filters, as `_classes` does."""
    return _classes(connection, conditions_by_keys(connection, filters))


def _classes(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[JobClass]:
    """Return the kinds of jobs that meet the conditions, one more than `MOST_CLASSES` at most.

    The most frequent come first. Reruns for comparison are left out.
    """
    shared = Stage.name, Job.experiment_id, Job.software_set_id, Job.closure_set_id
    job_count = func.count()
    query = (
        with_stage(select(*shared, job_count).select_from(Job))
        .where(*conditions, Job.rerun_of.is_(None))
        .group_by(*shared)
        .order_by(job_count.desc(), *shared)
        .limit(MOST_CLASSES + 1)
    )
    return [JobClass(*row) for row in connection.execute(query)]


class UsedSoftware(NamedTuple):
    """An entry of a list of software, and the commit that it was resolved to."""

    entry: Software
    commit: str | None


def software_of(connection: Connection, lists: Iterable[int]) -> dict[int, list[UsedSoftware]]:
    """Return the entries of lists of software, by the key of the list."""
    members: dict[int, list[int]] = {}
    for software_list, entry in select_among(connection, _SOFTWARE_LISTS, sorted(lists)):
        members.setdefault(software_list, []).append(entry)
    used: dict[int, UsedSoftware] = {}
    for entry, document, commit in select_among(connection, _SOFTWARE, _all_of(members)):
        used[entry] = UsedSoftware(msgspec.json.decode(unpack(document), type=Software), commit)
    software = {}
    for software_list, entries in members.items():
        software[software_list] = [used[entry] for entry in entries]
    return software


def _all_of(members: Mapping[int, Iterable[int]]) -> list[int]:
    """Return the members of all lists, each once, in order."""
    return sorted(set().union(*members.values()))


class UsedConfiguration(NamedTuple):
    """An entry of a list of configurations: its key, and what records say of it."""

    key: int
    recorded: RecordedClosure

    @property
    def step(self) -> str:
        """Return the step of the job that ran it; '' for one without a name."""
        return self.recorded.step or ""


def configurations_of(
    connection: Connection, lists: Iterable[int]
) -> dict[int, list[UsedConfiguration]]:
    """Return the entries of lists of configurations, by the key of the list."""
    members: dict[int, list[int]] = {}
    for closure_set, closure in select_among(connection, _CONFIGURATIONS, sorted(lists)):
        members.setdefault(closure_set, []).append(closure)
    used: dict[int, UsedConfiguration] = {}
    for closure, document in select_among(connection, _CLOSURES, _all_of(members)):
        recorded = msgspec.json.decode(unpack(document), type=RecordedClosure)
        used[closure] = UsedConfiguration(closure, recorded)
    configurations = {}
    for closure_set, closures in members.items():
        configurations[closure_set] = [used[closure] for closure in closures]
    return configurations


class EvaluatedSet(NamedTuple):
    """The set that a configuration evaluates to; `as_written` is why it is not what ran."""

    key: int
    as_written: str | None


def evaluated_sets(
    connection: Connection, closures: Iterable[int]
) -> dict[tuple[int, int], EvaluatedSet]:
    """Return the sets of configurations, by keys of experiment and configuration."""
    rows = select_among(connection, _EVALUATIONS, sorted(closures))
    return {(experiment, closure): EvaluatedSet(*of_set) for experiment, closure, *of_set in rows}


def differing_parameters(connection: Connection, sets: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the parameters in which parameter sets are not all alike, by set.

    Tables that all of the sets have are alike, and are not read. Variables are left out, and so are
    elements of sequences, which are there as a whole.

    Raises:
        LimitError: the sets have too little in common.
    """
    wanted = set(sets)
    sets_of_table = _sets_of_tables(connection, wanted)
    differing = [table for table, having in sets_of_table.items() if having != wanted]
    parameters: dict[int, dict[str, str]] = {key: {} for key in wanted}
    for table, name, canonical in _bounded(select_among(connection, _VALUES, sorted(differing))):
        if name.startswith(_OF_VARIABLES):
            continue
        for key in sets_of_table[table]:
            parameters[key][name] = canonical
    return _without_elements(_without_common(parameters))


def _sets_of_tables(connection: Connection, wanted: set[int]) -> dict[int, set[int]]:
    """Return which of the wanted sets have each table."""
    blocks = sorted({key // SETS_A_BLOCK for key in wanted})
    having: dict[int, set[int]] = {}
    for table, block, members in _bounded(select_among(connection, _BLOCKS, blocks)):
        of_block = wanted.intersection(sets_in(block, members))
        if of_block:
            having.setdefault(table, set()).update(of_block)
    return having


def _bounded(rows: list[Any]) -> list[Any]:
    if len(rows) > _MOST_ROWS:
        message = "These configurations have too little in common to be compared."
        raise LimitError(message, _MOST_ROWS)
    return rows


def _without_common(parameters: Mapping[int, dict[str, str]]) -> dict[int, dict[str, str]]:
    """Return the parameters without those that all sets give one value."""
    values: dict[str, set[str | None]] = {}
    for of_set in parameters.values():
        for name in of_set:
            values.setdefault(name, set())
    for name, values_of_name in values.items():
        values_of_name.update(of_set.get(name) for of_set in parameters.values())
    differing: dict[int, dict[str, str]] = {}
    for key, of_set in parameters.items():
        differing[key] = {name: value for name, value in of_set.items() if len(values[name]) > 1}
    return differing


def _without_elements(parameters: Mapping[int, dict[str, str]]) -> dict[int, dict[str, str]]:
    """Return the parameters without elements of sequences whose whole text is among them."""
    cut_off: set[str] = set()
    sequences: set[str] = set()
    for of_set in parameters.values():
        for name, value in of_set.items():
            if value.startswith("["):
                sequences.add(name)
            if CUT in value:
                cut_off.add(name)
    whole = sequences - cut_off
    without_elements: dict[int, dict[str, str]] = {}
    for key, of_set in parameters.items():
        remaining = without_elements.setdefault(key, {})
        for name, value in of_set.items():
            sequence, bracket, _ = name.partition("[")
            if not (bracket and sequence in whole):
                remaining[name] = value
    return without_elements
