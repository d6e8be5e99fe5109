"""Removes erased bytes from archive and database, once their erasure is sealed in the chain.

They are in the bodies of segments, in blobs, and in deleted rows. All is found again from what is
recorded, so this may be run again at any time: after a crash, or when an older copy of the archive,
which still had the bytes, was restored.

The body of a segment is rewritten: the new one is stored and read back before the old one is
removed, so that one of them is there whenever the power fails. The head, with every leaf, does not
change: it still proves all other entries.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.erasures import plans_among
from jobprov.provenance.db.queries.holdings.erasures import erased_of, erased_places
from jobprov.provenance.db.queries.holdings.expiry import needed_by_nobody
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.upkeep.housekeeping import clear_deleted
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.services.bundles.plan_blobs import generated_for_nobody_else
from jobprov.provenance.services.intake.partial_blobs import HalfSent
from jobprov.provenance.services.ledger.chains import archived_experiments
from jobprov.provenance.services.ledger.erased_segments import (
    NO_SALT,
    next_name,
    read_rewritten,
    rewritten_names,
    write_rewritten,
)
from jobprov.provenance.services.ledger.frames import body_name
from jobprov.provenance.services.ledger.segments import (
    SealedEntry,
    SegmentReader,
    forget_segments,
    write_frames,
)
from jobprov.provenance.services.upkeep.sealing import adopt_archived, one_sealer, seal_ledger
from jobprov.provenance.services.writing import Writer


class Cleared(NamedTuple):
    """What was removed.

    Attributes:
        segments: how many bodies of segments were rewritten.
        blobs: how many were removed from the archive, including those that bundles generated.
        left: digests that a damaged pack still holds a copy of.
        is_clear: whether the database's file was rewritten. False where another process held it all
            the time; deleted rows then stay readable in the file.
    """

    segments: int = 0
    blobs: int = 0
    left: tuple[str, ...] = ()
    is_clear: bool = True


class ErasurePlaces(NamedTuple):
    """Where things are erased.

    Attributes:
        half_sent: the folder of partly received blobs; None where there is none.
    """

    database: Database
    writer: Writer
    store: Store
    half_sent: Path | None = None


def clear_erased(
    parts: ErasurePlaces,
    experiment: str,
    *,
    entries: Sequence[int] | None = None,
    digests: Sequence[str] | None = None,
) -> Cleared:
    """Seal the ledger of an experiment, then remove its erased bytes; return what was removed.

    Args:
        entries: keys of ledger entries whose bytes are removed; all that were ever erased if None.
        digests: of blobs to be removed; all that were ever erased if None.

    Raises:
        SegmentError: the chain in the archive is not the one that the database continues, or a
            segment is damaged.
    """
    # The chain must hold the erasure before the bytes go: a rebuilt database could not explain them
    seal_ledger(parts.database, parts.writer, parts.store, experiments=[experiment])
    with one_sealer(parts.database):
        with parts.database.reading.connect() as connection:
            places = erased_places(connection, experiment, entries)
        segments = erase_bodies(parts.store, experiment, places)
    with parts.database.reading.connect() as connection:
        wanted = sorted(erased_of(connection, experiment)) if digests is None else list(digests)
        doomed = _doomed(connection, parts.store, wanted)
    left: set[str] = set()
    # Plans go last: they name what was generated for them, which a crash in between must not lose
    for part in doomed:
        if part:
            left.update(parts.store.erase(part))
    if parts.half_sent is not None:
        for sha256 in wanted:
            HalfSent(parts.half_sent, experiment, sha256).drop()
            HalfSent(parts.half_sent, None, sha256).drop()
    return Cleared(
        segments, sum(map(len, doomed)), tuple(sorted(left)), clear_deleted(parts.database)
    )


def catch_up(parts: ErasurePlaces, experiment: str | None) -> None:
    """Adopt everything that the archive has beyond the database, for one experiment or all.

    Otherwise an erasure would miss the entries that the database does not know.
    """
    names = archived_experiments(parts.store)
    for name in sorted(names) if experiment is None else names & {experiment}:
        adopt_archived(parts.database, parts.writer, parts.store, name)


def finish_erasures(parts: ErasurePlaces) -> dict[str, Cleared]:
    """Remove all bytes that were ever erased and are still there; return these by experiment."""
    with parts.database.reading.connect() as connection:
        experiments = []
        for name in experiment_names(connection):
            if erased_of(connection, name) or erased_places(connection, name):
                experiments.append(name)
    return {experiment: clear_erased(parts, experiment) for experiment in experiments}


def _doomed(connection: Connection, store: Store, wanted: Sequence[str]) -> list[list[str]]:
    """Return the stored blobs to be removed: first all others, then the plans of bundles.

    They are the wanted ones that no other experiment needs, and what was generated for the plans
    among them.
    """
    free = needed_by_nobody(connection, wanted)
    stored: list[str] = []
    for part in chunks(free, 1000):
        stored += sorted(set(part) - store.missing(part))
    plans = plans_among(connection, stored)
    others = set(stored) - plans
    if plans:
        generated = generated_for_nobody_else(connection, store, plans)
        others |= generated - store.missing(sorted(generated)) - plans
    return [sorted(others), sorted(plans)]


def erase_bodies(store: Store, experiment: str, places: Mapping[int, Collection[int]]) -> int:
    """Rewrite the bodies of segments without the entries at these positions.

    Return how many segments still had them.

    Raises:
        SegmentError: the body of a segment does not match its head. It stays as it is.
    """
    count = 0
    try:
        for segment, positions in sorted(places.items()):
            # Another process may have rewritten this body since it was kept in memory
            forget_segments()
            reader = SegmentReader.open(store, experiment, segment)
            first_name = body_name(experiment, segment, reader.head.body_sha256)
            if not all(reader.is_erased(position) for position in positions):
                _write_without(store, reader, first_name, frozenset(positions))
                count += 1
            _remove_older(store, first_name)
    finally:
        forget_segments()
    return count


def _write_without(
    store: Store, reader: SegmentReader, first_name: str, positions: frozenset[int]
) -> None:
    """Store the body of a segment without these entries, and read it back."""
    entries: list[SealedEntry] = []
    for position, entry in enumerate(reader.entries()):
        if position in positions:
            entries.append(entry._replace(salt=NO_SALT, body=b"", erased=entry.leaf))
        else:
            entries.append(entry)
    document = write_rewritten(*write_frames(entries))
    while not store.put_document(name := next_name(store, first_name), document):
        pass  # another process took this number just now: try the next one
    frames, body = read_rewritten(store.get_document(name))
    for _ in SegmentReader(reader.head_bytes, body, frames=frames).entries():
        pass  # reading an entry compares it with its leaf


def _remove_older(store: Store, first_name: str) -> None:
    """Remove the first body and every rewritten one but the newest."""
    if names := rewritten_names(store, first_name):
        store.erase_documents([first_name, *names[:-1]])
