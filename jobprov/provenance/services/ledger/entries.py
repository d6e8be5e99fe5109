"""The ledger: every final write is one immutable entry, committed together with its rows.

Source: storage.md, "Ledger". Sealing is `upkeep/sealing.py`, replaying
`upkeep/database_rebuild.py`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.trail import ACTS
from jobprov.provenance.db.changes.ledger import NewEntry, append_entries
from jobprov.provenance.db.queries.ledger import salted_entries, stored_entries
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.services.ledger.segments import SegmentReader, read_bodies
from jobprov.provenance.services.writing import Writing

ORIGIN_FIELD = "origin"
"""Member of a document with where it came from; what else the document says is its own."""


def append_document(connection: Connection, entry: NewEntry, document: Mapping[str, Any]) -> int:
    """Write one entry whose body is a small JSON document; return its key."""
    return append_entries(connection, [entry._replace(body=_body(document))])[0]


def _body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def enter_document(
    writing: Writing, experiment: int, kind: str, document: Mapping[str, Any]
) -> int:
    """Write an entry for a small JSON document, with the time and submitter of this writing.

    Where somebody is answerable for it (`ACTS`), it also keeps where it came from. Return its key.
    """
    return enter_documents(writing, experiment, kind, [document])[0]


def enter_documents(
    writing: Writing, experiment: int, kind: str, documents: Iterable[Mapping[str, Any]]
) -> list[int]:
    """Do the same for several documents at once; return the keys in their order."""
    entry = NewEntry(experiment, kind, writing.received_at, writing.submitter, b"")
    entries = []
    for document in documents:
        if kind in ACTS and writing.origin is not None:
            document = {**document, ORIGIN_FIELD: writing.origin._asdict()}  # noqa: PLW2901
        entries.append(entry._replace(body=_body(document)))
    return append_entries(writing.connection, entries)


class Leaf(NamedTuple):
    """The leaf of an entry, and its segment and position where it is sealed."""

    leaf: str
    place: tuple[int, int] | None


def leaves_of(connection: Connection, store: Store, numbers: Sequence[int]) -> dict[int, Leaf]:
    """Return the leaves of entries by key.

    The leaf of a sealed entry is read from the head of its segment, that of another is computed
    from its salt and bytes.
    """
    leaves: dict[int, Leaf] = {}
    for row in salted_entries(connection, numbers):
        if row.segment is not None and row.position is not None:
            head = SegmentReader.open(store, row.experiment, row.segment).head
            place = (row.segment, row.position)
            leaves[row.entry] = Leaf(head.entries[row.position].leaf, place)
        elif row.salt is not None and row.packed is not None:
            leaf = hashlib.sha256(bytes(row.salt) + unpack(row.packed)).hexdigest()
            leaves[row.entry] = Leaf(leaf, None)
    return leaves


def read_entries(connection: Connection, store: Store, numbers: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies of entries by key, from the database or from the sealed segment.

    Erased entries are left out.
    """
    bodies: dict[int, bytes] = {}
    # Each segment is opened once, however many of its entries are wanted
    sealed: dict[tuple[str, int], dict[int, int]] = {}
    for entry, packed, experiment, segment, position in stored_entries(connection, numbers):
        if packed is not None:
            bodies[entry] = unpack(packed)
        elif segment is not None and position is not None:
            sealed.setdefault((experiment, segment), {})[position] = entry
    for (experiment, segment), entry_at in sealed.items():
        by_position = read_bodies(store, experiment, segment, entry_at.keys())
        for position, entry in entry_at.items():
            # An entry may be erased in the archive before this database has replayed its erasure
            if position in by_position:
                bodies[entry] = by_position[position]
    return bodies
