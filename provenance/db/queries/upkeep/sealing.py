"""Entries that wait to be sealed, and uploads that no entry holds yet."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import EntryBody, Experiment, LedgerEntry, Possession


class UnsealedEntry(NamedTuple):
    """An entry that waits to be sealed.

    Attributes:
        packed: its compressed bytes.
        leaf: what the head of its segment will have if it was erased while it waited; else None.
    """

    key: int
    kind: str
    received_at: datetime
    submitter: str | None
    salt: bytes
    packed: bytes
    leaf: str | None


def unsealed_entries(
    connection: Connection, experiment: str, most_entries: int
) -> Iterator[UnsealedEntry]:
    """Yield the entries of an experiment that wait, in the order of their keys."""
    query = (
        select(
            LedgerEntry.id,
            LedgerEntry.kind,
            LedgerEntry.received_at,
            LedgerEntry.submitter,
            EntryBody.salt,
            EntryBody.body,
            EntryBody.leaf,
        )
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id)
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        # Not "after the last sealed key": on PostgreSQL, a lower key may be committed later
        .where(Experiment.name == experiment, LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.id)
        .limit(most_entries)
    )
    for row in connection.execution_options(yield_per=500).execute(query):
        yield UnsealedEntry(*row)


def digests_to_enter(connection: Connection, experiment: int, most_digests: int) -> list[str]:
    """Return so many of the digests that an experiment uploaded and no entry lists yet, sorted."""
    query = select(Possession.sha256).where(
        Possession.experiment_id == experiment, Possession.is_entered.is_(False)
    )
    return sorted(connection.execute(query.limit(most_digests)).scalars())
