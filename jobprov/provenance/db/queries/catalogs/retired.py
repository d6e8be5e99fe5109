"""Files of tasks that a catalog knows or knew: which are looked at again, which are in use."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, literal_column, select, tuple_

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import CatalogFileRow, CatalogOutput, CatalogSync, Experiment
from jobprov.provenance.records.files.presence import Presence

_RETIRED_NAMED = """
SELECT a.name, a.namespace FROM catalog_files a
JOIN catalog_outputs o ON o.file_id = a.id
WHERE o.task_id = ? AND o.presence >= ? AND a.name {among}
"""
# A job that reads its own output, as some records say, made nothing from it that would stay
_IN_USE = """
SELECT a.id FROM catalog_files a WHERE EXISTS (
    SELECT 1 FROM files f
    JOIN identities i ON i.file_id = f.id
    JOIN mentions m ON m.identity_id = i.id
    JOIN jobs j ON j.id = m.job_id
    WHERE f.name = a.name AND f.experiment_id = a.experiment_id
    AND (f.namespace = '' OR a.namespace = '' OR f.namespace = a.namespace)
    AND (i.size_bytes IS NULL OR a.size_bytes IS NULL OR i.size_bytes = a.size_bytes)
    AND (m.status IS NULL OR m.status = 'consumed')
    AND j.state = ? AND j.output_count > 0 AND j.rerun_of IS NULL
    AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.job_id = j.id AND c.file_id = f.id)
) AND a.id {among}
"""
# What jobs read of what catalogs retired
_RETIRED_INPUTS = """
SELECT DISTINCT o.task_id, o.file_id FROM mentions m
JOIN identities i ON i.id = m.identity_id
JOIN files f ON f.id = i.file_id
JOIN catalog_files a ON a.name = f.name AND a.experiment_id = f.experiment_id
JOIN catalog_outputs o ON o.file_id = a.id
WHERE o.presence <> 0 AND (f.namespace = '' OR a.namespace = '' OR f.namespace = a.namespace)
AND m.job_id {among}
"""


class OutputPlace(NamedTuple):
    """Which output of a task: its unit, '' where no parent is a unit, and the key of its file."""

    unit: str
    file: int


class KnownOutput(NamedTuple):
    """An output of a task that its catalog knows, or knew until it retired it.

    `unit` and `file` are as in `OutputPlace`; the values of the file are as they were at `seen_at`.
    """

    unit: str
    file: int
    namespace: str
    name: str
    size_bytes: int | None
    checksums: str
    presence: int
    seen_at: datetime

    @property
    def place(self) -> OutputPlace:
        """Return which output it is."""
        return OutputPlace(self.unit, self.file)


_KNOWN = select(
    CatalogOutput.unit,
    CatalogOutput.file_id,
    CatalogFileRow.namespace,
    CatalogFileRow.name,
    CatalogFileRow.size_bytes,
    CatalogFileRow.checksums,
    CatalogOutput.presence,
    CatalogFileRow.seen_at,
).join(CatalogFileRow, CatalogFileRow.id == CatalogOutput.file_id)
_THERE = _KNOWN.where(CatalogOutput.presence == Presence.THERE.value)


def gone_outputs(connection: Connection, task: int, *, limit: int) -> list[KnownOutput]:
    """Return outputs of a task that are gone: any of them, as many as asked for at most."""
    is_gone = CatalogOutput.presence == literal_column("2")  # literally the condition of an index
    query = _KNOWN.where(CatalogOutput.task_id == task, is_gone).limit(limit)
    return [KnownOutput._make(row) for row in connection.execute(query)]


def outputs_after(
    connection: Connection, task: int, after: OutputPlace | None, *, limit: int
) -> list[KnownOutput]:
    """Return the next outputs of a task in the order of unit and file, retired ones too."""
    place = (CatalogOutput.unit, CatalogOutput.file_id)
    query = _KNOWN.where(CatalogOutput.task_id == task).order_by(*place).limit(limit)
    if after is not None:
        query = query.where(tuple_(*place) > after)
    return [KnownOutput._make(row) for row in connection.execute(query)]


def outputs_of_units(connection: Connection, task: int, units: Sequence[str]) -> list[KnownOutput]:
    """Return the outputs of units of a task that are there, as far as that was known."""
    query = _THERE.where(CatalogOutput.task_id == task)
    return _among(connection, query, CatalogOutput.unit, units)


def outputs_of_no_unit(
    connection: Connection, task: int, names: Sequence[str]
) -> list[KnownOutput]:
    """Return the outputs of a task, as children of no unit, with these bare names, still there."""
    query = _THERE.where(CatalogOutput.task_id == task, CatalogOutput.unit == "")
    return _among(connection, query, CatalogFileRow.name, names)


def outputs_of_files(connection: Connection, task: int, files: Sequence[int]) -> list[KnownOutput]:
    """Return the outputs of a task that are these files of its catalog, and are there."""
    query = _THERE.where(CatalogOutput.task_id == task)
    return _among(connection, query, CatalogOutput.file_id, files)


def retired_inputs(connection: Connection, jobs: Sequence[int]) -> dict[int, list[KnownOutput]]:
    """Return the inputs of jobs that a catalog retired, by the task whose outputs they are."""
    files_of_task: dict[int, list[int]] = {}
    for task, file in select_among(connection, _RETIRED_INPUTS, jobs):
        files_of_task.setdefault(task, []).append(file)
    inputs = {}
    for task, files in files_of_task.items():
        query = _KNOWN.where(
            CatalogOutput.task_id == task, CatalogOutput.presence != Presence.THERE.value
        )
        inputs[task] = _among(connection, query, CatalogOutput.file_id, files)
    return inputs


def _among(
    connection: Connection, query: Select[*tuple[Any, ...]], column: Any, values: Sequence[Any]
) -> list[KnownOutput]:
    return [KnownOutput._make(row) for row in rows_among(connection, query, column, values)]


def last_checked(connection: Connection, task: int) -> OutputPlace | None:
    """Return up to which output, in the order of their places, they were looked at again."""
    query = select(CatalogSync.checked_unit, CatalogSync.checked_file)
    row = connection.execute(query.where(CatalogSync.task_id == task)).first()
    if row is None or row.checked_unit is None:
        return None
    return OutputPlace(row.checked_unit, row.checked_file)


def is_retired(connection: Connection, experiment: str, names: Collection[tuple[str, str]]) -> bool:
    """Return whether the catalog had a file, under any of its names, and has it under none.

    Each is a namespace, '' for none, and a name.
    """
    query = (
        select(CatalogFileRow.namespace, CatalogFileRow.name, CatalogOutput.presence)
        .join(CatalogOutput, CatalogOutput.file_id == CatalogFileRow.id)
        .join(Experiment, Experiment.id == CatalogFileRow.experiment_id)
        .where(Experiment.name == experiment)
        .where(CatalogFileRow.name.in_(sorted({name for _, name in names})))
    )
    presences = set()
    for namespace, name, presence in connection.execute(query):
        if {("", name), (namespace, name)} & set(names) or not namespace:
            presences.add(presence)
    return bool(presences) and Presence.THERE not in presences


def files_in_use(connection: Connection, files: Sequence[int]) -> set[int]:
    """Return those of these files of catalogs from which a job made a file that counts."""
    return {key for (key,) in select_among(connection, _IN_USE, files, SUCCEEDED)}


def gone_among(
    connection: Connection, task: int, files: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return those of these files, by name and namespace, that are gone from a task's catalog."""
    return _retired_among(connection, task, files, Presence.GONE)


def retired_among(
    connection: Connection, task: int, files: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return those of these files, by name and namespace, that are gone or spent."""
    return _retired_among(connection, task, files, Presence.SPENT)


def _retired_among(
    connection: Connection, task: int, files: Iterable[tuple[str, str]], least: Presence
) -> set[tuple[str, str]]:
    """Return those of these files that a task's catalog retired, this much at least.

    Either side may know no namespace.
    """
    wanted = set(files)
    namespaces_by_name: dict[str, set[str]] = {}
    names = sorted({name for name, _ in wanted})
    for name, namespace in select_among(connection, _RETIRED_NAMED, names, task, least.value):
        namespaces_by_name.setdefault(name, set()).add(namespace)
    retired = set()
    for name, namespace in wanted:
        namespaces = namespaces_by_name.get(name, set())
        if namespaces and (not namespace or namespaces & {"", namespace}):
            retired.add((name, namespace))
    return retired
