"""PostgreSQL's statements under a limit of time: what goes before each. Needs psycopg, and is imported where that is."""

from typing import Any, Self

from psycopg import Cursor
from psycopg.pq import TransactionStatus

from provenance.db.time_limits import clock_of


class LimitedCursor(Cursor[Any]):
    """A cursor that tells the server what is left of the limit that holds on its connection, where there is one."""

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:
        """Run a statement, and before it, where need be, the one that limits its time.

        Raises:
            TimeUpError: nothing of the limit is left.
        """
        clock = clock_of(self.connection)
        if clock is not None:
            if self.connection.info.transaction_status == TransactionStatus.IDLE:
                clock.told = None  # it held for the transaction
            seconds = clock.to_tell()
            if seconds is not None:
                value = "DEFAULT" if seconds == 0 else str(max(1, int(seconds * 1000)))
                super().execute(f"SET LOCAL statement_timeout TO {value}".encode())
        return super().execute(query, *args, **options)
