"""Writes the ledger: entries with the bytes that a replay will see, and the ends of chains."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert

from jobprov.provenance.db.recording.packing import pack_all
from jobprov.provenance.db.statements.arrays import array_of
from jobprov.provenance.db.statements.driver import change_many, fetch
from jobprov.provenance.db.statements.inserting import COPY_FROM, as_arrays, insert_rows
from jobprov.provenance.db.tables import ChainHead, EntryBody, LedgerEntry
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.advisory_locks import OF_EXPERIMENT
from jobprov.provenance.db.writer.keys import allocate_in_turn
from jobprov.provenance.db.writer.turns import note_numbering

_ENTRIES = table_of(LedgerEntry)
_BODIES = table_of(EntryBody)
_SALT_BYTES = 16
_COUNT = "UPDATE ledger_entries SET job_id = ?, witness = ?, revision = ? WHERE id = ?"
# One statement, the last of a transaction: others of these experiments wait from here to the commit
_APPEND_FEW = """
WITH turns AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(?, experiment) FROM unnest(?::int[]) AS experiment
), numbered AS MATERIALIZED (
    SELECT nextval((SELECT pg_get_serial_sequence('ledger_entries', 'id'))::regclass) AS id, given.*
    FROM unnest({arrays}) WITH ORDINALITY AS given({columns}, salt, body, place)
    WHERE (SELECT count(*) FROM turns) > 0
), entries AS (
    INSERT INTO ledger_entries (id, {columns}) SELECT id, {columns} FROM numbered
), bodies AS (
    INSERT INTO entry_bodies (entry_id, salt, body)
    SELECT id, salt, body FROM numbered WHERE body IS NOT NULL
)
SELECT id FROM numbered ORDER BY place
"""


_Body = dict[str, ColumnValue]
"""Salt and bytes of an entry, by column."""
_NO_BODY: _Body = {"salt": None, "body": None}


class OfJob(NamedTuple):
    """Whose record an entry is: its job, witness, and revision number, 0 as first sent."""

    job: int
    witness: str
    revision: int


class NewEntry(NamedTuple):
    """An entry about to be written; `body` is what a replay will see.

    Attributes:
        place: segment and position of an entry that is sealed already, when it is replayed; its
            bytes stay there.
        packed: `body` as it is stored, where somebody packed it before.
        of_job: whose record it is; None where no job is made of it.
    """

    experiment_id: int
    kind: str
    received_at: datetime
    submitter: str | None
    body: bytes
    place: tuple[int, int] | None = None
    packed: bytes | None = None
    of_job: OfJob | None = None


def append_entries(connection: Connection, entries: Sequence[NewEntry]) -> list[int]:
    """Write entries; return their keys, in order.

    Keys of an experiment rise in the order of the commits, whichever process made them: a sealing
    goes by them, and so does a rebuilding, where the last declaration stands and the second of two
    records is the conflict.
    """
    if not entries:
        return []
    bodies = _bodies(entries)
    if connection.dialect.name == "postgresql" and len(entries) < COPY_FROM:
        return _append_few(connection, entries, bodies)
    numbers = allocate_in_turn(connection, _ENTRIES, [entry.experiment_id for entry in entries])
    entry_rows: list[dict[str, ColumnValue]] = []
    body_rows: list[dict[str, ColumnValue]] = []
    for number, entry, body in zip(numbers, entries, bodies, strict=True):
        entry_rows.append({"id": number, **_row_of(entry)})
        if body is not None:
            body_rows.append({"entry_id": number, **body})
    insert_rows(connection, _ENTRIES, entry_rows)
    insert_rows(connection, _BODIES, body_rows)
    return numbers


def _append_few(
    connection: Connection, entries: Sequence[NewEntry], bodies: Sequence[_Body | None]
) -> list[int]:
    """Write entries as `append_entries` does, on PostgreSQL.

    Whoever writes entries of the same experiments later waits for this commit.
    """
    arrays, columns = as_arrays(connection, _ENTRIES, [_row_of(entry) for entry in entries])
    body_arrays, body_columns = as_arrays(
        connection, _BODIES, [body or _NO_BODY for body in bodies]
    )
    statement = _append_statement(f"{arrays}, {body_arrays}", tuple(_row_of(entries[0])))
    note_numbering(connection)
    # In the same order in every process, so that two cannot wait for each other
    experiments = sorted({entry.experiment_id for entry in entries})
    values = (OF_EXPERIMENT, array_of(experiments), *columns, *body_columns)
    return [row[0] for row in fetch(connection, statement, values)]


@lru_cache
def _append_statement(arrays: str, columns: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in columns)
    return _APPEND_FEW.format(arrays=arrays, columns=quoted)


def count_entries(connection: Connection, entries: Mapping[int, OfJob]) -> None:
    """Note whose records entries are that were kept without counting."""
    if entries:
        change_many(connection, _COUNT, [(*of_job, entry) for entry, of_job in entries.items()])


def write_last_segment(
    connection: Connection, experiment: int, segment: int, head_sha256: str
) -> None:
    """Note the last segment of an experiment's chain."""
    connection.execute(delete(ChainHead).where(ChainHead.experiment_id == experiment))
    row = {"experiment_id": experiment, "segment": segment, "head_sha256": head_sha256}
    connection.execute(insert(ChainHead).values(row))


def _bodies(entries: Sequence[NewEntry]) -> list[_Body | None]:
    """Return what holds the bytes of each entry; None for one that is sealed already."""
    unsealed = [entry for entry in entries if entry.place is None]
    packed = iter(pack_all([entry.body for entry in unsealed if entry.packed is None]))
    # At once: each call is a turn of Python's lock
    salts = os.urandom(_SALT_BYTES * len(entries))
    bodies: list[_Body | None] = []
    for place, entry in enumerate(entries):
        if entry.place is None:
            salt = salts[place * _SALT_BYTES : (place + 1) * _SALT_BYTES]
            bodies.append({"salt": salt, "body": entry.packed or next(packed)})
        else:
            bodies.append(None)
    return bodies


def _row_of(entry: NewEntry) -> dict[str, ColumnValue]:
    segment, position = entry.place or (None, None)
    job, witness, revision = entry.of_job or (None, None, None)
    return {
        "experiment_id": entry.experiment_id,
        "kind": entry.kind,
        "received_at": entry.received_at,
        "submitter": entry.submitter,
        "segment": segment,
        "position": position,
        "job_id": job,
        "witness": witness,
        "revision": revision,
    }
