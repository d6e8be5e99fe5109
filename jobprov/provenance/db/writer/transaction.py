"""A transaction of the writer, and what the writer remembers from one transaction to the next.

It is deliberately not SQLAlchemy's session: rows are written set-wise, and what is remembered is
small and typed.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Table

from jobprov.provenance.db.writer.keys import KnownKeys

K = TypeVar("K")
M = TypeVar("M")


class Memory:
    """What a writer remembers of what it read or wrote, so that it need not ask the database again.

    Each kind is a small class of the module that uses it; see `of`. A rollback forgets all of them:
    what the transaction added never was, and nothing tells it from the rest.
    """

    def __init__(self) -> None:
        self.keys = KnownKeys()
        self._by_kind: dict[type[Any], Any] = {}

    def of(self, kind: type[M]) -> M:
        """Return the memory of this kind, an empty one where there is none yet."""
        memory = self._by_kind.get(kind)
        if memory is None:
            memory = self._by_kind[kind] = kind()
        return cast("M", memory)

    def commit(self) -> None:
        """Keep what the transaction added."""
        self.keys.commit()

    def rollback(self) -> None:
        """Forget what the transaction added."""
        self.keys.rollback()
        self._by_kind.clear()


@dataclass(frozen=True, slots=True)
class Transaction:
    """Where rows are written: the connection, and what the writer remembers."""

    connection: Connection
    memory: Memory

    def remembered(self, kind: type[M]) -> M:
        """Return the writer's memory of this kind, an empty one where there is none yet."""
        return self.memory.of(kind)

    def known_key(self, table: Table, key: Any) -> int | None:
        """Return the integer key of a row by its natural key, if the writer has met it."""
        return self.memory.keys.get(table, key)

    def intern(
        self, table: Table, columns: Sequence[str], rows: Mapping[K, Mapping[str, object]]
    ) -> dict[K, int]:
        """Return the integer key of every row, inserting those that are new.

        See `KnownKeys.intern`.
        """
        return self.memory.keys.intern(self.connection, table, columns, rows)

    def intern_new(
        self,
        table: Table,
        columns: Sequence[str],
        rows: Mapping[K, Mapping[str, object]],
        *,
        absent: AbstractSet[K] = frozenset(),
    ) -> tuple[dict[K, int], set[K]]:
        """Do the same, and return which rows were inserted; see `KnownKeys.intern_new`."""
        return self.memory.keys.intern_new(self.connection, table, columns, rows, absent=absent)
