"""Entries of the ledger: their bytes while they wait, or the place where they are sealed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import EntryBody, Experiment, LedgerEntry
from jobprov.provenance.db.writer.keys import chunks

_STORED = """
SELECT l.id, b.body, e.name, l.segment, l.position
FROM ledger_entries l JOIN experiments e ON e.id = l.experiment_id
LEFT JOIN entry_bodies b ON b.entry_id = l.id WHERE l.id {among}
AND NOT EXISTS (SELECT 1 FROM erased_entries x WHERE x.entry_id = l.id)
"""


class StoredEntry(NamedTuple):
    """An entry that was not erased.

    Attributes:
        packed: its compressed bytes; None once it is sealed.
        segment: where it is sealed; None while it waits.
        position: in the segment, from 0.
    """

    entry: int
    packed: bytes | None
    experiment: str
    segment: int | None
    position: int | None


class SaltedEntry(NamedTuple):
    """An entry with salt and bytes, which make its leaf. A sealed one has a place instead."""

    entry: int
    experiment: str
    segment: int | None
    position: int | None
    salt: bytes | None
    packed: bytes | None


def stored_entries(connection: Connection, entries: Iterable[int]) -> list[StoredEntry]:
    """Return these entries by key, without those that were erased."""
    stored: list[StoredEntry] = []
    for part in chunks(sorted(set(entries))):
        stored.extend(map(StoredEntry._make, select_among(connection, _STORED, part)))
    return stored


def salted_entries(connection: Connection, entries: Sequence[int]) -> list[SaltedEntry]:
    """Return these entries, each with its salt and bytes or with the place where it is sealed."""
    query = (
        select(
            LedgerEntry.id,
            Experiment.name,
            LedgerEntry.segment,
            LedgerEntry.position,
            EntryBody.salt,
            EntryBody.body,
        )
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id, isouter=True)
    )
    salted: list[SaltedEntry] = []
    for part in chunks(entries):
        rows = connection.execute(query.where(LedgerEntry.id.in_(part)))
        salted.extend(SaltedEntry(*row) for row in rows)
    return salted


def newest_final(connection: Connection, job: int, witness: str) -> int:
    """Return the key of the newest final record that a witness sent of a job."""
    query = (
        select(LedgerEntry.id)
        .where(LedgerEntry.job_id == job, LedgerEntry.witness == witness)
        .order_by(LedgerEntry.revision.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one()
