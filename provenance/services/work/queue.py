"""Background work: rows of a leased table, drained by `jobprov serve` and `jobprov work`.

There is no broker.

An item is (kind, key), there once; enqueuing it again changes nothing. Whoever drains takes a
lease, works outside any transaction, and removes the item, or notes the error and when to try
again. A worker that dies loses its lease, not the item.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.selecting import select_by
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.writing import Writer, Writing

LEASE = timedelta(minutes=15)
FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(days=1)


class Parts(NamedTuple):
    """What work is done with.

    Attributes:
        mirrors: folder of the git mirrors.
    """

    database: Database
    writer: Writer
    store: Store
    mirrors: Path


Handler = Callable[[Parts, str], None]
"""Does the work of the item with this key.

Raises a ProvenanceError to have it tried again later.
"""


class TakenItem(NamedTuple):
    """An item under lease."""

    id: int
    kind: str
    key: str
    attempts: int


def enqueue(connection: Connection, kind: str, key: str, *, due_at: datetime | None = None) -> None:
    """Note work to be done, unless it is noted already."""
    enqueue_all(connection, kind, [key], due_at=due_at)


def enqueue_all(
    connection: Connection, kind: str, keys: Sequence[str], *, due_at: datetime | None = None
) -> None:
    """Note much work of one kind, what is not noted already."""
    table = table_of(WorkItem)
    held = select_by(connection, table, ("id",), ("kind", "key"), [(kind, key) for key in keys])
    fresh = [key for key in keys if (kind, key) not in held]
    due_at = due_at or datetime.now(UTC)
    numbered = zip(allocate_keys(connection, table, len(fresh)), fresh, strict=True)
    noted = {"kind": kind, "due_at": due_at, "attempts": 0}
    rows = [{"id": number, "key": key, **noted} for number, key in numbered]
    # on PostgreSQL another process may have noted the same since
    insert_rows(connection, table, rows, skip_known=connection.dialect.name == "postgresql")


def drain(
    parts: Parts,
    handlers: Mapping[str, Handler],
    *,
    until: Callable[[], bool] = lambda: False,
    pause: float = 0.0,
) -> int:
    """Do what is due; return how many items were done.

    Args:
        parts: what to work with.
        handlers: by kind; other kinds are left alone.
        until: asked between items; True ends the draining.
        pause: seconds to wait where nothing is due before looking again; 0 returns then.
    """
    done = 0
    while not until():
        item = parts.writer.run(lambda writing: _take(writing, list(handlers)))
        if item is None:
            if not pause:
                break
            time.sleep(pause)
            continue
        done += _do(parts, handlers[item.kind], item)
    return done


def waiting_work(connection: Connection) -> list[dict[str, Any]]:
    """Return what waits, the next first: kind, key, attempts, why it failed last.

    At most a thousand items are returned.
    """
    query = (
        select(WorkItem.kind, WorkItem.key, WorkItem.attempts, WorkItem.last_error, WorkItem.due_at)
        .order_by(WorkItem.due_at)
        .limit(1000)
    )
    return [
        {**row._asdict(), "due_at": row.due_at.isoformat()} for row in connection.execute(query)
    ]


def _do(parts: Parts, handler: Handler, item: TakenItem) -> int:
    try:
        handler(parts, item.key)
    except (ProvenanceError, OSError) as problem:
        message = str(problem)
        parts.writer.run(lambda writing: _put_off(writing, item, message))
        return 0
    parts.writer.run(lambda writing: _remove(writing, item))
    return 1


def _take(writing: Writing, kinds: list[str]) -> TakenItem | None:
    table = table_of(WorkItem)
    now = datetime.now(UTC)
    query = (
        select(table.c.id, table.c.kind, table.c.key, table.c.attempts)
        .where(table.c.due_at <= now, table.c.leased_until.is_(None) | (table.c.leased_until < now))
        .where(table.c.kind.in_(kinds))
        .order_by(table.c.due_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = writing.connection.execute(query).first()
    if row is None:
        return None
    values = {"leased_until": now + LEASE, "attempts": row.attempts + 1}
    writing.connection.execute(table.update().where(table.c.id == row.id).values(**values))
    return TakenItem(row.id, row.kind, row.key, row.attempts + 1)


def _put_off(writing: Writing, item: TakenItem, message: str) -> None:
    table = table_of(WorkItem)
    delay = min(FIRST_DELAY * 2 ** min(item.attempts, 20), LONGEST_DELAY)
    values = {
        "due_at": datetime.now(UTC) + delay,
        "leased_until": None,
        "last_error": message[:1000],
    }
    writing.connection.execute(table.update().where(table.c.id == item.id).values(**values))


def _remove(writing: Writing, item: TakenItem) -> None:
    table = table_of(WorkItem)
    writing.connection.execute(table.delete().where(table.c.id == item.id))
