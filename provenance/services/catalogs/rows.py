"""What a catalog said of a task, as rows.

The rows hold outputs by unit, the task's files, the processes of its project, and how far the
catalog was asked.

Not in the ledger: it is asked again. What is asked, and when, is in `catalogs/sync.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from jobprov.provenance.catalogs.catalog import Catalog, CatalogFile, Process
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    CatalogProcess,
    CatalogSync,
    CatalogUse,
)
from jobprov.provenance.services.writing import Writing


def write_outputs(
    writing: Writing,
    catalog: Catalog,
    task: FoundTask,
    *,
    units: Mapping[str, str],
    files: Sequence[CatalogFile],
) -> None:
    """Write what the catalog knows of these units in place of what it knew before.

    Each unit comes with what the catalog calls it.
    """
    table = table_of(CatalogOutput)
    for part in chunks(list(units)):
        writing.connection.execute(
            delete(table).where(table.c.task_id == task.key, table.c.unit.in_(part))
        )
    keys = _intern_files(writing, catalog, task.experiment_key, files)
    mine = {called: unit for unit, called in units.items() if unit}
    rows = {
        (unit, keys[file.name]): {"task_id": task.key, "unit": unit, "file_id": keys[file.name]}
        for file in files
        for unit in ([mine[parent] for parent in file.parents if parent in mine] if mine else [""])
    }
    insert_rows(writing.connection, table, list(rows.values()))


def _intern_files(
    writing: Writing, catalog: Catalog, experiment: int, files: Iterable[CatalogFile]
) -> dict[str, int]:
    """Return the key of each file by name, its row brought up to date."""
    table, now = table_of(CatalogFileRow), datetime.now(UTC)
    rows, names = {}, {}
    for file in files:
        namespace, name = catalog.split(file.name)
        names[file.name] = (name, namespace, experiment)
        rows[name, namespace, experiment] = {
            "name": name,
            "namespace": namespace,
            "experiment_id": experiment,
            "size_bytes": file.size_bytes,
            "checksums": " ".join(file.checksums),
            "process_id": file.process_id,
            "task_id": file.task_id,
            "job_uuid": file.job_id
            if file.job_id and len(file.job_id) == 36  # noqa: PLR2004 - a UUID
            else None,
            "seen_at": now,
        }
    found = writing.intern(table, ["name", "namespace", "experiment_id"], rows)
    _bring_up_to_date(writing.connection, {found[key]: row for key, row in rows.items()})
    return {name: found[key] for name, key in names.items()}


def _bring_up_to_date(connection: Connection, rows: Mapping[int, dict[str, Any]]) -> None:
    """Change the rows of files of which the catalog says something else by now."""
    table = table_of(CatalogFileRow)
    told = ("size_bytes", "checksums", "process_id", "task_id", "job_uuid")
    for part in chunks(list(rows)):
        for held in connection.execute(select(table).where(table.c.id.in_(part))).mappings():
            values = {name: rows[held["id"]][name] for name in (*told, "seen_at")}
            if any(held[name] != values[name] for name in told):
                connection.execute(update(table).where(table.c.id == held["id"]).values(**values))


def write_processes(
    connection: Connection,
    task: int,
    processes: Sequence[Process],
    inputs: Mapping[int, Sequence[str]],
) -> None:
    """Write the processes of a task's project in place of those before.

    The inputs of some of them are written too, by process.
    """
    table, uses = table_of(CatalogProcess), table_of(CatalogUse)
    connection.execute(delete(table).where(table.c.task_id == task))
    rows = {
        each.process_id: {
            "task_id": task,
            "process_id": each.process_id,
            "batch_id": each.description,
            "node": each.node,
            "status": each.status,
        }
        for each in processes
    }
    insert_rows(connection, table, list(rows.values()))
    for part in chunks(list(inputs)):
        connection.execute(delete(uses).where(uses.c.task_id == task, uses.c.process_id.in_(part)))
    given = {(name, process) for process, names in inputs.items() for name in names}
    insert_rows(
        connection,
        uses,
        [{"task_id": task, "unit": unit, "process_id": process} for unit, process in sorted(given)],
    )


def note_sync(connection: Connection, task: int, values: dict[str, Any]) -> None:
    """Note how far a task was asked about."""
    table = table_of(CatalogSync)
    if (
        connection.execute(update(table).where(table.c.task_id == task).values(**values)).rowcount
        == 0
    ):
        connection.execute(table.insert(), [{"task_id": task, "next_unit": 0, **values}])
