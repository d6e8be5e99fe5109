"""Background work: rows of a table, done by `jobprov serve` and `jobprov work`. There is no broker.

An item is a kind and a key. It is in the table at most once; enqueuing it again changes nothing,
but for news (`enqueue_news`). A worker leases an item, works outside any transaction, then removes
the item, or notes the error and when to try again. If a worker dies, its lease runs out and another
one takes the item.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.work import (
    LeasedItem,
    add_items,
    end_item,
    lease_next,
    put_off_item,
    renew_leased,
)
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.work.queue import queued_keys
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.writing import Writer, Writing

LEASE = timedelta(minutes=15)
FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(days=1)


class Parts(NamedTuple):
    """What background work needs.

    Attributes:
        mirrors: folder of the git mirrors.
        trusted_hosts: git hosts that may have private addresses.
    """

    database: Database
    writer: Writer
    store: Store
    mirrors: Path
    trusted_hosts: frozenset[str] = frozenset()


Handler = Callable[[Parts, str], None]
"""Does the work of the item with this key. It is tried again after a ProvenanceError or OSError."""


def enqueue(connection: Connection, kind: str, key: str, *, due_at: datetime | None = None) -> None:
    """Queue an item, unless it is queued already."""
    enqueue_all(connection, kind, [key], due_at=due_at)


def enqueue_all(
    connection: Connection, kind: str, keys: Sequence[str], *, due_at: datetime | None = None
) -> None:
    """Queue items of one kind, except those that are queued already."""
    queued = queued_keys(connection, kind, keys)
    fresh = [key for key in keys if key not in queued]
    add_items(connection, kind, fresh, due_at=due_at or datetime.now(UTC))


def enqueue_news(connection: Connection, kind: str, keys: Sequence[str]) -> None:
    """Queue items about something new.

    One that is worked on now is done once more: whoever does it may have looked before this came.
    """
    renewed = renew_leased(connection, kind, keys, due_at=datetime.now(UTC))
    enqueue_all(connection, kind, [key for key in keys if key not in renewed])


def drain(
    parts: Parts,
    handlers: Mapping[str, Handler],
    *,
    until: Callable[[], bool] = lambda: False,
) -> int:
    """Do the items that are due; return how many were done.

    Args:
        parts: what to work with.
        handlers: by kind; items of other kinds are left alone.
        until: called between items; True ends the work.
    """
    kinds = list(handlers)
    item = None
    if not until():
        item = parts.writer.run(lambda writing: _take(writing, kinds))
    done = 0
    while item is not None:
        error = _error_of(parts, handlers[item.kind], item)
        if error is None:
            done += 1
        # One commit ends an item and takes the next: each is a turn that recording waits for
        following = [] if until() else kinds
        item = parts.writer.run(partial(_end_and_take, item=item, error=error, kinds=following))
    return done


def _error_of(parts: Parts, handler: Handler, item: LeasedItem) -> str | None:
    """Do the work of an item; return why it has to be tried again, None where it is done."""
    try:
        handler(parts, item.key)
    except (ProvenanceError, OSError) as problem:
        return str(problem)
    return None


def _end_and_take(
    writing: Writing, *, item: LeasedItem, error: str | None, kinds: Sequence[str]
) -> LeasedItem | None:
    """End an item; return the next one of these kinds."""
    if error is None:
        end_item(writing.connection, item)
    else:
        _put_off(writing, item, error)
    return _take(writing, kinds) if kinds else None


def _take(writing: Writing, kinds: Sequence[str]) -> LeasedItem | None:
    now = datetime.now(UTC)
    return lease_next(writing.connection, kinds, now=now, until=now + LEASE)


def _put_off(writing: Writing, item: LeasedItem, message: str) -> None:
    # Twice as long each time, so that what never succeeds takes little time from the rest. The
    # power is bounded, since a timedelta overflows after some forty attempts
    delay = min(FIRST_DELAY * 2 ** min(item.attempts, 20), LONGEST_DELAY)
    due_at = datetime.now(UTC) + delay
    put_off_item(writing.connection, item.id, due_at=due_at, error=message[:1000])
