"""Adopts a sealed segment that is in the archive and that the database does not know.

This happens after a crash between writing a segment's head and its rows, after another sealer was
first, and when a database was restored from an older copy. Entries of the segment that also wait in
the database give up their bytes there; the others are replayed. A sealed entry keeps its place for
ever: a record that the restored database took for the same place moves, but is never lost.

Of task declarations, waivers, comparators, policies and rules the newest entry counts, by the order
of the chain. Entries that wait in the database are sealed after the segment that it adopts, so they
count as newer, even if they were written earlier.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.recording import NewConflict, add_conflicts
from jobprov.provenance.db.changes.upkeep import (
    SealedPlace,
    place_entry,
    remove_numbered,
    rewrite_body,
    set_first_received,
    set_revision,
    stop_counting,
)
from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.upkeep import (
    RecordOfJob,
    first_received,
    is_record_waiting,
    jobs_in_segment,
    keys_by_position,
    records_of_jobs,
    rules_by_number,
    standing_entries,
    waiting_bodies,
    waiting_of_kind,
)
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.code.ref_observations import tags_seen
from jobprov.provenance.services.ledger.chain_erasures import KIND
from jobprov.provenance.services.ledger.chains import note_tip
from jobprov.provenance.services.ledger.documents import (
    EntryDocument,
    ErasureDocument,
    ExpiryDocument,
    ObservationDocument,
    ResolutionDocument,
    read_document,
)
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.segments import SealedEntry, SegmentReader
from jobprov.provenance.services.recording.jobs import revision_body
from jobprov.provenance.services.upkeep.replay import Replay
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.work.notices import blob_arrived, blob_erased, code_resolved
from jobprov.provenance.services.writing import Writing

_Key = tuple[str, bytes]
"""Kind of an entry, and its salt or the digest of its bytes."""
_Place = tuple[str, str]
"""Job id and witness."""
_OF_FAILURES = ("rules", "reclassification")
_NEWEST_COUNTS = ("task", "waiver", "comparators", "retry_policies", "privacy", *_OF_FAILURES)


class _Adopted(NamedTuple):
    """An entry that waits in the database, and its position in the segment."""

    id: int
    position: int
    entry: SealedEntry


class _Entries(NamedTuple):
    """The entries of a segment: those that the database holds unsealed, and those it lacks."""

    waiting: list[_Adopted]
    lacking: list[tuple[int, SealedEntry]]


class _Renumbering(NamedTuple):
    """A revision that waits to be sealed, and its new number."""

    record: RecordOfJob
    number: int


def adopt_segment(writing: Writing, reader: SegmentReader) -> None:
    """Adopt the segment, in one transaction.

    Raises:
        SegmentError: the body of the segment does not match its head.
    """
    connection = writing.connection
    experiment, segment = reader.head.experiment, reader.head.segment
    replay = Replay(writing, experiment)
    # A sealer that died may have written some rows of this segment already
    placed = keys_by_position(connection, replay.experiment, segment)
    entries = dict(enumerate(reader.entries()))
    for position in placed:
        entries.pop(position, None)
    matched = _match(connection, replay.experiment, entries)
    for adopted in matched.waiting:
        _place(connection, adopted, segment)
    replay.forbid(_erased_here(connection, writing.store, replay.experiment))
    replay.prepare(reader)
    _make_way(connection, writing.store, replay, matched.lacking)
    replay.replay(segment, matched.lacking)
    replay.finish(reader)
    _write_in_order(connection, writing.store, replay, reader)
    _note_first_received(connection, replay.experiment, segment)
    _look_again(connection, reader)
    note_tip(writing, experiment, segment, reader.head_bytes)


def _erased_here(connection: Connection, store: Store, experiment: int) -> set[str]:
    """Return the digests that were erased here by entries that still wait to be sealed.

    These come after the segment in the chain, but the segment must not bring the bytes back.
    """
    waiting = waiting_of_kind(connection, experiment, KIND)
    bodies = read_entries(connection, store, waiting)
    erased: set[str] = set()
    for body in bodies.values():
        erased.update(read_document(body, ErasureDocument).digests)
    return erased


class _WaitingEntries:
    """The entries of an experiment that wait in the database, to be found again in a segment."""

    def __init__(self, connection: Connection, experiment: int) -> None:
        self._by_salt: dict[_Key, int] = {}
        self._by_body: dict[_Key, int] = {}
        self._by_leaf: dict[str, int] = {}
        # Newest first: of several with equal bytes, the oldest is written last and counts
        for row in waiting_bodies(connection, experiment):
            if row.leaf is not None:
                self._by_leaf[row.leaf] = row.entry
                continue
            body = unpack(row.packed)
            self._by_leaf[hashlib.sha256(row.salt + body).hexdigest()] = row.entry
            self._by_salt[row.kind, row.salt] = row.entry
            self._by_body[row.kind, hashlib.sha256(body).digest()] = row.entry

    def same(self, entry: SealedEntry) -> int | None:
        """Return the key of this very entry; None where it does not wait.

        It is found by its leaf, even if its bytes were erased on one side, else by its salt, which
        stays when the bytes are rewritten.
        """
        by_leaf = self._by_leaf.get(entry.leaf)
        if by_leaf is not None:
            return by_leaf
        return self._by_salt.get((entry.kind, entry.salt))

    def equal(self, entry: SealedEntry) -> int | None:
        """Return the key of an entry with equal bytes, sent a second time; None where none waits.

        A client sends again what a restored database does not have.
        """
        if entry.erased is not None:
            return None
        return self._by_body.get((entry.kind, hashlib.sha256(entry.body).digest()))


def _match(connection: Connection, experiment: int, entries: Mapping[int, SealedEntry]) -> _Entries:
    """Return which of a segment's entries, by position, the database has."""
    waiting = _WaitingEntries(connection, experiment)
    same: dict[int, int] = {}
    for position, entry in entries.items():
        key = waiting.same(entry)
        if key is not None:
            same[position] = key
    taken = set(same.values())
    matched = _Entries([], [])
    for position, entry in entries.items():
        key = same.get(position)
        if key is None:
            # After all `same` entries are known: equal bytes must not claim one of them
            equal = waiting.equal(entry)
            key = None if equal in taken else equal
        if key is None:
            matched.lacking.append((position, entry))
        else:
            taken.add(key)
            matched.waiting.append(_Adopted(key, position, entry))
    return matched


def _place(connection: Connection, adopted: _Adopted, segment: int) -> None:
    entry = adopted.entry
    place = SealedPlace(segment, adopted.position, entry.kind, entry.received_at, entry.submitter)
    place_entry(connection, adopted.id, place)


def _note_first_received(connection: Connection, experiment: int, segment: int) -> None:
    """Set for each job in the segment when its first record came.

    A sealed record may have come before or after one that waits here.
    """
    for jobs in chunks(jobs_in_segment(connection, experiment, segment)):
        set_first_received(connection, first_received(connection, jobs))


def _make_way(
    connection: Connection, store: Store, replay: Replay, lacking: Sequence[tuple[int, SealedEntry]]
) -> None:
    """Free the sealed records' places, where the restored database gave them to other records.

    A record that differs from its witness's sealed one becomes a conflict. Revisions are numbered
    after the sealed ones.
    """
    # Without waiting records nothing is in the way, and no sealed record has to be decoded
    if not is_record_waiting(connection, replay.experiment):
        return
    sealed: dict[_Place, set[int]] = {}
    for _, entry in lacking:
        place = replay.place_among_records(entry)
        if place is not None:
            job_id, witness, number = place
            sealed.setdefault((job_id, witness), set()).add(number)
    conflicts: list[RecordOfJob] = []
    renumberings: list[_Renumbering] = []
    for waiting, taken in _contested(connection, replay.experiment, sealed):
        if 0 in taken:
            conflicts += [record for record in waiting if record.revision == 0]
        revisions = [record for record in waiting if record.revision > 0]
        renumberings += _renumbered(revisions, taken)
    _write_conflicts(connection, store, conflicts)
    _renumber(connection, store, renumberings)


class _Contested(NamedTuple):
    """The records of a job by one witness that wait here, in order, and the sealed numbers."""

    waiting: list[RecordOfJob]
    taken: set[int]


def _contested(
    connection: Connection, experiment: int, sealed: Mapping[_Place, set[int]]
) -> Iterator[_Contested]:
    """Yield the waiting records of each job and witness that has sealed ones as well."""
    waiting: dict[_Place, list[RecordOfJob]] = {}
    taken = {place: set(numbers) for place, numbers in sealed.items()}
    job_ids = sorted({job_id for job_id, _ in sealed})
    for record in records_of_jobs(connection, experiment, job_ids):
        place = (record.job_id, record.witness)
        if place not in sealed:
            continue
        if record.segment is None:
            waiting.setdefault(place, []).append(record)
        else:
            taken[place].add(record.revision)
    for place, records in waiting.items():
        yield _Contested(records, taken[place])


def _renumbered(revisions: Sequence[RecordOfJob], taken: set[int]) -> list[_Renumbering]:
    """Return the revisions that need another number.

    Their order stays; numbers that are taken are skipped.
    """
    renumberings: list[_Renumbering] = []
    last = 0
    for record in revisions:
        number = max(record.revision, last + 1)
        while number in taken:
            number += 1
        last = number
        if number != record.revision:
            renumberings.append(_Renumbering(record, number))
    return renumberings


def _write_conflicts(connection: Connection, store: Store, records: Sequence[RecordOfJob]) -> None:
    bodies = read_entries(connection, store, [record.entry for record in records])
    conflicts: list[NewConflict] = []
    for record in records:
        stop_counting(connection, record.entry)
        if record.entry in bodies:  # an erased record has no digest to tell it by
            sha256 = hashlib.sha256(bodies[record.entry]).hexdigest()
            conflicts.append(NewConflict(record.entry, record.job, record.witness, sha256))
    add_conflicts(connection, conflicts)


def _renumber(connection: Connection, store: Store, renumberings: Sequence[_Renumbering]) -> None:
    """Write the new numbers of waiting revisions, in their rows and in their bytes."""
    entries = [renumbering.record.entry for renumbering in renumberings]
    bodies = read_entries(connection, store, entries)
    for record, number in renumberings:
        set_revision(connection, record.entry, number)
        if record.entry in bodies:  # an erased record is sealed by its leaf; no bytes to change
            document = {**json.loads(bodies[record.entry]), "revision": number}
            rewrite_body(connection, record.entry, revision_body(document))


def _look_again(connection: Connection, reader: SegmentReader) -> None:
    """Queue the jobs whose gaps may change, as the segment has blobs or code that they lacked."""
    _look_at_code_again(connection, reader)
    for position in reader.positions("possession"):
        for sha256 in reader.digests(position):
            blob_arrived(connection, sha256)
    for position in reader.positions(KIND):
        erasure = read_document(reader.body(position), ErasureDocument)
        if erasure.blob is not None:
            blob_erased(connection, reader.head.experiment, erasure.blob)
    # An expired log did not arrive, but its jobs wait for it no longer either
    for position in reader.positions("expiry"):
        for sha256 in read_document(reader.body(position), ExpiryDocument).digests:
            blob_arrived(connection, sha256)


def _look_at_code_again(connection: Connection, reader: SegmentReader) -> None:
    for position in reader.positions("resolution"):
        resolution = read_document(reader.body(position), ResolutionDocument)
        code_resolved(connection, resolution.software)
    tags: dict[str, set[str]] = {}
    for position in reader.positions("ref_observation"):
        observation = read_document(reader.body(position), ObservationDocument)
        tags.setdefault(observation.match_key, set()).add(observation.ref)
    for match_key, refs in tags.items():
        tags_seen(connection, match_key, refs)


def _write_in_order(
    connection: Connection, store: Store, replay: Replay, reader: SegmentReader
) -> None:
    """Write the rows of such entries again: first the adopted segment's, then the waiting ones.

    Comparators and rules get new numbers; of the other kinds the last one counts. If the segment
    has rules, all failures are classified again. A segment without such entries changes nothing.
    """
    if not reader.positions(*_NEWEST_COUNTS):
        return
    segment = reader.head.segment
    entries = standing_entries(connection, replay.experiment, _NEWEST_COUNTS, segment)
    bodies = read_entries(connection, store, [entry.key for entry in entries])
    before = rules_by_number(connection, replay.experiment)
    remove_numbered(connection, list(bodies))
    for entry in entries:
        if entry.key in bodies:
            body = bodies[entry.key]
            if entry.kind == "reclassification" and entry.segment is None:
                body = _numbered_again(connection, replay.experiment, entry.key, body, before)
            document = EntryDocument(entry.key, body, entry.received_at)
            replay.write_again(entry.kind, document)
    if reader.positions(*_OF_FAILURES):
        enqueue_failures(connection, failures_of(connection, replay.experiment))


def _numbered_again(
    connection: Connection, experiment: int, entry: int, body: bytes, before: dict[int, int]
) -> bytes:
    """Return the body of a waiting reclassification with the new number of its rules.

    Its bytes may change, since no head states their leaf yet.
    """
    document = read_document(body, JsonObject)
    version = document["version"]
    rules = before.get(version, 0)
    now = {rules: number for number, rules in rules_by_number(connection, experiment).items()}
    number = now.get(rules, version)
    if number == version:
        return body
    changed = json.dumps({**document, "version": number}, sort_keys=True, ensure_ascii=False)
    rewrite_body(connection, entry, changed.encode())
    return changed.encode()
