"""Takes over a sealed segment that the archive holds and the database does not know.

That is so after a crash between the head of a segment and its rows, after another sealer was first, and for a database that was
restored from an older copy. Entries that wait in the database and are in the segment lose their bytes; the others are replayed.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from provenance.db.keys import KnownKeys
from provenance.db.recording.packing import unpack
from provenance.db.recording.writing import table_of
from provenance.db.tables import Conflict, EntryBody, Job, LedgerEntry, WitnessRecord
from provenance.records.decoding import decode_record
from provenance.services.chain_erasures import KIND
from provenance.services.chains import ListedDocuments, note_tip
from provenance.services.ledger import Documents, read_entries
from provenance.services.refresh_gaps import blob_arrived, blob_erased, code_resolved
from provenance.services.replaying import Replay
from provenance.services.segments import SealedEntry, SegmentReader

_Key = tuple[str, bytes]


class _Adopted(NamedTuple):
    """An entry that waits in the database and is sealed at this position."""

    id: int
    position: int
    entry: SealedEntry


def adopt_segment(connection: Connection, known: KnownKeys, store: ListedDocuments, reader: SegmentReader) -> None:
    """Take the segment over, in one transaction.

    Raises:
        SegmentError: the segment does not hold what its head says.
    """
    experiment, segment = reader.head["experiment"], reader.head["segment"]
    replay = Replay(connection, known, store, experiment)
    placed = _placed(connection, replay.experiment, segment)
    entries = {place: entry for place, entry in enumerate(reader.entries()) if place not in placed}
    matched, lacking = _match(connection, replay.experiment, entries)
    for each in matched:
        _place(connection, each, segment)
    replay.prepare(reader)
    for _, entry in lacking:
        if entry.erased is None:
            _make_way(connection, store, replay.experiment, entry)
    replay.replay(segment, lacking)
    replay.finish(reader)
    _look_again(connection, reader)
    note_tip(connection, known, experiment, segment, reader.head_bytes)


def _placed(connection: Connection, experiment: int, segment: int) -> set[int]:
    """Return the positions that have their row already: a sealer died after it."""
    query = select(LedgerEntry.position).where(LedgerEntry.experiment_id == experiment, LedgerEntry.segment == segment)
    return {position for (position,) in connection.execute(query) if position is not None}


def _match(
    connection: Connection, experiment: int, entries: Mapping[int, SealedEntry]
) -> tuple[list[_Adopted], list[tuple[int, SealedEntry]]]:
    """Return the entries that wait in the database, by salt or by equal bytes sent again, and those that it lacks.

    What was erased on one side is told by its leaf.
    """
    by_salt: dict[_Key, int] = {}
    by_body: dict[_Key, int] = {}
    by_leaf: dict[str, int] = {}
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, EntryBody.salt, EntryBody.body, EntryBody.leaf)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.segment.is_(None))
    )
    for row in connection.execute(query.order_by(LedgerEntry.id.desc())):
        if row.leaf is not None:
            by_leaf[row.leaf] = row.id
            continue
        body = unpack(row.body)
        by_leaf[hashlib.sha256(bytes(row.salt) + body).hexdigest()] = row.id
        by_salt[row.kind, bytes(row.salt)] = row.id
        by_body[row.kind, hashlib.sha256(body).digest()] = row.id
    salted = {place: number for place, e in entries.items() if (number := by_salt.get((e.kind, e.salt))) is not None}
    salted |= {place: number for place, e in entries.items() if (number := by_leaf.get(e.leaf)) is not None}
    taken = set(salted.values())
    matched, lacking = [], []
    for place, entry in entries.items():
        number = salted.get(place)
        if number is None and entry.erased is None:
            same = by_body.get((entry.kind, hashlib.sha256(entry.body).digest()))
            number = same if same is not None and same not in taken else None
        if number is None:
            lacking.append((place, entry))
        else:
            taken.add(number)
            matched.append(_Adopted(number, place, entry))
    return matched, lacking


def _place(connection: Connection, adopted: _Adopted, segment: int) -> None:
    entry = adopted.entry
    row = update(LedgerEntry).where(LedgerEntry.id == adopted.id).values(received_at=entry.received_at)
    row = row.values(submitter=entry.submitter, segment=segment, position=adopted.position)
    connection.execute(row)
    connection.execute(delete(EntryBody).where(EntryBody.entry_id == adopted.id))
    if entry.kind == "record":
        owner = select(WitnessRecord.job_id).where(WitnessRecord.entry_id == adopted.id).scalar_subquery()
        earlier = update(Job).where(Job.id == owner, Job.received_at > entry.received_at)
        connection.execute(earlier.values(received_at=entry.received_at))


def _make_way(connection: Connection, store: Documents, experiment: int, entry: SealedEntry) -> None:
    """Turn a record that came after the restoration, and differs from the sealed one of the same witness, into a conflict."""
    if entry.kind != "record":
        return
    raw = decode_record(entry.body).raw
    query = (
        select(WitnessRecord.job_id, WitnessRecord.witness, WitnessRecord.entry_id)
        .join(Job, Job.id == WitnessRecord.job_id)
        .join(LedgerEntry, LedgerEntry.id == WitnessRecord.entry_id)
        .where(Job.uuid == raw["job_id"], Job.experiment_id == experiment, LedgerEntry.segment.is_(None))
        .where(WitnessRecord.witness == str(raw.get("witness") or "wrapper"), WitnessRecord.revision == 0)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return
    body = read_entries(connection, store, [row.entry_id])[row.entry_id]
    connection.execute(delete(WitnessRecord).where(WitnessRecord.entry_id == row.entry_id))
    connection.execute(update(LedgerEntry).where(LedgerEntry.id == row.entry_id).values(kind="conflict"))
    values = {"entry_id": row.entry_id, "job_id": row.job_id, "witness": row.witness}
    connection.execute(table_of(Conflict).insert(), [{**values, "sha256": hashlib.sha256(body).hexdigest()}])


def _look_again(connection: Connection, reader: SegmentReader) -> None:
    """Have the jobs looked at again that were here before what the segment says of blobs and code."""
    for place in reader.positions("resolution"):
        code_resolved(connection, json.loads(reader.body(place))["software"])
    for place in reader.positions("possession"):
        for sha256 in reader.digests(place):
            blob_arrived(connection, sha256)
    for place in reader.positions(KIND):
        if blob := json.loads(reader.body(place)).get("blob"):
            blob_erased(connection, reader.head["experiment"], blob)
    for place in reader.positions("expiry"):  # no blob came, but what they wait for is expired and no longer missing
        for log in json.loads(reader.body(place))["logs"]:
            blob_arrived(connection, log["sha256"])
