"""The queue of background work."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, func, select

from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.db.tables.base import table_of

_MOST_LISTED = 1000


class WaitingItem(Struct, frozen=True):
    """A piece of background work that waits.

    Attributes:
        attempts: how often it was tried.
        last_error: why it failed last, None where it was not tried yet or did not fail.
        due_at: when it is tried next.
    """

    kind: str
    key: str
    attempts: int
    last_error: str | None
    due_at: str


def waiting_items(connection: Connection) -> list[WaitingItem]:
    """Return what waits, the next first; at most a thousand items."""
    query = (
        select(WorkItem.kind, WorkItem.key, WorkItem.attempts, WorkItem.last_error, WorkItem.due_at)
        .order_by(WorkItem.due_at)
        .limit(_MOST_LISTED)
    )
    items = []
    for kind, key, attempts, last_error, due_at in connection.execute(query):
        items.append(WaitingItem(kind, key, attempts, last_error, due_at.isoformat()))
    return items


class QueueLength(NamedTuple):
    """How much background work of a kind there is.

    Attributes:
        items: how many.
        failed: how many of them were tried and failed.
        due_at: when the first of them was or will be due.
    """

    kind: str
    items: int
    failed: int
    due_at: datetime


def queue_lengths(connection: Connection) -> list[QueueLength]:
    """Return how much work of each kind there is, in the order of kinds."""
    failed = func.count().filter(WorkItem.last_error.is_not(None))
    query = (
        select(WorkItem.kind, func.count(), failed, func.min(WorkItem.due_at))
        .group_by(WorkItem.kind)
        .order_by(WorkItem.kind)
    )
    return [QueueLength(*row) for row in connection.execute(query)]


def waiting_keys(connection: Connection, kind: str) -> list[str]:
    """Return the keys of all background work of a kind, what was noted first first."""
    query = select(WorkItem.key).where(WorkItem.kind == kind).order_by(WorkItem.id)
    return [row.key for row in connection.execute(query)]


def queued_keys(connection: Connection, kind: str, keys: Sequence[str]) -> set[str]:
    """Return the keys that have an item of this kind in the queue."""
    items = select_by(
        connection, table_of(WorkItem), ("id",), ("kind", "key"), [(kind, key) for key in keys]
    )
    return {key for _, key in items}
