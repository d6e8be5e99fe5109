"""Code that waits to be resolved, and what was stored of code that is.

What waits are items of the queue of background work.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import Resolution, WorkItem
from jobprov.provenance.db.tables.base import table_of

RESOLVE = "resolve"
"""The kind of the items; their keys are digests of software entries."""


def waiting_digests(connection: Connection) -> set[str]:
    """Return the digests of all entries that wait."""
    query = select(WorkItem.key).where(WorkItem.kind == RESOLVE)
    return {row.key for row in connection.execute(query)}


def last_errors(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """Return why the last try to resolve these entries failed, by digest."""
    keys = [(RESOLVE, digest) for digest in digests]
    rows = select_by(connection, table_of(WorkItem), ("last_error",), ("kind", "key"), keys)
    return {digest: row[0] for (_, digest), row in rows.items() if row[0]}


def all_last_errors(connection: Connection) -> dict[str, str]:
    """Return why the last try to resolve waiting entries failed, the oldest item first."""
    query = (
        select(WorkItem.key, WorkItem.last_error)
        .where(WorkItem.kind == RESOLVE, WorkItem.last_error.is_not(None))
        .order_by(WorkItem.id)
    )
    return {digest: error or "" for digest, error in connection.execute(query)}


def resolved_packs(connection: Connection) -> list[str]:
    """Return the digests of the packs of all resolved code, without its submodules."""
    query = select(Resolution.pack_sha256).where(Resolution.pack_sha256.is_not(None)).distinct()
    return [sha256 for (sha256,) in connection.execute(query) if sha256]


def resolutions_with_submodules(connection: Connection) -> Iterator[str]:
    """Yield the JSON documents of resolutions that may have submodules."""
    # Only the document names packs of submodules. Its text is searched, so that few are parsed
    query = select(Resolution.document).where(Resolution.document.contains("submodules"))
    for (document,) in connection.execute(query):
        yield document
