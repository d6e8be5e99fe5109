"""Writes the queue of background work: items are added, leased, put off and removed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select, tuple_, update

from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys, chunks


class LeasedItem(NamedTuple):
    """An item under lease.

    Attributes:
        attempts: how often it was tried, with this time.
        due_at: when it was due; another time by now means that it is to be done once more.
    """

    id: int
    kind: str
    key: str
    attempts: int
    due_at: datetime


def add_items(connection: Connection, kind: str, keys: Sequence[str], *, due_at: datetime) -> None:
    """Add items of one kind; the queue must have none of these keys."""
    rows = []
    numbers = allocate_keys(connection, table_of(WorkItem), len(keys))
    for number, key in zip(numbers, keys, strict=True):
        row = {"id": number, "kind": kind, "key": key, "due_at": due_at, "attempts": 0}
        rows.append(row)
    # On PostgreSQL another process may have added the same since somebody looked
    insert_rows(connection, table_of(WorkItem), rows, skip_known=True)


def renew_leased(
    connection: Connection, kind: str, keys: Sequence[str], *, due_at: datetime
) -> set[str]:
    """Have items of one kind that are under lease done once more; return their keys."""
    renewed: set[str] = set()
    for part in chunks(keys):
        query = (
            update(WorkItem)
            .where(WorkItem.kind == kind, WorkItem.key.in_(part))
            .where(WorkItem.leased_until.is_not(None))
            .values(due_at=due_at)
            .returning(WorkItem.key)
        )
        renewed.update(connection.execute(query).scalars())
    return renewed


def lease_next(
    connection: Connection, kinds: Sequence[str], *, now: datetime, until: datetime
) -> LeasedItem | None:
    """Lease the item of these kinds that is due first; None if none is due."""
    query = (
        select(WorkItem.id, WorkItem.kind, WorkItem.key, WorkItem.attempts, WorkItem.due_at)
        .where(WorkItem.due_at <= now, WorkItem.kind.in_(kinds))
        .where(WorkItem.leased_until.is_(None) | (WorkItem.leased_until < now))
        .order_by(WorkItem.due_at, WorkItem.id)
        .limit(1)
        # Two workers take two items, and neither waits for the other
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    item = LeasedItem(row.id, row.kind, row.key, row.attempts + 1, row.due_at)
    leased = {"leased_until": until, "attempts": item.attempts}
    connection.execute(update(WorkItem).where(WorkItem.id == item.id).values(leased))
    return item


def lease_alike(
    connection: Connection, kind: str, *, most: int, now: datetime, until: datetime
) -> list[LeasedItem]:
    """Lease items of one kind that are due and were never tried, those first that are due first."""
    query = (
        select(WorkItem.id, WorkItem.key, WorkItem.due_at)
        .where(WorkItem.kind == kind, WorkItem.due_at <= now)
        .where(WorkItem.leased_until.is_(None), WorkItem.attempts == 0)
        .order_by(WorkItem.due_at, WorkItem.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(query).all()
    items = [LeasedItem(row.id, kind, row.key, 1, row.due_at) for row in rows]
    if items:
        leased = {"leased_until": until, "attempts": 1}
        connection.execute(update(WorkItem).where(_is_among(items)).values(leased))
    return items


def put_off_items(
    connection: Connection, items: Sequence[LeasedItem], *, due_at: datetime, error: str
) -> None:
    """End the leases of items, to be tried again later, and note why they failed."""
    values = {"due_at": due_at, "leased_until": None, "last_error": error}
    connection.execute(update(WorkItem).where(_is_among(items)).values(values))


def end_items(connection: Connection, items: Sequence[LeasedItem]) -> None:
    """Remove items that are done; what is to be done once more waits for its next turn."""
    leases = [(item.id, item.due_at) for item in items]
    is_as_leased = tuple_(WorkItem.id, WorkItem.due_at).in_(leases)
    ended = connection.execute(delete(WorkItem).where(is_as_leased))
    if ended.rowcount < len(items):
        again = {"leased_until": None, "attempts": 0, "last_error": None}
        connection.execute(update(WorkItem).where(_is_among(items)).values(again))


def _is_among(items: Sequence[LeasedItem]) -> ColumnElement[bool]:
    return WorkItem.id.in_([item.id for item in items])


def remove_waiting_key(connection: Connection, kind: str, key: str) -> None:
    """Remove background work that was done outside the queue."""
    connection.execute(delete(WorkItem).where(WorkItem.kind == kind, WorkItem.key == key))


def remove_items_of(connection: Connection, kind: str) -> None:
    """Remove all items of a kind."""
    connection.execute(delete(WorkItem).where(WorkItem.kind == kind))
