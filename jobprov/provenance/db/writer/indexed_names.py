"""Brings SQLite's index of file names up to date, many names at a time.

Indexing a name alone costs six times as much as among thousands. So names wait until there are
`MOST_WAITING`; a search looks at those that wait one by one, which takes it a millisecond.
PostgreSQL keeps its index itself.
"""

from sqlalchemy import Connection

from jobprov.provenance.db.statements.driver import change, fetch
from jobprov.provenance.db.tables.name_index import TRIGRAMS, has_name_index
from jobprov.provenance.db.writer.transaction import Transaction

MOST_WAITING = 4000
_NEWEST = "SELECT coalesce(max(id), 0) FROM files"
_NEWEST_INDEXED = f"SELECT coalesce(max(id), 0) FROM {TRIGRAMS}_docsize"  # noqa: S608
_INDEX = f"""
INSERT INTO {TRIGRAMS} (rowid, name) SELECT id, name FROM files WHERE id > ? ORDER BY id
"""  # noqa: S608 - a name of ours


class _Progress:
    """What a writer remembers: up to which key names are indexed.

    Attributes:
        last: the key; None where the database was not asked yet.
        is_kept: whether this is a database whose index is kept here.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.is_kept = True


def newest_indexed(connection: Connection) -> int:
    """Return the greatest key among the files that SQLite's index has."""
    newest: int = fetch(connection, _NEWEST_INDEXED)[0][0]
    return newest


def index_new_names(transaction: Transaction) -> None:
    """Index the names that wait, once they are many; called before each commit."""
    progress = transaction.remembered(_Progress)
    if not progress.is_kept:
        return
    connection = transaction.connection
    if progress.last is None:
        progress.is_kept = connection.dialect.name == "sqlite" and has_name_index(connection)
        if not progress.is_kept:
            return
        progress.last = newest_indexed(connection)
    newest = fetch(connection, _NEWEST)[0][0]
    if newest - progress.last >= MOST_WAITING:
        change(connection, _INDEX, (progress.last,))
        progress.last = newest
