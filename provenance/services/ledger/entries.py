"""The ledger, in which every final write is one immutable entry.

An entry is committed in the transaction of its rows.

Source: storage.md, "Ledger". Sealing is `upkeep/sealing.py`, replaying
`upkeep/database_rebuild.py`.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select

from jobprov.archive.store import Store
from jobprov.provenance.db.driver import change_many
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import allocate_in_turn, chunks
from jobprov.provenance.db.recording.packing import pack_all, unpack
from jobprov.provenance.db.selecting import select_among
from jobprov.provenance.db.tables import EntryBody, Experiment, LedgerEntry
from jobprov.provenance.services.ledger.segments import SegmentReader, read_bodies
from jobprov.provenance.services.writing import Writing

_ENTRIES: Table = LedgerEntry.__table__  # type: ignore[assignment]
_BODIES: Table = EntryBody.__table__  # type: ignore[assignment]
_SALT_BYTES = 16
_COUNT = "UPDATE ledger_entries SET job_id = ?, witness = ?, revision = ? WHERE id = ?"
_READ = """
SELECT l.id, b.body, e.name, l.segment, l.position FROM ledger_entries l JOIN experiments e ON e.id = l.experiment_id
LEFT JOIN entry_bodies b ON b.entry_id = l.id WHERE l.id {among}
AND NOT EXISTS (SELECT 1 FROM erased_entries x WHERE x.entry_id = l.id)
"""


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
    insert_rows(
        connection,
        _BODIES,
        _bodies([(number, entry) for number, entry in numbered if entry.place is None]),
    )
    return numbers


def count_entries(connection: Connection, entries: Mapping[int, OfJob]) -> None:
    """Note whose records entries are that were kept without counting."""
    if entries:
        change_many(connection, _COUNT, [(*of_job, entry) for entry, of_job in entries.items()])


def _bodies(numbered: Sequence[tuple[int, NewEntry]]) -> list[dict[str, Any]]:
    """Return the rows that hold the bytes of entries, by their keys."""
    packed = iter(pack_all([entry.body for _, entry in numbered if entry.packed is None]))
    salts = os.urandom(_SALT_BYTES * len(numbered))  # at once: each call is a turn of Python's lock
    rows: list[dict[str, Any]] = []
    for place, (number, entry) in enumerate(numbered):
        salt = salts[place * _SALT_BYTES : (place + 1) * _SALT_BYTES]
        rows.append({"entry_id": number, "salt": salt, "body": entry.packed or next(packed)})
    return rows


def _row_of(number: int, entry: NewEntry) -> dict[str, Any]:
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


def append_document(connection: Connection, entry: NewEntry, document: dict[str, Any]) -> int:
    """Write one entry whose body is a small JSON document; return its key."""
    body = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return append_entries(connection, [entry._replace(body=body)])[0]


def enter_document(writing: Writing, experiment: int, kind: str, document: dict[str, Any]) -> int:
    """Write an entry for a small JSON document that came now, from whoever submits it.

    Return its key.
    """
    entry = NewEntry(experiment, kind, writing.received_at, writing.submitter, b"")
    return append_document(writing.connection, entry, document)


class Leaf(NamedTuple):
    """The leaf of an entry, and its segment and position where it is sealed."""

    leaf: str
    place: tuple[int, int] | None


def leaves_of(connection: Connection, store: Store, numbers: Sequence[int]) -> dict[int, Leaf]:
    """Return the leaves of entries by key.

    They are made from salt and bytes or, where entries are sealed, read from the head of their
    segment.
    """
    leaves: dict[int, Leaf] = {}
    query = (
        select(
            LedgerEntry.id,
            LedgerEntry.segment,
            LedgerEntry.position,
            Experiment.name,
            EntryBody.salt,
            EntryBody.body,
        )
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id, isouter=True)
    )
    for row in connection.execute(query.where(LedgerEntry.id.in_(numbers))):
        if row.segment is None:
            leaves[row.id] = Leaf(
                hashlib.sha256(bytes(row.salt) + unpack(row.body)).hexdigest(), None
            )
        else:
            reader = SegmentReader.open(store, row.name, row.segment)
            leaves[row.id] = Leaf(
                reader.head["entries"][row.position][2], (row.segment, row.position)
            )
    return leaves


def read_entries(connection: Connection, store: Store, numbers: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies of entries by key, from the database or from the sealed segment.

    Those that were erased are left out.
    """
    bodies: dict[int, bytes] = {}
    sealed: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for part in chunks(sorted(set(numbers))):
        for number, body, name, segment, position in select_among(connection, _READ, part):
            if body is not None:
                bodies[number] = unpack(body)
            else:
                sealed.setdefault((name, segment), []).append((number, position))
    for (experiment, segment), places in sealed.items():
        by_position = read_bodies(store, experiment, segment, {position for _, position in places})
        for number, position in places:
            # Else the entry that says that it is erased follows, and is not replayed yet
            if position in by_position:
                bodies[number] = by_position[position]
    return bodies
