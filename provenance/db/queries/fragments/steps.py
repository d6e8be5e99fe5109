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


class Steps(NamedTuple):
    """Stretches of one length, one after the other; the length is whole seconds."""

    start: datetime
    end: datetime
    step: timedelta

    @property
    def step_seconds(self) -> int:
        """Return how long a step is."""
        return int(self.step / _SECOND)

    @property
    def number(self) -> int:
        """Return how many there are."""
        return -((self.start - self.end) // self.step)


def place_of(
    connection: Connection, moment: SQLColumnExpression[Any], steps: Steps
) -> ColumnElement[int]:
    """Return in which step a moment lies, 0 the first."""
    if connection.dialect.name == "sqlite":
        return _microseconds_since(moment, steps) // (steps.step_seconds * 1_000_000)
    return cast(func.floor(_epoch_since(moment, steps) / steps.step_seconds), BigInteger)


def seconds_after_start(
    connection: Connection, moment: SQLColumnExpression[Any], steps: Steps
) -> ColumnElement[Any]:
    """Return how long after the start of the first step a moment lies."""
    if connection.dialect.name == "sqlite":
        return _microseconds_since(moment, steps) / 1e6
    return _epoch_since(moment, steps)


def _microseconds_since(moment: SQLColumnExpression[Any], steps: Steps) -> ColumnElement[Any]:
    return type_coerce(moment, BigInteger) - (steps.start - EPOCH) // _MICROSECOND


def _epoch_since(moment: SQLColumnExpression[Any], steps: Steps) -> ColumnElement[Any]:
    return func.extract("epoch", moment - steps.start)
