"""Ends what takes a database too long for somebody who waits."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from provenance.errors import LimitError

SECONDS = 5
_FEWER = "ask for fewer levels with depth=, or one direction"


@contextlib.contextmanager
def time_limit(connection: Connection, advice: str = _FEWER, *, seconds: float = SECONDS) -> Iterator[None]:
    """End what runs inside after `seconds`, on both databases; `advice` is what to ask instead.

    Raises:
        LimitError: the time was up.
    """
    release = _set_limit(connection, seconds)
    try:
        yield
    except OperationalError as problem:
        if not _is_time_up(problem):
            raise
        raise LimitError(f"The answer took more than {seconds} s; {advice}.", round(seconds)) from None
    finally:
        release()


def _set_limit(connection: Connection, seconds: float) -> Any:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
        return lambda: None  # ends with the transaction
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    end = time.monotonic() + seconds
    driver.set_progress_handler(lambda: int(time.monotonic() > end), 20_000)
    return lambda: driver.set_progress_handler(None, 0)


def _is_time_up(problem: OperationalError) -> bool:
    return "interrupted" in str(problem.orig) or "statement timeout" in str(problem.orig)
