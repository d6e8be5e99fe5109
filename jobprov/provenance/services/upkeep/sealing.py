"""Seals the ledger: moves waiting entries into segments of their experiment's chain in the archive.

One sealer works at a time. It stores the body of a segment, then the head by put-if-absent, which
commits the segment; then the rows give up their bytes. Before it seals, a database that is behind
the archive (restored from an older copy, or left behind by a crash) adopts the archive's segments,
so it never forks a chain. After a crash at any step, the next sealing continues.

Source: storage.md, "Sealing".
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import zstandard
from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError, ArchiveUnreachableError, DocumentMissingError
from jobprov.archive.store import SealReport, Store
from jobprov.provenance.db.changes.upkeep import let_go_of_entries, mark_entered
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.experiments import experiment_key, experiment_names
from jobprov.provenance.db.queries.upkeep import digests_to_enter, unsealed_entries
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.turns import hold_sealing, wait_for_derivations
from jobprov.provenance.errors import ProvenanceError, UnreachableError
from jobprov.provenance.progress import tell
from jobprov.provenance.services.ledger.chains import (
    archived_experiments,
    chain_tip,
    next_segment,
    note_tip,
)
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.frames import (
    SegmentError,
    body_name,
    head_name,
    read_outline,
)
from jobprov.provenance.services.ledger.segments import SealedEntry, write_segment
from jobprov.provenance.services.upkeep.adopted_segments import adopt_segment
from jobprov.provenance.services.upkeep.archive_identity import check_own_archive
from jobprov.provenance.services.upkeep.waiting_entries import settle_waiting
from jobprov.provenance.services.work.notices import blobs_there
from jobprov.provenance.services.writing import Writer, Writing

MOST_ENTRIES = 16_384
"""Entries of a segment."""
_MOST_DIGESTS = 50_000
"""Digests of an entry that lists uploads; 3.4 MB as JSON."""
_MOST_PACKED_BYTES = 64_000_000
"""Compressed entries of a segment, which is made in memory."""
_ROWS_AT_ONCE = 2000
"""Rows that give up their bytes in one transaction: some 10 ms, for which a record may wait."""


class LedgerSeal(NamedTuple):
    """What a sealing did.

    Attributes:
        segments: how many were sealed.
        entries: how many these hold.
        adopted: segments that were in the archive and not in the database.
        head_bytes: of the new heads, before compression.
        body_bytes: of the new bodies, as stored.
    """

    segments: int = 0
    entries: int = 0
    adopted: int = 0
    head_bytes: int = 0
    body_bytes: int = 0

    def plus(self, other: "LedgerSeal") -> "LedgerSeal":
        """Return the sums of both."""
        return LedgerSeal(*(mine + its for mine, its in zip(self, other, strict=True)))


class Waiting(NamedTuple):
    """An entry that waits to be sealed, with the key of its row."""

    id: int
    entry: SealedEntry


def seal_all(database: Database, writer: Writer, store: Store) -> tuple[LedgerSeal, SealReport]:
    """Seal the ledger of every experiment, then put the archive's loose blobs into packs.

    Of several processes on one database, one seals; the others wait, and find little left to do. An
    experiment that cannot be sealed does not keep the others from being sealed.

    Raises:
        ConflictError: the archive is not the database's own, such as an empty folder whose disk is
            not mounted.
        Exception: the problem of the first such experiment, raised once everything else is done.
    """
    check_own_archive(database, store)
    with one_sealer(database):
        ledger, problems = _seal_ledger(database, writer, store, None, MOST_ENTRIES)
        tell("packing loose blobs")
        blobs = store.seal()
    _raise_first(problems)
    return ledger, blobs


def seal_ledger(
    database: Database,
    writer: Writer,
    store: Store,
    *,
    experiments: Sequence[str] | None = None,
    most_entries: int = MOST_ENTRIES,
) -> LedgerSeal:
    """Seal what waits, and adopt what the archive has beyond the database; return what was done.

    Args:
        writer: all writing goes through it, in short transactions.
        experiments: all if None, including those that only the archive has.
        most_entries: entries of a segment.

    Raises:
        SegmentError: the chain of an experiment in the archive is not the one that this database
            continues. Nothing of that experiment is written then.
    """
    with one_sealer(database):
        ledger, problems = _seal_ledger(database, writer, store, experiments, most_entries)
    _raise_first(problems)
    return ledger


def try_sealing(database: Database, writer: Writer, store: Store, experiment: str) -> str | None:
    """Seal what waits of an experiment; return why that failed, None where it worked."""
    try:
        seal_ledger(database, writer, store, experiments=[experiment])
    except (ArchiveError, ProvenanceError) as problem:
        return str(problem)
    return None


def adopt_archived(database: Database, writer: Writer, store: Store, experiment: str) -> int:
    """Adopt what the archive has of an experiment beyond the database, without sealing anything.

    Return how many segments were adopted.

    Raises:
        SegmentError: the archive's chain is not the one that this database continues.
    """
    with one_sealer(database):
        return _adopt(database, writer, store, experiment)


def _seal_ledger(
    database: Database,
    writer: Writer,
    store: Store,
    experiments: Sequence[str] | None,
    most_entries: int,
) -> tuple[LedgerSeal, list[Exception]]:
    """Return what was sealed, and the problems of experiments that could not be sealed."""
    total, problems = LedgerSeal(), []
    for experiment in experiments or sorted(_recorded(database) | archived_experiments(store)):
        try:
            total = total.plus(_seal_experiment(database, writer, store, experiment, most_entries))
        except (ArchiveUnreachableError, UnreachableError):
            raise  # the other experiments would fail in the same way
        # The caller raises it: the other experiments must not wait until this one is repaired
        except Exception as problem:  # noqa: BLE001
            problem.add_note(f"while the ledger of {experiment} was sealed")
            problems.append(problem)
    return total, problems


def _raise_first(problems: Sequence[Exception]) -> None:
    if problems:
        raise problems[0]


def _seal_experiment(
    database: Database, writer: Writer, store: Store, experiment: str, most_entries: int
) -> LedgerSeal:
    """Seal the entries of an experiment, segment after segment, until none waits."""
    total = LedgerSeal()
    _enter_possessions(database, writer, experiment)
    settle_waiting(database, writer, store, experiment)
    while True:
        # In each round: another sealer on this archive may have been first
        total = total.plus(LedgerSeal(adopted=_adopt(database, writer, store, experiment)))
        with database.reading.connect() as connection:
            segment, previous = chain_tip(connection, experiment)
            waiting = _waiting(connection, experiment, most_entries)
        if not waiting:
            return total
        if segment:
            _check_archive_is_ours(store, experiment, segment)
        entries = [waiting_entry.entry for waiting_entry in waiting]
        head, body = write_segment(experiment, segment + 1, previous, entries)
        # The body first: the head commits the segment, and must not name a body that is not there
        body_sha256 = read_outline(head).body_sha256
        store.put_document(body_name(experiment, segment + 1, body_sha256), body)
        if not store.put_document(head_name(experiment, segment + 1), head):
            continue  # another sealer was first: adopt its segment, then seal what is left
        _let_go(writer, segment + 1, waiting)
        writer.run(partial(note_tip, experiment=experiment, segment=segment + 1, head=head))
        tell(f"entries of {experiment} sealed", total.entries + len(waiting))
        sealed = LedgerSeal(
            segments=1, entries=len(waiting), head_bytes=len(head), body_bytes=len(body)
        )
        total = total.plus(sealed)


def _enter_possessions(database: Database, writer: Writer, experiment: str) -> None:
    """Write ledger entries for what the experiment uploaded since the last sealing."""
    while digests := _uploaded(database, experiment):
        # A job that is being recorded may have missed these blobs. Once it is committed, its gaps
        # are looked at again, by work that is queued together with the entry
        wait_for_derivations(database)
        writer.run(partial(_enter, experiment=experiment, digests=digests))


def _uploaded(database: Database, experiment: str) -> list[str]:
    """Return some of the digests that an experiment uploaded and no entry lists."""
    with database.reading.connect() as connection:
        key = experiment_key(connection, experiment)
        if key is None:
            return []
        return digests_to_enter(connection, key, _MOST_DIGESTS)


def _enter(writing: Writing, experiment: str, digests: Sequence[str]) -> None:
    """Write an entry that lists these uploads, without those that were erased meanwhile."""
    connection = writing.connection
    listed = sorted(possessed_blobs(connection, experiment, digests))
    if listed:
        key = intern_experiments(writing, {experiment})[experiment]
        enter_document(writing, key, "possession", {"sha256": listed})
        mark_entered(connection, key, listed)
        blobs_there(connection, listed)


def _adopt(database: Database, writer: Writer, store: Store, experiment: str) -> int:
    """Adopt every segment that the archive has beyond the database; return how many."""
    count = 0
    while True:
        with database.reading.connect() as connection:
            tip = chain_tip(connection, experiment)
        reader = next_segment(store, experiment, *tip)
        if reader is None:
            return count
        writer.run(partial(adopt_segment, reader=reader))
        count += 1


def _recorded(database: Database) -> set[str]:
    with database.reading.connect() as connection:
        return set(experiment_names(connection))


def _waiting(connection: Connection, experiment: str, most_entries: int) -> list[Waiting]:
    """Return the entries of the next segment."""
    waiting: list[Waiting] = []
    packed_bytes = 0
    # One decompressor for all: making one takes longer than unpacking a record
    unpack = zstandard.ZstdDecompressor().decompress
    for row in unsealed_entries(connection, experiment, most_entries):
        packed_bytes += len(row.packed)
        if waiting and packed_bytes > _MOST_PACKED_BYTES:
            break
        # An entry that was erased while it waited has a leaf here, and no bytes
        body = b"" if row.leaf else unpack(row.packed)
        entry = SealedEntry(
            row.kind, row.received_at, row.submitter, bytes(row.salt), body, row.leaf
        )
        waiting.append(Waiting(row.key, entry))
    return waiting


def _check_archive_is_ours(store: Store, experiment: str, segment: int) -> None:
    """Refuse to seal where the archive lacks the segment that this database sealed last.

    Raises:
        SegmentError: it lacks that segment, so it is another archive or an older copy.
    """
    try:
        store.get_document(head_name(experiment, segment))
    except DocumentMissingError:
        raise SegmentError(
            f"The archive lacks segment {segment} of {experiment}, which this database sealed: it "
            "is another or an older archive. Restore it before anything is sealed."
        ) from None


def _let_go(writer: Writer, segment: int, waiting: Sequence[Waiting]) -> None:
    """Note where the entries lie now, and remove their bytes from the database.

    If a crash leaves some of them out, the next sealing adopts the segment and finds them.
    """
    positions = [(entry.id, position) for position, entry in enumerate(waiting)]
    for part in chunks(positions, _ROWS_AT_ONCE):
        writer.run(partial(_let_go_of_part, segment=segment, positions=part))


def _let_go_of_part(writing: Writing, segment: int, positions: Sequence[tuple[int, int]]) -> None:
    let_go_of_entries(writing.connection, segment, positions)


@contextmanager
def one_sealer(database: Database) -> Iterator[None]:
    """Let only one sealer work at a time, in all processes.

    This only saves work. That no segment is written twice is up to put-if-absent of its head.
    """
    if not database.is_sqlite:
        with hold_sealing(database):
            yield
        return
    file = Path(f"{database.reading.url.database}.sealing")
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
