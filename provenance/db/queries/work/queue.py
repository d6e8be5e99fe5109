"""The queue of background work."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, select

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
    return [WaitingItem(*row[:4], row[4].isoformat()) for row in connection.execute(query)]


def queued_keys(connection: Connection, kind: str, keys: Sequence[str]) -> set[str]:
    """Return those of the keys of which the queue has an item of this kind."""
    items = select_by(
        connection, table_of(WorkItem), ("id",), ("kind", "key"), [(kind, key) for key in keys]
    )
    return {key for _, key in items}
