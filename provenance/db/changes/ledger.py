"""Writes the ledger: entries with the bytes that a replay will see, and the ends of chains."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert

from jobprov.provenance.db.recording.packing import pack_all
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import ChainHead, EntryBody, LedgerEntry
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import allocate_in_turn

_ENTRIES = table_of(LedgerEntry)
_BODIES = table_of(EntryBody)
_SALT_BYTES = 16
_COUNT = "UPDATE ledger_entries SET job_id = ?, witness = ?, revision = ? WHERE id = ?"


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
    numbers = allocate_in_turn(connection, _ENTRIES, [entry.experiment_id for entry in entries])
    numbered = list(zip(numbers, entries, strict=True))
    insert_rows(connection, _ENTRIES, [_row_of(number, entry) for number, entry in numbered])
    unsealed = [(number, entry) for number, entry in numbered if entry.place is None]
    insert_rows(connection, _BODIES, _bodies(unsealed))
    return numbers


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


def _bodies(numbered: Sequence[tuple[int, NewEntry]]) -> list[dict[str, ColumnValue]]:
    """Return the rows that hold the bytes of entries, by their keys."""
    packed = iter(pack_all([entry.body for _, entry in numbered if entry.packed is None]))
    # At once: each call is a turn of Python's lock
    salts = os.urandom(_SALT_BYTES * len(numbered))
    rows: list[dict[str, ColumnValue]] = []
    for place, (number, entry) in enumerate(numbered):
        salt = salts[place * _SALT_BYTES : (place + 1) * _SALT_BYTES]
        rows.append({"entry_id": number, "salt": salt, "body": entry.packed or next(packed)})
    return rows


def _row_of(number: int, entry: NewEntry) -> dict[str, ColumnValue]:
    segment, position = entry.place or (None, None)
    job, witness, revision = entry.of_job or (None, None, None)
    return {
        "id": number,
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
