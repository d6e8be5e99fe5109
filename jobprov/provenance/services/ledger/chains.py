"""The chains of sealed segments: their end as the database knows it, and what the archive adds."""

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection

from jobprov.archive.errors import DocumentMissingError
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.ledger import write_last_segment
from jobprov.provenance.db.queries.ledger import LastSegment, last_segment
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.services.ledger.frames import SegmentError, head_name
from jobprov.provenance.services.ledger.segments import GENESIS, SegmentReader
from jobprov.provenance.services.writing import Writing

_PREFIX = "ledger/"


def archived_experiments(store: Store) -> set[str]:
    """Return the experiments that have a chain in the archive."""
    return {name.split("/")[1] for name in store.documents(_PREFIX)}


def chain_tip(connection: Connection, experiment: str) -> LastSegment:
    """Return the last segment that the database knows; number 0 and zeros before the first."""
    return last_segment(connection, experiment) or LastSegment(0, GENESIS)


def note_tip(writing: Writing, experiment: str, segment: int, head: bytes) -> None:
    """Note the last segment of a chain."""
    key = intern_experiments(writing, {experiment})[experiment]
    write_last_segment(writing.connection, key, segment, hashlib.sha256(head).hexdigest())


def next_segment(
    store: Store, experiment: str, segment: int, head_sha256: str
) -> SegmentReader | None:
    """Return the segment after this one, None at the end of the chain.

    Raises:
        SegmentError: the next head does not name this one as its previous.
    """
    try:
        store.get_document(head_name(experiment, segment + 1))
    except DocumentMissingError:
        return None
    reader = SegmentReader.open(store, experiment, segment + 1)
    head = reader.head
    if (head.experiment, head.segment, head.previous) != (experiment, segment + 1, head_sha256):
        raise SegmentError(
            f"Segment {segment + 1} of {experiment} does not continue segment {segment} as it is "
            "known: the chain was tampered with, or this archive belongs to another database."
        )
    return reader


def read_chain(store: Store, experiment: str) -> Iterator[SegmentReader]:
    """Yield the segments of a chain in order, each checked to continue the one before.

    Raises:
        SegmentError: the chain is broken.
    """
    segment, previous = 0, GENESIS
    while (reader := next_segment(store, experiment, segment, previous)) is not None:
        yield reader
        segment, previous = segment + 1, reader.head_sha256
    # A missing head looks like the end of the chain: only a head further on gives it away
    missing = head_name(experiment, segment + 1)
    names = store.documents(f"{_PREFIX}{experiment}/")
    if any(name > missing and name.endswith(".head") for name in names):
        raise SegmentError(
            f"Segment {segment + 1} of {experiment} is not in the archive, but later ones are: "
            "restore it from a copy."
        )
