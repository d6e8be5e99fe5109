"""Integer keys for names and digests, got or made set-wise, remembered while the connection lives.

One writer uses a `KnownKeys`; what a transaction added is forgotten when it rolls back, since its
keys never existed.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Table

from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.inserting import insert_rows, insert_unknown
from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.writer.advisory_locks import OF_EXPERIMENT
from jobprov.provenance.db.writer.turns import note_numbering

T = TypeVar("T")
K = TypeVar("K")
"""The natural key of a row: the value of one column, or a tuple of the values of several."""


@dataclass
class _Reserve:
    """Keys of a table that this process may use, and how many it has taken so far."""

    unused: list[int] = field(default_factory=list)
    taken: int = 0


_reserves: "WeakKeyDictionary[Engine, dict[str, _Reserve]]" = WeakKeyDictionary()
_lock = threading.Lock()

CHUNK = 400
"""How many names one statement takes.

It is well under SQLite's limit of bound parameters, and enough that round trips do not count.
"""

_LIMIT = 10_000
"""Rows of a table that are remembered: some 2 MB.

What a job names was mostly written moments before.
"""
_MOST_AHEAD = 256
"""Keys that one round trip to PostgreSQL reserves for a table, at most.

Those that a process does not come to use are left out: so it reserves no more than it has taken
before, and a command that needs one takes one.
"""
# The name of a sequence is looked up once, not for each key
_NEXT_IN_TURN = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(?, ?))
SELECT nextval((SELECT pg_get_serial_sequence(?, 'id'))::regclass)
FROM turn, generate_series(1, ?)
"""
_NEXT = """
SELECT nextval((SELECT pg_get_serial_sequence(?, 'id'))::regclass) FROM generate_series(1, ?)
"""


def allocate_keys(connection: Connection, table: Table, count: int) -> list[int]:
    """Return `count` unused integer keys of `table`, rising.

    Insert them before the next call for the same table.
    """
    if count == 0:
        return []
    if connection.dialect.name == "postgresql":
        return _take_reserved(connection, table.name, count)
    newest = f'SELECT coalesce(max(id), 0) FROM "{table.name}"'  # noqa: S608 - the schema's name
    last: int = fetch(connection, newest)[0][0]
    return list(range(last + 1, last + 1 + count))


def allocate_in_turn(connection: Connection, table: Table, whose: Sequence[int]) -> list[int]:
    """Return an unused key for each of `whose`, in order.

    Greater than all that were taken for the same owner and are committed.

    Whoever takes keys for the same owner later waits for this commit.
    """
    if connection.dialect.name != "postgresql":
        return allocate_keys(connection, table, len(whose))
    note_numbering(connection)
    unused: dict[int, Iterator[int]] = {}
    for owner, count in sorted(Counter(whose).items()):
        rows = fetch(connection, _NEXT_IN_TURN, (OF_EXPERIMENT, owner, table.name, count))
        unused[owner] = iter([row[0] for row in rows])
    return [next(unused[owner]) for owner in whose]


def _take_reserved(connection: Connection, name: str, count: int) -> list[int]:
    """Return keys of the sequence, those reserved before first.

    A rollback loses some, as it does the sequence's own.
    """
    with _lock:
        reserve = _reserves.setdefault(connection.engine, {}).setdefault(name, _Reserve())
        lacking = count - len(reserve.unused)
        if lacking > 0:
            wanted = max(lacking, min(reserve.taken, _MOST_AHEAD))
            reserve.unused += [row[0] for row in fetch(connection, _NEXT, (name, wanted))]
        reserve.taken += count
        taken, reserve.unused[:count] = reserve.unused[:count], []
    return taken


def _give_back(connection: Connection, name: str, numbers: Sequence[int]) -> None:
    """Reserve keys again that were taken and not used, lowest first."""
    with _lock:
        reserve = _reserves.get(connection.engine, {}).get(name)
        if reserve is not None:
            reserve.unused[:0] = numbers


def forget_reserved(engine: Engine) -> None:
    """Leave out the keys that this process reserved: the database may be one that gave none."""
    with _lock:
        _reserves.pop(engine, None)


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterable[Sequence[T]]:
    """Yield `items` in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class KnownKeys:
    """Keys by table and natural key: committed ones, and those of the transaction under way."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Any, int]] = {}
        self._pending: dict[str, dict[Any, int]] = {}

    def commit(self) -> None:
        """Keep what the transaction added."""
        for name, keys in self._pending.items():
            known = self._known.setdefault(name, {})
            if len(known) > _LIMIT:
                known.clear()
            known.update(keys)
        self._pending.clear()

    def rollback(self) -> None:
        """Forget what the transaction added."""
        self._pending.clear()

    def get(self, table: Table, key: Any) -> int | None:
        """Return the key of a row, if this process has met it."""
        number = self._pending.get(table.name, {}).get(key)
        if number is None:
            number = self._known.get(table.name, {}).get(key)
        return number

    def intern(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[str],
        rows: Mapping[K, Mapping[str, object]],
    ) -> dict[K, int]:
        """Return the integer key of every row, inserting those that are new.

        Args:
            connection: in a transaction.
            table: with an integer primary key `id`.
            columns: the natural key: one column (keys are its values) or several (keys are tuples).
            rows: column values by natural key; used only for rows that are new.
        """
        return self.intern_new(connection, table, columns, rows)[0]

    def intern_new(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[str],
        rows: Mapping[K, Mapping[str, object]],
        *,
        absent: AbstractSet[K] = frozenset(),
    ) -> tuple[dict[K, int], set[K]]:
        """Do the same; return as well which rows were inserted.

        Those in `absent` cannot be there: they are not looked for.
        """
        known, pending = self._known.get(table.name, {}), self._pending.setdefault(table.name, {})
        numbers: dict[K, int] = {}
        wanted = []
        for key in rows:
            number = pending.get(key) or known.get(key)
            if number is None:
                wanted.append(key)
            else:
                numbers[key] = number
        if not wanted:
            return numbers, set()
        if connection.dialect.name == "postgresql":
            missing = {key: rows[key] for key in wanted}
            stored, made = self._insert_first(connection, table, columns, missing)
        else:
            looked_for = [key for key in wanted if key not in absent]
            stored = self._select(connection, table, columns, looked_for)
            missing = {key: rows[key] for key in wanted if key not in stored}
            fresh = self._insert(connection, table, missing)
            stored.update(fresh)
            made = set(fresh)
        pending.update(stored)
        numbers.update(stored)
        return numbers, made

    def _select(
        self, connection: Connection, table: Table, columns: Sequence[str], wanted: Sequence[K]
    ) -> dict[K, int]:
        rows = select_by(connection, table, ("id",), tuple(columns), wanted)
        return {key: row[0] for key, row in rows.items()}

    def _insert(
        self, connection: Connection, table: Table, rows: Mapping[K, Mapping[str, object]]
    ) -> dict[K, int]:
        """Insert rows that no other process inserts; return their keys."""
        ordered = sorted(rows)  # type: ignore[type-var]  # keys of one table compare
        numbers = allocate_keys(connection, table, len(ordered))
        values = [{"id": number, **rows[key]} for number, key in zip(numbers, ordered, strict=True)]
        insert_rows(connection, table, values)
        return dict(zip(ordered, numbers, strict=True))

    def _insert_first(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[str],
        rows: Mapping[K, Mapping[str, object]],
    ) -> tuple[dict[K, int], set[K]]:
        """Insert those of the rows that are not there, and look up the others.

        What a process has not met is mostly new: looking first would be one statement more.

        Return the keys of all, and which rows were inserted.
        """
        # The same order in every process, so that two cannot wait for each other
        ordered = sorted(rows)  # type: ignore[type-var]  # keys of one table compare
        numbers = allocate_keys(connection, table, len(ordered))
        values = [{"id": number, **rows[key]} for number, key in zip(numbers, ordered, strict=True)]
        inserted = insert_unknown(connection, table, values)
        stored: dict[K, int] = {}
        unused: dict[K, int] = {}
        for key, number in zip(ordered, numbers, strict=True):
            if number in inserted:
                stored[key] = number
            else:
                unused[key] = number
        made = set(stored)
        there = self._select(connection, table, columns, list(unused))
        # Not the key of a row that is not there either: it is another row's
        _give_back(connection, table.name, [unused[key] for key in unused if key in there])
        stored.update(there)
        return stored, made
