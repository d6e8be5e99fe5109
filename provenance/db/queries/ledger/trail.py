"""Entries of the ledger that somebody is answerable for."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from jobprov.provenance.db.tables import LedgerEntry
from jobprov.provenance.db.tables.ledger import IS_ACT


class ActRow(NamedTuple):
    """An entry: its key, when it came, its kind, and who submitted it."""

    entry: int
    received_at: datetime
    kind: str
    submitter: str | None


def acts_before(
    connection: Connection, experiment: int, *, kind: str | None, before: int | None, limit: int
) -> list[ActRow]:
    """Return so many acts of an experiment, newest first, of one kind or of all.

    Args:
        connection: to the database.
        experiment: its key.
        kind: of the entries; None for all.
        before: the key of the entry that the last page ended with.
        limit: how many.
    """
    query = (
        select(LedgerEntry.id, LedgerEntry.received_at, LedgerEntry.kind, LedgerEntry.submitter)
        .where(LedgerEntry.experiment_id == experiment, text(IS_ACT))
        .order_by(LedgerEntry.id.desc())
        .limit(limit)
    )
    if kind is not None:
        query = query.where(LedgerEntry.kind == kind)
    if before is not None:
        query = query.where(LedgerEntry.id < before)
    return [ActRow(*row) for row in connection.execute(query)]
