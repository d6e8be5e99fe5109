"""Writes what catalogs know of tasks, and files as catalogs and transfer services saw them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from jobprov.provenance.db.queries.catalogs.retired import OutputPlace
from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.recording.identities import FileKey, SeenIdentity
from jobprov.provenance.db.statements.driver import change_many, fetch
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    CatalogProcess,
    CatalogSync,
    CatalogUse,
    File,
    Identity,
    Sighting,
    UnarrivedFile,
)
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.advisory_locks import OF_RUN
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.files.presence import Presence

_FILE_KEY = ["name", "namespace", "experiment_id"]
_CATALOG_SAYS = ("size_bytes", "checksums", "process_id", "task_id", "job_uuid")
"""Columns of a file that the catalog may change its mind about."""
_THERE = "UPDATE catalog_outputs SET presence = 0 WHERE task_id = ? AND unit = ? AND file_id = ?"
_ARRIVED = "DELETE FROM unarrived_files WHERE task_id = ? AND job_id = ? AND file_id = ?"
_REMOVE = "DELETE FROM catalog_outputs WHERE task_id = ? AND unit = ? AND file_id = ?"


class CatalogFileDraft(NamedTuple):
    """A file as a catalog knows it; columns of `CatalogFileRow`."""

    name: str
    namespace: str
    experiment_id: int
    size_bytes: int | None
    checksums: str
    process_id: int | None
    task_id: str | None
    job_uuid: str | None
    seen_at: datetime

    @property
    def key(self) -> FileKey:
        """What names the file."""
        return FileKey(self.name, self.namespace, self.experiment_id)


class ProcessDraft(NamedTuple):
    """A consumer process of a project; columns of `CatalogProcess`."""

    process_id: int
    batch_id: str | None
    node: str | None
    status: str | None


class SightedKeys(NamedTuple):
    """The integer keys of a file and of the identity under which it was seen."""

    file: int
    identity: int


class SightingDraft(NamedTuple):
    """A sighting as a ledger entry has it; columns of `Sighting`."""

    entry_id: int
    file_id: int
    identity_id: int
    task_id: int | None
    job_uuid: str | None
    output: str | None
    document: str
    seen_at: datetime


def intern_catalog_files(
    transaction: Transaction, drafts: Sequence[CatalogFileDraft]
) -> dict[FileKey, int]:
    """Bring the rows of files up to date; return their integer keys by what names each file."""
    rows = {draft.key: draft._asdict() for draft in drafts}
    keys = transaction.intern(table_of(CatalogFileRow), _FILE_KEY, rows)
    _bring_up_to_date(transaction.connection, {keys[draft.key]: draft for draft in drafts})
    return keys


def _bring_up_to_date(connection: Connection, drafts: Mapping[int, CatalogFileDraft]) -> None:
    """Change the rows of files of which the catalog now has other facts."""
    table = table_of(CatalogFileRow)
    for part in chunks(list(drafts)):
        for earlier in connection.execute(select(table).where(table.c.id.in_(part))):
            draft = drafts[earlier.id]
            if all(getattr(earlier, name) == getattr(draft, name) for name in _CATALOG_SAYS):
                continue
            values = {name: getattr(draft, name) for name in (*_CATALOG_SAYS, "seen_at")}
            connection.execute(update(table).where(table.c.id == earlier.id).values(**values))


def add_outputs(connection: Connection, task: int, outputs: Iterable[OutputPlace]) -> None:
    """Note that these outputs of a task are in its catalog."""
    table = table_of(CatalogOutput)
    found = set(outputs)
    known: set[OutputPlace] = set()
    returned = []
    for part in chunks(sorted({place.file for place in found})):
        query = select(table.c.unit, table.c.file_id, table.c.presence)
        rows = connection.execute(query.where(table.c.task_id == task, table.c.file_id.in_(part)))
        for unit, file, presence in rows:
            place = OutputPlace(unit, file)
            known.add(place)
            if place in found and presence != Presence.THERE:
                returned.append(place)
    mark_there(connection, task, returned)
    put_outputs(connection, task, dict.fromkeys(sorted(found - known), Presence.THERE))


def mark_there(connection: Connection, task: int, outputs: Iterable[OutputPlace]) -> None:
    """Note that outputs of a task are in its catalog again."""
    change_many(connection, _THERE, [(task, unit, file) for unit, file in outputs])


def put_outputs(
    connection: Connection, task: int, presence_of: Mapping[OutputPlace, Presence]
) -> None:
    """Write outputs of a task in place of what was known of them."""
    remove_outputs(connection, task, presence_of)
    rows = []
    for (unit, file), presence in presence_of.items():
        row = {"task_id": task, "unit": unit, "file_id": file, "presence": presence.value}
        rows.append(row)
    insert_rows(connection, table_of(CatalogOutput), rows)


def remove_outputs(connection: Connection, task: int, outputs: Iterable[OutputPlace]) -> None:
    """Forget that these are outputs of a task."""
    change_many(connection, _REMOVE, [(task, unit, file) for unit, file in outputs])


def add_unarrived(connection: Connection, task: int, files: Iterable[tuple[int, int]]) -> None:
    """Note that these files, each a job and a file that it made, never arrived in the catalog."""
    rows = [{"task_id": task, "job_id": job, "file_id": file} for job, file in files]
    insert_rows(connection, table_of(UnarrivedFile), rows)


def remove_unarrived(connection: Connection, task: int, files: Iterable[tuple[int, int]]) -> None:
    """Note that these files are not taken any more for files that never arrived."""
    change_many(connection, _ARRIVED, [(task, job, file) for job, file in files])


def note_checked(connection: Connection, task: int, last: OutputPlace | None) -> None:
    """Note up to which output the known ones were looked at; None: all were."""
    unit, file = last or (None, None)
    table = table_of(CatalogSync)
    values = {"checked_unit": unit, "checked_file": file}
    connection.execute(update(table).where(table.c.task_id == task).values(**values))


def replace_processes(connection: Connection, task: int, processes: Sequence[ProcessDraft]) -> None:
    """Write the processes of a task's project in place of those before."""
    table = table_of(CatalogProcess)
    connection.execute(delete(table).where(table.c.task_id == task))
    rows = {process.process_id: {"task_id": task, **process._asdict()} for process in processes}
    insert_rows(connection, table, list(rows.values()))


def replace_uses(connection: Connection, task: int, inputs: Mapping[int, Sequence[str]]) -> None:
    """Write the units that some processes were given, in place of what these had before."""
    table = table_of(CatalogUse)
    remove_among(connection, CatalogUse.process_id, inputs, CatalogUse.task_id == task)
    uses: set[tuple[str, int]] = set()
    for process, units in inputs.items():
        uses.update((unit, process) for unit in units)
    rows = [
        {"task_id": task, "unit": unit, "process_id": process} for unit, process in sorted(uses)
    ]
    insert_rows(connection, table, rows)


def note_next_unit(
    connection: Connection, task: int, next_unit: int, *, asked_at: datetime
) -> None:
    """Note from which unit the comparison of a task goes on."""
    _note_sync(connection, task, {"next_unit": next_unit, "asked_at": asked_at})


def note_sync_end(
    connection: Connection,
    task: int,
    *,
    asked_at: datetime,
    problem: str | None,
    finished_at: datetime | None,
) -> None:
    """Note that the comparison of a task ended, and why early.

    If it did not go through all units, `finished_at` is None and the earlier time stays.
    """
    values: dict[str, ColumnValue] = {"asked_at": asked_at, "problem": problem}
    if finished_at is not None:
        values["finished_at"] = finished_at
    _note_sync(connection, task, values)


def _note_sync(connection: Connection, task: int, values: dict[str, ColumnValue]) -> None:
    table = table_of(CatalogSync)
    changed = connection.execute(update(table).where(table.c.task_id == task).values(**values))
    if changed.rowcount == 0:
        connection.execute(table.insert(), [{"task_id": task, "next_unit": 0, **values}])


def intern_sighted_files(
    transaction: Transaction, identities: Sequence[SeenIdentity]
) -> list[SightedKeys]:
    """Return the integer keys of files and their identities, added where they are new."""
    rows: dict[FileKey, dict[str, ColumnValue]] = {}
    for identity in identities:
        rows[identity.file] = {**identity.file._asdict(), "is_crowded": False}
    files = transaction.intern(table_of(File), _FILE_KEY, rows)
    values: dict[tuple[int, bytes], dict[str, ColumnValue]] = {}
    for identity in identities:
        values[files[identity.file], identity.key] = {
            "file_id": files[identity.file],
            "key": identity.key,
            "size_bytes": identity.size_bytes,
            "checksums": identity.checksums,
            "campaign": identity.campaign,
        }
    keys = transaction.intern(table_of(Identity), ["file_id", "key"], values)
    sighted = []
    for identity in identities:
        file = files[identity.file]
        sighted.append(SightedKeys(file, keys[file, identity.key]))
    return sighted


def add_sightings(connection: Connection, drafts: Sequence[SightingDraft]) -> None:
    """Add the rows of sightings."""
    insert_rows(connection, table_of(Sighting), [draft._asdict() for draft in drafts])


def take_turn_at_run(connection: Connection, job_id: str) -> None:
    """Wait until no other process takes events of this run, and keep others waiting.

    On SQLite there is only one writer.
    """
    if connection.dialect.name == "postgresql":
        fetch(connection, "SELECT pg_advisory_xact_lock(?, hashtext(?))", (OF_RUN, job_id))
