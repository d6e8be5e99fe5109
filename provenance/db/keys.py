"""Integer keys for names and digests, got or made set-wise, remembered while the process lives.

One writer uses a `KnownKeys`; what a transaction added is forgotten when it rolls back, since its keys never existed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table

from provenance.db.driver import fetch
from provenance.db.inserting import insert_rows, insert_unknown
from provenance.db.selecting import select_by

T = TypeVar("T")

CHUNK = 400
"""Names a statement: well under SQLite's limit of bound parameters, and enough that round trips do not count."""

_LIMIT = 200_000
_NEXT = "SELECT nextval(pg_get_serial_sequence(?, 'id')) FROM generate_series(1, ?)"


def allocate_keys(connection: Connection, table: Table, count: int) -> list[int]:
    """Return `count` unused integer keys of `table`, rising; insert them before the next call for the same table."""
    if count == 0:
        return []
    if connection.dialect.name == "postgresql":
        return [row[0] for row in fetch(connection, _NEXT, (table.name, count))]
    last: int = fetch(connection, f'SELECT coalesce(max(id), 0) FROM "{table.name}"')[0][0]  # noqa: S608 - the schema's name
    return list(range(last + 1, last + 1 + count))


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterable[Sequence[T]]:
    """Yield `items` in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class KnownKeys:
    """Keys by table and natural key: committed ones, and those of the transaction under way."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Any, int]] = {}
        self._pending: dict[str, dict[Any, int]] = {}
        self.notes: dict[Any, Any] = {}
        """Small decoded documents that rows refer to (environment bases); dropped with the rest on a rollback."""

    def commit(self) -> None:
        """Keep what the transaction added."""
        for name, keys in self._pending.items():
            held = self._known.setdefault(name, {})
            if len(held) > _LIMIT:
                held.clear()
            held.update(keys)
        self._pending.clear()

    def rollback(self) -> None:
        """Forget what the transaction added."""
        self._pending.clear()
        self.notes.clear()

    def get(self, table: Table, key: Any) -> int | None:
        """Return the key of a row, if this process has met it."""
        found = self._pending.get(table.name, {}).get(key)
        return self._known.get(table.name, {}).get(key) if found is None else found

    def intern(
        self, connection: Connection, table: Table, columns: Sequence[str], rows: Mapping[Any, Mapping[str, Any]]
    ) -> dict[Any, int]:
        """Return the integer key of every row, inserting those that are new.

        Args:
            connection: in a transaction.
            table: with an integer primary key `id`.
            columns: the natural key: one column (keys are its values) or several (keys are tuples).
            rows: column values by natural key; used only for rows that are new.
        """
        found = {key: number for key in rows if (number := self.get(table, key)) is not None}
        if len(found) < len(rows):
            wanted = [key for key in rows if key not in found]
            fresh = self._select(connection, table, columns, wanted)
            self._insert(connection, table, columns, {key: rows[key] for key in wanted if key not in fresh}, fresh)
            self._pending.setdefault(table.name, {}).update(fresh)
            found.update(fresh)
        return found

    def _select(
        self, connection: Connection, table: Table, columns: Sequence[str], wanted: Sequence[Any]
    ) -> dict[Any, int]:
        return {key: row[0] for key, row in select_by(connection, table, ("id",), tuple(columns), wanted).items()}

    def _insert(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[str],
        rows: Mapping[Any, Mapping[str, Any]],
        found: dict[Any, int],
    ) -> None:
        if not rows:
            return
        ordered = sorted(rows)  # the same order in every process, so that two cannot wait for each other
        numbers = allocate_keys(connection, table, len(ordered))
        values = [{"id": number, **rows[key]} for number, key in zip(numbers, ordered, strict=True)]
        made = dict(zip(ordered, numbers, strict=True))
        if connection.dialect.name == "postgresql":
            inserted = insert_unknown(connection, table, values)
            if len(inserted) < len(made):  # another process was first
                made = self._select(connection, table, columns, ordered)
        else:
            insert_rows(connection, table, values)
        found.update(made)
