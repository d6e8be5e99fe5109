"""Ends what takes a database too long for somebody who waits.

A limit holds for all that runs inside it together. PostgreSQL knows only limits of single
statements: before each, `postgresql.py` sets what is left, where that has changed. A limit
inside another never lasts longer than that.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from jobprov.provenance.errors import LimitError

SECONDS = 5
_FEWER = "ask for fewer levels with depth=, or one direction"
_OPERATIONS = 20_000
"""Of SQLite's machine, between two looks at the clock."""
_SLACK = 0.25
"""Seconds that a statement may go on beyond the limit.

Setting PostgreSQL's limit anew is one more round trip.
"""

P = ParamSpec("P")
T = TypeVar("T")


class TimeUpError(LimitError):
    """The time was up before a statement; `time_limit` says what to ask instead."""


class Deadline(NamedTuple):
    """When a limit ends, and how long it was."""

    end: float
    seconds: float


@dataclass
class Clock:
    """The limit that holds on a connection of a driver.

    Attributes:
        deadline: None where no limit holds.
        server_limit: seconds that PostgreSQL got as its limit in this transaction; None for none.
    """

    deadline: Deadline | None = None
    server_limit: float | None = None

    def new_server_limit(self) -> float | None:
        """Return the seconds that PostgreSQL must get before the next statement.

        0 lifts its limit; None where the one that it has will do.

        Raises:
            TimeUpError: nothing is left.
        """
        if self.deadline is None:
            had_limit = self.server_limit is not None
            self.server_limit = None
            return 0 if had_limit else None
        left = self.deadline.end - time.monotonic()
        if left <= 0:
            raise TimeUpError("The time was up.", round(self.deadline.seconds))
        if self.server_limit is not None and abs(self.server_limit - left) <= _SLACK:
            return None
        self.server_limit = left
        return left


_clocks: WeakKeyDictionary[Any, Clock] = WeakKeyDictionary()


def clock_of(driver: Any) -> Clock | None:
    """Return the clock of a connection of PostgreSQL's driver; None where it never had a limit."""
    return _clocks.get(driver)


@contextlib.contextmanager
def time_limit(
    connection: Connection, advice: str = _FEWER, *, seconds: float = SECONDS
) -> Iterator[None]:
    """End what runs inside after `seconds` in all, on both databases.

    `advice` is what to ask instead.

    Raises:
        LimitError: the time was up.
    """
    driver: Any = connection.connection.driver_connection
    clock: Clock = connection.info.setdefault("clock", Clock())
    outer = clock.deadline
    clock.deadline = _sooner(outer, Deadline(time.monotonic() + seconds, seconds))
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        _clocks[driver] = clock
    elif outer is None:
        _watch(driver, clock)
    try:
        yield
    except (OperationalError, TimeUpError) as problem:
        if not _is_time_up(problem):
            raise
        length = clock.deadline.seconds
        raise LimitError(
            f"The answer took more than {length:g} s; {advice}.", round(length)
        ) from None
    finally:
        clock.deadline = outer
        if is_sqlite and outer is None:
            driver.set_progress_handler(None, 0)


def _sooner(outer: Deadline | None, inner: Deadline) -> Deadline:
    """Return the deadline that ends first."""
    return inner if outer is None or inner.end < outer.end else outer


def limited(
    advice: str = _FEWER,
) -> Callable[[Callable[Concatenate[Connection, P], T]], Callable[Concatenate[Connection, P], T]]:
    """Return what puts one limit around a whole question, which may have others in its parts."""

    def limit(
        question: Callable[Concatenate[Connection, P], T],
    ) -> Callable[Concatenate[Connection, P], T]:
        @wraps(question)
        def asked(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with time_limit(connection, advice):
                return question(connection, *args, **kwargs)

        return asked

    return limit


def _watch(driver: sqlite3.Connection, clock: Clock) -> None:
    driver.set_progress_handler(
        lambda: int(clock.deadline is not None and time.monotonic() > clock.deadline.end),
        _OPERATIONS,
    )


def _is_time_up(problem: OperationalError | TimeUpError) -> bool:
    """Return whether a statement was ended, or not begun, because the time was up."""
    if isinstance(problem, TimeUpError):
        return True
    # The words of SQLite and of PostgreSQL
    return "interrupted" in str(problem.orig) or "statement timeout" in str(problem.orig)
