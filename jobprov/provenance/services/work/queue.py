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
    end_items,
    lease_alike,
    lease_next,
    put_off_items,
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


class Together(NamedTuple):
    """Does the work of several items at once, which takes little longer than that of one.

    Attributes:
        work: what is done, of items with these keys.
        most: items at once.
    """

    work: Callable[[Parts, Sequence[str]], None]
    most: int


Handler = Callable[[Parts, str], None] | Together
"""Does the work of the item with this key. It is tried again after a ProvenanceError or OSError.

Where several were done together, each is then tried alone, so that only the bad one fails.
"""


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

    One that is worked on now is done once more: its worker may have looked before this came.
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
        handlers: by kind; items of other kinds are left alone.
        until: called between items; True ends the work.
    """
    items: list[LeasedItem] = []
    if not until():
        items = parts.writer.run(lambda writing: _take(writing, handlers))
    done = 0
    while items:
        error = _error_of(parts, handlers[items[0].kind], items)
        if error is None:
            done += len(items)
        # One commit ends items and takes the next: each is a turn that recording waits for
        following = {} if until() else handlers
        items = parts.writer.run(
            partial(_end_and_take, items=items, error=error, handlers=following)
        )
    return done


def _error_of(parts: Parts, handler: Handler, items: Sequence[LeasedItem]) -> str | None:
    """Do the work of items; return why they have to be tried again, None where it is done."""
    try:
        if isinstance(handler, Together):
            handler.work(parts, [item.key for item in items])
        else:
            handler(parts, items[0].key)
    except (ProvenanceError, OSError) as problem:
        return str(problem)
    return None


def _end_and_take(
    writing: Writing,
    *,
    items: Sequence[LeasedItem],
    error: str | None,
    handlers: Mapping[str, Handler],
) -> list[LeasedItem]:
    """End items; return the next ones."""
    if error is None:
        end_items(writing.connection, items)
    else:
        _put_off(writing, items, error)
    return _take(writing, handlers)


def _take(writing: Writing, handlers: Mapping[str, Handler]) -> list[LeasedItem]:
    """Lease the next item, with others where they are done together; none where none is due."""
    if not handlers:
        return []
    now = datetime.now(UTC)
    until = now + LEASE
    first = lease_next(writing.connection, list(handlers), now=now, until=until)
    if first is None:
        return []
    handler = handlers[first.kind]
    if not isinstance(handler, Together) or first.attempts > 1:
        return [first]
    most = handler.most - 1
    others = lease_alike(writing.connection, first.kind, most=most, now=now, until=until)
    return [first, *others]


def _put_off(writing: Writing, items: Sequence[LeasedItem], message: str) -> None:
    # Twice as long each time, so that what never succeeds takes little time from the rest. The
    # power is bounded, since a timedelta overflows after some forty attempts
    delay = min(FIRST_DELAY * 2 ** min(items[0].attempts, 20), LONGEST_DELAY)
    due_at = datetime.now(UTC) + delay
    put_off_items(writing.connection, items, due_at=due_at, error=message[:1000])
