"""Steps of a window of time: in which one a moment of a job lies, and how long after the start."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    cast,
    func,
    type_coerce,
)

from jobprov.provenance.db.tables.base import EPOCH

_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


class Window(NamedTuple):
    """A stretch of time in steps of whole seconds; the last one ends where it does, or later."""

    start: datetime
    end: datetime
    step: timedelta

    @property
    def step_seconds(self) -> int:
        """Return how long a step is."""
        return int(self.step / _SECOND)

    @property
    def step_count(self) -> int:
        """Return how many steps it has."""
        return -((self.start - self.end) // self.step)

    @property
    def starts(self) -> list[datetime]:
        """Return when each step begins."""
        return [self.start + place * self.step for place in range(self.step_count)]


def place_of(
    connection: Connection, moment: SQLColumnExpression[Any], window: Window
) -> ColumnElement[int]:
    """Return in which step a moment lies, 0 the first."""
    if connection.dialect.name == "sqlite":
        return _microseconds_since(moment, window) // (window.step_seconds * 1_000_000)
    return cast(func.floor(_epoch_since(moment, window) / window.step_seconds), BigInteger)


def seconds_after_start(
    connection: Connection, moment: SQLColumnExpression[Any], window: Window
) -> ColumnElement[Any]:
    """Return how long after the start of the first step a moment lies."""
    if connection.dialect.name == "sqlite":
        return _microseconds_since(moment, window) / 1e6
    return _epoch_since(moment, window)


def _microseconds_since(moment: SQLColumnExpression[Any], window: Window) -> ColumnElement[Any]:
    return type_coerce(moment, BigInteger) - (window.start - EPOCH) // _MICROSECOND


def _epoch_since(moment: SQLColumnExpression[Any], window: Window) -> ColumnElement[Any]:
    return func.extract("epoch", moment - window.start)
