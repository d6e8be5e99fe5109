"""Takes over a sealed segment that the archive holds and the database does not know.

That is so after a crash between the head of a segment and its rows, after another sealer was first,
and for a database that was restored from an older copy. Entries that wait in the database and are
in the segment lose their bytes; the others are replayed. What is sealed has its place for good:
what came to the restored database for the same place gives way, and is kept.
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
    rewrite_body,
    set_first_received,
    set_revision,
    stop_counting,
)
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.upkeep.adopted_segments import (
    RecordOfJob,
    first_received,
    is_record_waiting,
    jobs_in_segment,
    keys_by_position,
    records_of_jobs,
    waiting_bodies,
    waiting_of_kind,
)
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.services.code.ref_observations import tags_seen
from jobprov.provenance.services.ledger.chain_erasures import KIND
from jobprov.provenance.services.ledger.chains import note_tip
from jobprov.provenance.services.ledger.documents import (
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
from jobprov.provenance.services.upkeep.standing_entries import write_in_order
from jobprov.provenance.services.work.notices import blob_arrived, blob_erased, code_resolved
from jobprov.provenance.services.writing import Writing

_Key = tuple[str, bytes]
"""Kind of an entry, and its salt or the digest of its bytes."""
_Place = tuple[str, str]
"""Job id and witness."""


class _Adopted(NamedTuple):
    """An entry that waits in the database and is sealed at this position."""

    id: int
    position: int
    entry: SealedEntry


class _Renumbering(NamedTuple):
    """A revision that waits to be sealed, and the number that it gets."""

    record: RecordOfJob
    number: int


def adopt_segment(writing: Writing, reader: SegmentReader) -> None:
    """Take the segment over, in one transaction.

    Raises:
        SegmentError: the segment does not hold what its head says.
    """
    connection = writing.connection
    experiment, segment = reader.head["experiment"], reader.head["segment"]
    replay = Replay(writing, experiment)
    # Positions that have their row already: a sealer died after writing them
    placed = keys_by_position(connection, replay.experiment, segment)
    entries = dict(enumerate(reader.entries()))
    for position in placed:
        entries.pop(position, None)
    matched, lacking = _match(connection, replay.experiment, entries)
    for adopted in matched:
        _place(connection, adopted, segment)
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
    waiting = waiting_of_kind(connection, experiment, KIND)
    bodies = read_entries(connection, store, waiting)
    erased: set[str] = set()
    for body in bodies.values():
        erased.update(read_document(body, ErasureDocument).digests)
    return erased


class _WaitingEntries:
    """The entries of an experiment that wait in the database, to be recognized in a segment."""

    def __init__(self, connection: Connection, experiment: int) -> None:
        self._by_salt: dict[_Key, int] = {}
        self._by_body: dict[_Key, int] = {}
        self._by_leaf: dict[str, int] = {}
        # Newest first, so that the oldest of several with equal bytes is the one that counts
        for row in waiting_bodies(connection, experiment):
            if row.leaf is not None:
                self._by_leaf[row.leaf] = row.entry
                continue
            body = unpack(row.packed)
            self._by_leaf[hashlib.sha256(row.salt + body).hexdigest()] = row.entry
            self._by_salt[row.kind, row.salt] = row.entry
            self._by_body[row.kind, hashlib.sha256(body).digest()] = row.entry

    def same(self, entry: SealedEntry) -> int | None:
        """Return the entry that was sealed, by its leaf or salt; None where it does not wait.

        The leaf recognizes what was erased on one of both sides.
        """
        by_leaf = self._by_leaf.get(entry.leaf)
        return self._by_salt.get((entry.kind, entry.salt)) if by_leaf is None else by_leaf

    def equal(self, entry: SealedEntry) -> int | None:
        """Return an entry with equal bytes, which was sent again; None where none waits."""
        if entry.erased is not None:
            return None
        return self._by_body.get((entry.kind, hashlib.sha256(entry.body).digest()))


def _match(
    connection: Connection, experiment: int, entries: Mapping[int, SealedEntry]
) -> tuple[list[_Adopted], list[tuple[int, SealedEntry]]]:
    """Return the entries that wait in the database, and those that it lacks."""
    waiting = _WaitingEntries(connection, experiment)
    same: dict[int, int] = {}
    for position, entry in entries.items():
        key = waiting.same(entry)
        if key is not None:
            same[position] = key
    taken = set(same.values())
    matched, lacking = [], []
    for position, entry in entries.items():
        key = same.get(position)
        if key is None:
            # All that are the same come first: equal bytes must not take one of these
            equal = waiting.equal(entry)
            key = None if equal in taken else equal
        if key is None:
            lacking.append((position, entry))
        else:
            taken.add(key)
            matched.append(_Adopted(key, position, entry))
    return matched, lacking


def _place(connection: Connection, adopted: _Adopted, segment: int) -> None:
    entry = adopted.entry
    place = SealedPlace(segment, adopted.position, entry.kind, entry.received_at, entry.submitter)
    place_entry(connection, adopted.id, place)


def _note_first_received(connection: Connection, experiment: int, segment: int) -> None:
    """Note of the jobs in the segment when the first of their records came.

    What is sealed may have come before or after what waits.
    """
    for jobs in chunks(jobs_in_segment(connection, experiment, segment)):
        set_first_received(connection, first_received(connection, jobs))


def _make_way(
    connection: Connection, store: Store, replay: Replay, lacking: Sequence[tuple[int, SealedEntry]]
) -> None:
    """Give what is sealed the places among a job's records that were taken after the restoration.

    A record that differs from the sealed one of its witness becomes a conflict, revisions go after
    the sealed ones.
    """
    # Else each sealed record would be decoded for nothing
    if not is_record_waiting(connection, replay.experiment):
        return
    sealed: dict[_Place, set[int]] = {}
    for _, entry in lacking:
        if (place := replay.place_among_records(entry)) is not None:
            job_id, witness, number = place
            sealed.setdefault((job_id, witness), set()).add(number)
    conflicts: list[RecordOfJob] = []
    renumberings: list[_Renumbering] = []
    for records, taken in _contested(connection, replay.experiment, sealed):
        revisions = []
        for record in records:
            if record.revision > 0:
                revisions.append(record)
            elif 0 in taken:
                conflicts.append(record)
        renumberings += _renumbered(revisions, taken)
    _write_conflicts(connection, store, conflicts)
    _renumber(connection, store, renumberings)


def _contested(
    connection: Connection, experiment: int, sealed: Mapping[_Place, set[int]]
) -> Iterator[tuple[list[RecordOfJob], set[int]]]:
    """Yield, by job and witness, what waits to be sealed, in order, and sealed entries' numbers."""
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
        yield records, taken[place]


def _renumbered(revisions: Sequence[RecordOfJob], taken: set[int]) -> list[_Renumbering]:
    """Return the revisions that give way with their new numbers.

    The numbers are in the same order, past those that are taken.
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
        if record.entry in bodies:  # else it was erased, and nobody can send it again
            sha256 = hashlib.sha256(bodies[record.entry]).hexdigest()
            conflicts.append(NewConflict(record.entry, record.job, record.witness, sha256))
    add_conflicts(connection, conflicts)


def _renumber(connection: Connection, store: Store, renumberings: Sequence[_Renumbering]) -> None:
    """Give revisions that wait their new numbers, in the rows and in the bytes."""
    entries = [renumbering.record.entry for renumbering in renumberings]
    bodies = read_entries(connection, store, entries)
    for record, number in renumberings:
        set_revision(connection, record.entry, number)
        if record.entry in bodies:  # else it was erased, and its leaf is what is sealed
            document = {**json.loads(bodies[record.entry]), "revision": number}
            rewrite_body(connection, record.entry, revision_body(document))


def _look_again(connection: Connection, reader: SegmentReader) -> None:
    """Have jobs looked at again that came before what the segment says of blobs and code."""
    _look_at_code_again(connection, reader)
    for position in reader.positions("possession"):
        for sha256 in reader.digests(position):
            blob_arrived(connection, sha256)
    for position in reader.positions(KIND):
        erasure = read_document(reader.body(position), ErasureDocument)
        if erasure.blob is not None:
            blob_erased(connection, reader.head["experiment"], erasure.blob)
    # No blob came, but what they wait for is expired and no longer missing
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
