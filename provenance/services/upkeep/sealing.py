"""Seals the ledger: entries that wait become segments of their experiment's chain in the archive.

One sealer works at a time. The body of a segment is stored first, then its head by put-if-absent,
which commits it; then the rows let go of their bytes. Number and previous head come from the
archive: a database that was restored from an older copy, or that a crash left behind, first adopts
what the archive holds beyond it, and so never forks a chain. After a crash at any step the next
sealing goes on.

Source: storage.md, "Sealing".
"""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import zstandard
from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveUnreachableError, DocumentMissingError
from jobprov.archive.store import SealReport, Store
from jobprov.provenance.db.changes.upkeep import let_go_of_entries, mark_entered
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.queries.upkeep.sealing import digests_to_enter, unsealed_entries
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.turns import hold_sealing, wait_for_derivations
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.ledger.chains import (
    archived_experiments,
    chain_tip,
    next_segment,
    note_tip,
)
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.frames import SegmentError, body_name, head_name
from jobprov.provenance.services.ledger.segments import SealedEntry, write_segment
from jobprov.provenance.services.upkeep.adopted_segments import adopt_segment
from jobprov.provenance.services.upkeep.waiting_entries import settle_waiting
from jobprov.provenance.services.work.notices import blobs_there
from jobprov.provenance.services.writing import Writer, Writing

MOST_ENTRIES = 16_384
_MOST_DIGESTS = 50_000
"""Of an entry that lists uploads."""
_MOST_PACKED_BYTES = 64_000_000
_ROWS_AT_ONCE = 2000
"""Rows a transaction lets go of: some 10 ms, so that no record waits longer behind it."""


class LedgerSeal(NamedTuple):
    """What a sealing did.

    Attributes:
        adopted: segments that the archive had and the database did not know.
        head_bytes: of the new heads, before compression.
        body_bytes: of the new bodies, as stored.
    """

    segments: int = 0
    entries: int = 0
    adopted: int = 0
    head_bytes: int = 0
    body_bytes: int = 0

    def plus(self, other: "LedgerSeal") -> "LedgerSeal":
        """Return both together."""
        return LedgerSeal(*(mine + its for mine, its in zip(self, other, strict=True)))


class Waiting(NamedTuple):
    """An entry that waits to be sealed, with the key of its row."""

    id: int
    entry: SealedEntry


def seal_all(database: Database, writer: Writer, store: Store) -> tuple[LedgerSeal, SealReport]:
    """Seal the ledger of every experiment, then put the archive's loose blobs into packs.

    Of several processes on one database, one does it; the others wait, and find little left to do.
    An experiment that cannot be sealed keeps nothing of the others from it.

    Raises:
        Exception: what the first such experiment met, once all else is done.
    """
    with one_sealer(database):
        ledger, problems = _seal_ledger(database, writer, store, None, MOST_ENTRIES)
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
        database: to read from.
        writer: all writing goes through it, in short transactions.
        store: the archive.
        experiments: all where None, those that only the archive knows too.
        most_entries: entries a segment.

    Raises:
        SegmentError: the archive's chain of an experiment is not the one that this database
            continues; nothing is written of it then.
    """
    with one_sealer(database):
        ledger, problems = _seal_ledger(database, writer, store, experiments, most_entries)
    _raise_first(problems)
    return ledger


def adopt_archived(database: Database, writer: Writer, store: Store, experiment: str) -> int:
    """Take over what the archive has of an experiment beyond the database, and seal nothing.

    Return how many segments.

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
    """Return what was sealed, and what kept experiments from it."""
    total, problems = LedgerSeal(), []
    for experiment in experiments or sorted(_recorded(database) | archived_experiments(store)):
        try:
            total = total.plus(_seal_experiment(database, writer, store, experiment, most_entries))
        except (ArchiveUnreachableError, UnreachableError):
            raise  # all the others would wait for it in vain, too
        # Raised by the caller: the others must not wait until it is mended
        except Exception as problem:  # noqa: BLE001
            problem.add_note(f"while the ledger of {experiment} was sealed")
            problems.append(problem)
    return total, problems


def _raise_first(problems: Sequence[Exception]) -> None:
    for problem in problems[:1]:
        raise problem


def _seal_experiment(
    database: Database, writer: Writer, store: Store, experiment: str, most_entries: int
) -> LedgerSeal:
    total = LedgerSeal()
    _enter_possessions(database, writer, experiment)
    settle_waiting(database, writer, store, experiment)
    while True:
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
        body_sha256 = json.loads(head)["body_sha256"]
        store.put_document(body_name(experiment, segment + 1, body_sha256), body)
        if not store.put_document(head_name(experiment, segment + 1), head):
            continue  # another sealer was first; what it sealed is adopted, what is left comes next
        _let_go(writer, segment + 1, waiting)
        _note_tip(writer, experiment, segment + 1, head)
        total = total.plus(LedgerSeal(1, len(waiting), 0, len(head), len(body)))


def _enter_possessions(database: Database, writer: Writer, experiment: str) -> None:
    """Write ledger entries for what the experiment uploaded since the last sealing."""
    while digests := writer.run(lambda writing: _enter_some(writing, experiment)):
        wait_for_derivations(database)
        writer.run(lambda writing, digests=digests: blobs_there(writing.connection, digests))  # type: ignore[misc]


def _enter_some(writing: Writing, experiment: str) -> list[str]:
    """Write the next entry; return the digests that are in it."""
    connection = writing.connection
    key = intern_experiments(writing, {experiment})[experiment]
    digests = digests_to_enter(connection, key, _MOST_DIGESTS)
    if digests:
        enter_document(writing, key, "possession", {"sha256": digests})
        mark_entered(connection, key, digests)
    return digests


def _adopt(database: Database, writer: Writer, store: Store, experiment: str) -> int:
    """Take over every segment that the archive has beyond the database; return how many."""
    count = 0
    while True:
        with database.reading.connect() as connection:
            tip = chain_tip(connection, experiment)
        reader = next_segment(store, experiment, *tip)
        if reader is None:
            return count
        writer.run(lambda writing, reader=reader: adopt_segment(writing, reader))  # type: ignore[misc]
        count += 1


def _recorded(database: Database) -> set[str]:
    with database.reading.connect() as connection:
        return set(experiment_names(connection))


def _waiting(connection: Connection, experiment: str, most_entries: int) -> list[Waiting]:
    """Return the entries of the next segment."""
    waiting: list[Waiting] = []
    packed_bytes = 0
    # One for all: making one takes longer than a record
    unpack = zstandard.ZstdDecompressor().decompress
    for row in unsealed_entries(connection, experiment, most_entries):
        packed_bytes += len(row.packed)
        if waiting and packed_bytes > _MOST_PACKED_BYTES:
            break
        # Of one that was erased while it waited, the bytes are gone
        body = b"" if row.leaf else unpack(row.packed)
        entry = SealedEntry(
            row.kind, row.received_at, row.submitter, bytes(row.salt), body, row.leaf
        )
        waiting.append(Waiting(row.key, entry))
    return waiting


def _check_archive_is_ours(store: Store, experiment: str, segment: int) -> None:
    """Refuse to go on where the archive lacks the segment that this database sealed last.

    Raises:
        SegmentError: it does.
    """
    try:
        store.get_document(head_name(experiment, segment))
    except DocumentMissingError:
        raise SegmentError(
            f"The archive lacks segment {segment} of {experiment}, which this database sealed: it "
            "is another or an older archive. Restore it before anything is sealed."
        ) from None


def _let_go(writer: Writer, segment: int, waiting: Sequence[Waiting]) -> None:
    """Note where the entries lie now, and give up their bytes.

    What a crash leaves out is adopted next time.
    """
    positions = [(entry.id, position) for position, entry in enumerate(waiting)]
    for part in chunks(positions, _ROWS_AT_ONCE):
        writer.run(
            lambda writing, part=part: let_go_of_entries(writing.connection, segment, part)  # type: ignore[misc]
        )


def _note_tip(writer: Writer, experiment: str, segment: int, head: bytes) -> None:
    writer.run(lambda writing: note_tip(writing, experiment, segment, head))


@contextmanager
def one_sealer(database: Database) -> Iterator[None]:
    """Let one sealer work at a time, in whatever process.

    Correctness does not hang on it: put-if-absent decides.
    """
    if not database.is_sqlite:
        with hold_sealing(database):
            yield
        return
    file = Path(f"{database.reading.url.database}.sealing")
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
