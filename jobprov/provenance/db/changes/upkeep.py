"""Writes what sealing, adopting and replaying change in rows that are there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import (
    ComparatorSet,
    EntryBody,
    Job,
    LedgerEntry,
    OwnArchive,
    Possession,
    Reclassification,
    RefObservation,
    RuleTableRow,
    Sighting,
    Verdict,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import chunks

_ENTRIES = table_of(LedgerEntry)
_BODIES = table_of(EntryBody)
_POSSESSIONS = table_of(Possession)
_NUMBERED = (ComparatorSet.entry_id, RuleTableRow.entry_id, Reclassification.entry_id)
"""Tables whose rows are numbered in the order of the chain."""
_TIMES: Mapping[str, tuple[Any, str]] = {
    "verdict": (Verdict, "posted_at"),
    "sighting": (Sighting, "seen_at"),
    "rules": (RuleTableRow, "created_at"),
    "reclassification": (Reclassification, "created_at"),
    "ref_observation": (RefObservation, "first_seen_at"),
}
"""Kinds of entries whose rows repeat when the entry came."""


class SealedPlace(NamedTuple):
    """Where an entry lies in a segment, and what the segment states of it."""

    segment: int
    position: int
    kind: str
    received_at: datetime
    submitter: str | None


_ONLY = 1
"""The key of the one row of the table `own_archive`."""


def remember_archive(connection: Connection, identity: str) -> None:
    """Note which archive belongs to the database, unless that is noted already."""
    if connection.execute(select(OwnArchive.id).with_for_update()).first() is None:
        row = {"id": _ONLY, "identity": identity}
        insert_rows(connection, table_of(OwnArchive), [row], skip_known=True)


def write_again(connection: Connection) -> None:
    """Write the row of the archive as it is, to see whether the database can be written."""
    connection.execute(update(OwnArchive).values(identity=OwnArchive.identity))


def forget_archive(connection: Connection) -> None:
    """Note that the database belongs to no archive yet."""
    connection.execute(delete(OwnArchive))


def adopt_archive(connection: Connection, identity: str) -> None:
    """Note which archive belongs to the database from now on."""
    remember_archive(connection, identity)
    connection.execute(update(OwnArchive).values(identity=identity))


def let_go_of_entries(
    connection: Connection, segment: int, positions: Sequence[tuple[int, int]]
) -> None:
    """Note where sealed entries lie, by (key, position), and remove their bytes."""
    place = (
        update(_ENTRIES)
        .where(_ENTRIES.c.id == bindparam("key"))
        .values(segment=segment, position=bindparam("place"))
    )
    rows = [{"key": key, "place": position} for key, position in positions]
    connection.execute(place, rows)
    remove = delete(_BODIES).where(_BODIES.c.entry_id == bindparam("key"))
    connection.execute(remove, [{"key": key} for key, _ in positions])


def place_entry(connection: Connection, entry: int, place: SealedPlace) -> None:
    """Have an entry that waited lie where it is sealed, as it is sealed, and remove its bytes."""
    connection.execute(
        update(LedgerEntry)
        .where(LedgerEntry.id == entry)
        .values(
            received_at=place.received_at,
            submitter=place.submitter,
            segment=place.segment,
            position=place.position,
        )
    )
    connection.execute(delete(EntryBody).where(EntryBody.entry_id == entry))
    if place.kind in _TIMES:
        model, column = _TIMES[place.kind]
        row = update(model).where(model.entry_id == entry)
        connection.execute(row.values({column: place.received_at}))


def set_first_received(connection: Connection, first: Mapping[int, datetime]) -> None:
    """Note when the first record of each of these jobs came, where that is another moment."""
    for job, received_at in first.items():
        changed = update(Job).where(Job.id == job, Job.received_at != received_at)
        connection.execute(changed.values(received_at=received_at))


def stop_counting(connection: Connection, entry: int) -> None:
    """Have a record that its job was made of count as a conflict."""
    evidence = {"kind": "conflict", "job_id": None, "witness": None, "revision": None}
    connection.execute(update(LedgerEntry).where(LedgerEntry.id == entry).values(evidence))


def set_revision(connection: Connection, entry: int, revision: int) -> None:
    """Give a record that waits to be sealed another number."""
    connection.execute(update(LedgerEntry).where(LedgerEntry.id == entry).values(revision=revision))


def rewrite_body(connection: Connection, entry: int, body: bytes) -> None:
    """Give an entry that waits to be sealed other bytes; no head states its leaf yet."""
    changed = update(EntryBody).where(EntryBody.entry_id == entry)
    connection.execute(changed.values(body=pack(body)))


def remove_numbered(connection: Connection, entries: Sequence[int]) -> None:
    """Remove the rows of these entries that are numbered in the order of the chain."""
    for column in _NUMBERED:
        remove_among(connection, column, entries)


def mark_entered(connection: Connection, experiment: int, digests: Sequence[str]) -> None:
    """Note that the ledger holds these uploads of an experiment."""
    for part in chunks(digests):
        uploads = update(Possession).where(
            Possession.experiment_id == experiment, Possession.sha256.in_(part)
        )
        connection.execute(uploads.values(is_entered=True))


def add_entered(connection: Connection, experiment: int, digests: Sequence[str]) -> None:
    """Have an experiment possess these blobs, as the ledger holds."""
    mark_entered(connection, experiment, digests)
    wanted = [(experiment, sha256) for sha256 in sorted(set(digests))]
    possessed = select_by(
        connection, _POSSESSIONS, ("is_entered",), ("experiment_id", "sha256"), wanted
    )
    rows = []
    for key, sha256 in wanted:
        if (key, sha256) not in possessed:
            rows.append({"experiment_id": key, "sha256": sha256, "is_entered": True})
    insert_rows(connection, _POSSESSIONS, rows)
