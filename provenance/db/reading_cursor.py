"""Statements of those who read from PostgreSQL, and what is set for the server before each.

Needs psycopg, and is imported only where that is installed.

Two things hold for a transaction and are set where they change: how long a statement may take, and
how it is planned. A statement that is the same each time finds a few rows by their keys, and
planning it anew for the keys at hand takes longer than running it: it has one plan for all. What
filters compose is planned for its values, which may be rare ones.
"""

from typing import Any, Self
from weakref import WeakSet

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus

from jobprov.provenance.db.time_limits import clock_of

PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"
"""Run once on each connection: how it plans unless it is set otherwise."""
_PLANNED_FOR_VALUES = b"SET LOCAL plan_cache_mode TO auto"
_PLANNED_ONCE_AGAIN = b"SET LOCAL plan_cache_mode TO force_generic_plan"

_planning_for_values: WeakSet[Connection[Any]] = WeakSet()


class ReadingCursor(Cursor[Any]):
    """A cursor that sets for the server how much time is left, and how to plan.

    The time is what is left of the limit that holds on its connection.

    A statement that is the same each time is run with `prepare=True`.
    """

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:
        """Run a statement, and before it, where need be, those that limit its time.

        These also say how the statement is planned.

        Raises:
            TimeUpError: nothing of the limit is left.
        """
        begins = self.connection.info.transaction_status == TransactionStatus.IDLE
        self._limit(begins=begins)
        self._plan(begins=begins, once=options.get("prepare") is True)
        return super().execute(query, *args, **options)

    def _limit(self, *, begins: bool) -> None:
        clock = clock_of(self.connection)
        if clock is None:
            return
        if begins:
            clock.server_limit = None  # it held for the transaction
        seconds = clock.new_server_limit()
        if seconds is not None:
            value = "DEFAULT" if seconds == 0 else str(max(1, int(seconds * 1000)))
            super().execute(f"SET LOCAL statement_timeout TO {value}".encode())

    def _plan(self, *, begins: bool, once: bool) -> None:
        if self.connection.autocommit:
            return  # SQLAlchemy asks whether the server is still there
        if begins:
            _planning_for_values.discard(self.connection)
        if once is not (self.connection in _planning_for_values):
            return
        super().execute(_PLANNED_ONCE_AGAIN if once else _PLANNED_FOR_VALUES)
        if once:
            _planning_for_values.discard(self.connection)
        else:
            _planning_for_values.add(self.connection)
