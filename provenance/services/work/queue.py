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
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.work import (
    LeasedItem,
    add_items,
    lease_next,
    put_off_item,
    remove_item,
)
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.queries.work.queue import queued_keys
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


def enqueue(connection: Connection, kind: str, key: str, *, due_at: datetime | None = None) -> None:
    """Note work to be done, unless it is noted already."""
    enqueue_all(connection, kind, [key], due_at=due_at)


def enqueue_all(
    connection: Connection, kind: str, keys: Sequence[str], *, due_at: datetime | None = None
) -> None:
    """Note much work of one kind, as far as it is not noted already."""
    queued = queued_keys(connection, kind, keys)
    fresh = [key for key in keys if key not in queued]
    add_items(connection, kind, fresh, due_at=due_at or datetime.now(UTC))


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


def _do(parts: Parts, handler: Handler, item: LeasedItem) -> int:
    """Do the work of an item; return how many items are done: 1, or 0 where it failed."""
    try:
        handler(parts, item.key)
    except (ProvenanceError, OSError) as problem:
        message = str(problem)
        parts.writer.run(lambda writing: _put_off(writing, item, message))
        return 0
    parts.writer.run(lambda writing: remove_item(writing.connection, item.id))
    return 1


def _take(writing: Writing, kinds: list[str]) -> LeasedItem | None:
    now = datetime.now(UTC)
    return lease_next(writing.connection, kinds, now=now, until=now + LEASE)


def _put_off(writing: Writing, item: LeasedItem, message: str) -> None:
    # Twice as long each time, so that what never works takes no time of the rest
    delay = min(FIRST_DELAY * 2 ** min(item.attempts, 20), LONGEST_DELAY)
    due_at = datetime.now(UTC) + delay
    put_off_item(writing.connection, item.id, due_at=due_at, error=message[:1000])
