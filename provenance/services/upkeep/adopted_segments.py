"""Takes over a sealed segment that the archive holds and the database does not know.

That is so after a crash between the head of a segment and its rows, after another sealer was first,
and for a database that was restored from an older copy. Entries that wait in the database and are
in the segment lose their bytes; the others are replayed. What is sealed has its place for good:
what came to the restored database for the same place gives way, and is kept.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, union_all, update

from jobprov.archive.store import Store
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.packing import pack, unpack
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import (
    Conflict,
    EntryBody,
    Job,
    LedgerEntry,
    Reclassification,
    RefObservation,
    RuleTableRow,
    Sighting,
    Verdict,
)
from jobprov.provenance.services.code.ref_observations import tags_seen
from jobprov.provenance.services.ledger.chain_erasures import KIND, digests_in
from jobprov.provenance.services.ledger.chains import note_tip
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.segments import SealedEntry, SegmentReader
from jobprov.provenance.services.recording.jobs import revision_body
from jobprov.provenance.services.upkeep.replay import Replay
from jobprov.provenance.services.upkeep.standing_entries import write_in_order
from jobprov.provenance.services.work.notices import blob_arrived, blob_erased, code_resolved
from jobprov.provenance.services.writing import Writing

_Key = tuple[str, bytes]
_TIMES: Mapping[str, tuple[Any, str]] = {
    "verdict": (Verdict, "posted_at"),
    "sighting": (Sighting, "seen_at"),
    "rules": (RuleTableRow, "created_at"),
    "reclassification": (Reclassification, "created_at"),
    "ref_observation": (RefObservation, "first_seen_at"),
}
"""Kinds of entries whose rows say beside the entry when it came."""


class _Adopted(NamedTuple):
    """An entry that waits in the database and is sealed at this position."""

    id: int
    position: int
    entry: SealedEntry


def adopt_segment(writing: Writing, reader: SegmentReader) -> None:
    """Take the segment over, in one transaction.

    Raises:
        SegmentError: the segment does not hold what its head says.
    """
    connection = writing.connection
    experiment, segment = reader.head["experiment"], reader.head["segment"]
    replay = Replay(writing, experiment)
    placed = _placed(connection, replay.experiment, segment)
    entries = {place: entry for place, entry in enumerate(reader.entries()) if place not in placed}
    matched, lacking = _match(connection, replay.experiment, entries)
    for each in matched:
        _place(connection, each, segment)
    replay.forbid(_erased_here(connection, writing.store, replay.experiment))
    replay.prepare(reader)
    _make_way(connection, writing.store, replay, lacking)
    replay.replay(segment, lacking)
    replay.finish(reader)
    write_in_order(connection, writing.store, replay, reader)
    _note_first_received(connection, replay.experiment, segment)
    _look_again(connection, reader)
    note_tip(writing, experiment, segment, reader.head_bytes)


def _erased_here(connection: Connection, store: Store, experiment: int) -> set[str]:
    """Return the digests that were erased here, by entries that wait.

    What is adopted before them gives none back.
    """
    query = select(LedgerEntry.id).where(
        LedgerEntry.experiment_id == experiment, LedgerEntry.segment.is_(None)
    )
    waiting = [row[0] for row in connection.execute(query.where(LedgerEntry.kind == KIND))]
    bodies = read_entries(connection, store, waiting)
    return {sha256 for body in bodies.values() for sha256 in digests_in(json.loads(body))}


def _placed(connection: Connection, experiment: int, segment: int) -> set[int]:
    """Return the positions that have their row already: a sealer died after it."""
    query = select(LedgerEntry.position).where(
        LedgerEntry.experiment_id == experiment, LedgerEntry.segment == segment
    )
    return {position for (position,) in connection.execute(query) if position is not None}


def _match(
    connection: Connection, experiment: int, entries: Mapping[int, SealedEntry]
) -> tuple[list[_Adopted], list[tuple[int, SealedEntry]]]:
    """Return the entries that wait in the database, and those that it lacks.

    Waiting entries are found by salt, or by equal bytes sent again.

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
    salted = {
        place: number
        for place, e in entries.items()
        if (number := by_salt.get((e.kind, e.salt))) is not None
    }
    salted |= {
        place: number for place, e in entries.items() if (number := by_leaf.get(e.leaf)) is not None
    }
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
    row = (
        update(LedgerEntry)
        .where(LedgerEntry.id == adopted.id)
        .values(received_at=entry.received_at)
    )
    row = row.values(submitter=entry.submitter, segment=segment, position=adopted.position)
    connection.execute(row)
    connection.execute(delete(EntryBody).where(EntryBody.entry_id == adopted.id))
    if entry.kind in _TIMES:
        table, column = _TIMES[entry.kind]
        said = update(table).where(table_of(table).c.entry_id == adopted.id)
        connection.execute(said.values({column: entry.received_at}))


def _note_first_received(connection: Connection, experiment: int, segment: int) -> None:
    """Note of the jobs in the segment when the first of their records came.

    What is sealed may have come before or after what waits.
    """
    own = select(LedgerEntry.job_id, LedgerEntry.received_at)
    against = select(Conflict.job_id, LedgerEntry.received_at).join(
        LedgerEntry, LedgerEntry.id == Conflict.entry_id
    )
    here = (LedgerEntry.experiment_id == experiment) & (LedgerEntry.segment == segment)
    entries: Any = union_all(own.where(here, LedgerEntry.job_id.is_not(None)), against.where(here))
    for part in chunks(sorted({job for job, _ in connection.execute(entries)})):
        first: dict[int, datetime] = {}
        entries = union_all(
            own.where(LedgerEntry.job_id.in_(part)), against.where(Conflict.job_id.in_(part))
        )
        for job, received_at in connection.execute(entries):
            first[job] = min(received_at, first.get(job, received_at))
        for job, received_at in first.items():
            other = update(Job).where(Job.id == job, Job.received_at != received_at)
            connection.execute(other.values(received_at=received_at))


class _Local(NamedTuple):
    """A record or revision of a job that came after the restoration and waits to be sealed."""

    job: int
    uuid: str
    witness: str
    number: int
    entry: int


def _make_way(
    connection: Connection, store: Store, replay: Replay, lacking: Sequence[tuple[int, SealedEntry]]
) -> None:
    """Give what is sealed the places among a job's records that were taken after the restoration.

    A record that differs from the sealed one of its witness becomes a conflict, revisions go after
    the sealed ones.
    """
    mine = (LedgerEntry.experiment_id == replay.experiment) & LedgerEntry.segment.is_(None)
    waiting = select(LedgerEntry.id).where(mine, LedgerEntry.job_id.is_not(None))
    if connection.execute(waiting.limit(1)).first() is None:
        return
    sealed: dict[tuple[str, str], set[int]] = {}
    for _, entry in lacking:
        if (place := replay.place_among_records(entry)) is not None:
            sealed.setdefault(place[:2], set()).add(place[2])
    conflicts: list[_Local] = []
    renumbered: list[tuple[_Local, int]] = []
    for local, taken in _contested(connection, replay.experiment, sealed):
        conflicts += [each for each in local if each.number == 0 and 0 in taken]
        renumbered += _renumbered([each for each in local if each.number > 0], taken)
    _write_conflicts(connection, store, conflicts)
    _renumber(connection, store, renumbered)


def _contested(
    connection: Connection, experiment: int, sealed: Mapping[tuple[str, str], set[int]]
) -> Iterator[tuple[list[_Local], set[int]]]:
    """Yield, by job and witness, what waits to be sealed, in order, and sealed entries' numbers."""
    local: dict[tuple[str, str], list[_Local]] = {}
    taken = {place: set(numbers) for place, numbers in sealed.items()}
    query: Any = (
        select(
            LedgerEntry.job_id, Job.uuid, LedgerEntry.witness, LedgerEntry.revision,
            LedgerEntry.id, LedgerEntry.segment,
        )
        .join(Job, Job.id == LedgerEntry.job_id)
        .order_by(LedgerEntry.job_id, LedgerEntry.witness, LedgerEntry.revision)
    )  # fmt: skip
    for part in chunks(sorted({uuid for uuid, _ in sealed})):
        for row in connection.execute(
            query.where(Job.uuid.in_(part), Job.experiment_id == experiment)
        ):
            one = _Local(*row[:5])
            if (one.uuid, one.witness) not in sealed:
                continue
            if row.segment is None:
                local.setdefault((one.uuid, one.witness), []).append(one)
            else:
                taken[one.uuid, one.witness].add(one.number)
    yield from ((found, taken[place]) for place, found in local.items())


def _renumbered(local: Sequence[_Local], taken: set[int]) -> list[tuple[_Local, int]]:
    """Return the revisions that give way with their new numbers.

    The numbers are in the same order, past those that are taken.
    """
    found, last = [], 0
    for each in local:
        number = max(each.number, last + 1)
        while number in taken:
            number += 1
        last = number
        if number != each.number:
            found.append((each, number))
    return found


def _write_conflicts(connection: Connection, store: Store, records: Sequence[_Local]) -> None:
    bodies = read_entries(connection, store, [each.entry for each in records])
    rows = []
    for each in records:
        evidence = update(LedgerEntry).where(LedgerEntry.id == each.entry)
        connection.execute(
            evidence.values(kind="conflict", job_id=None, witness=None, revision=None)
        )
        if each.entry in bodies:  # else it was erased, and nobody can send it again
            sha256 = hashlib.sha256(bodies[each.entry]).hexdigest()
            rows.append(
                {
                    "entry_id": each.entry,
                    "job_id": each.job,
                    "witness": each.witness,
                    "sha256": sha256,
                }
            )
    insert_rows(connection, table_of(Conflict), rows)


def _renumber(
    connection: Connection, store: Store, revisions: Sequence[tuple[_Local, int]]
) -> None:
    """Give revisions that wait their new numbers, in the rows and in the bytes.

    No head says anything yet of these bytes.
    """
    bodies = read_entries(connection, store, [each.entry for each, _ in revisions])
    for each, number in revisions:
        connection.execute(
            update(LedgerEntry).where(LedgerEntry.id == each.entry).values(revision=number)
        )
        if each.entry in bodies:  # else it was erased, and its leaf is what is sealed
            document = revision_body({**json.loads(bodies[each.entry]), "revision": number})
            changed = update(EntryBody).where(EntryBody.entry_id == each.entry)
            connection.execute(changed.values(body=pack(document)))


def _look_again(connection: Connection, reader: SegmentReader) -> None:
    """Have jobs looked at again that came before what the segment says of blobs and code."""
    for place in reader.positions("resolution"):
        code_resolved(connection, json.loads(reader.body(place))["software"])
    seen: dict[str, set[str]] = {}
    for place in reader.positions("ref_observation"):
        body = json.loads(reader.body(place))
        seen.setdefault(body["match_key"], set()).add(body["ref"])
    for match_key, refs in seen.items():
        tags_seen(connection, match_key, refs)
    for place in reader.positions("possession"):
        for sha256 in reader.digests(place):
            blob_arrived(connection, sha256)
    for place in reader.positions(KIND):
        if blob := json.loads(reader.body(place)).get("blob"):
            blob_erased(connection, reader.head["experiment"], blob)
    # No blob came, but what they wait for is expired and no longer missing
    for place in reader.positions("expiry"):
        for log in json.loads(reader.body(place))["logs"]:
            blob_arrived(connection, log["sha256"])
