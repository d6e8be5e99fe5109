"""Entries of the kinds of which only the newest counts, and the numbers of rules."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import LedgerEntry, RuleTableRow


class StandingEntry(NamedTuple):
    """An entry of a kind of which only the newest counts; `segment` is None while it waits."""

    key: int
    kind: str
    received_at: datetime
    segment: int | None


def standing_entries(
    connection: Connection, experiment: int, kinds: Collection[str], segment: int
) -> list[StandingEntry]:
    """Return a segment's entries of these kinds, in order, then those that wait."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at, LedgerEntry.segment)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.kind.in_(kinds))
        .where((LedgerEntry.segment == segment) | LedgerEntry.segment.is_(None))
        # `is_(None)` first: SQLite and PostgreSQL sort NULL to different ends
        .order_by(LedgerEntry.segment.is_(None), LedgerEntry.position, LedgerEntry.id)
    )
    return [StandingEntry(*row) for row in connection.execute(query)]


def rules_by_number(connection: Connection, experiment: int) -> dict[int, int]:
    """Return the ledger entry of each version of an experiment's rules."""
    query = select(RuleTableRow.version, RuleTableRow.entry_id).where(
        RuleTableRow.experiment_id == experiment
    )
    return {row.version: row.entry_id for row in connection.execute(query)}
