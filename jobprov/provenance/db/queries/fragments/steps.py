"""The steps of a window of time, and the step in which a moment of a job lies."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    cast,
    func,
    literal,
    select,
    type_coerce,
)

from jobprov.provenance.db.queries.fragments.bounded import count_at_most
from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Job
from jobprov.provenance.db.tables.base import EPOCH

_MOST_BY_INDEX = 4
"""An index leads to a quarter of all jobs; more are met sooner by reading the table through."""
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


def within(
    connection: Connection,
    moment: SQLColumnExpression[Any],
    window: Window,
    *,
    is_of_all: bool,
) -> list[ColumnElement[bool]]:
    """Return the condition that a moment of a job lies in a window.

    SQLite would follow the index of moments to one job after the other, all over the table. Where
    these are many of all jobs, it is kept from that.

    Args:
        moment: a column of jobs that has an index.
        is_of_all: nothing else that an index knows narrows the jobs down.
    """
    if connection.dialect.name == "sqlite" and is_of_all:
        jobs = connection.execute(select(func.max(Job.id))).scalar_one() or 0
        many = jobs // _MOST_BY_INDEX + 1
        found = select(moment).where(moment >= window.start, moment < window.end)
        if count_at_most(connection, found, many) == many:
            moment = without_index(moment)
    return [moment >= window.start, moment < window.end]


def place_of(
    connection: Connection, moment: SQLColumnExpression[Any], window: Window
) -> ColumnElement[int]:
    """Return in which step a moment lies, 0 the first."""
    if connection.dialect.name == "sqlite":
        return _microseconds_since(moment, window) // (window.step_seconds * 1_000_000)
    # A step of a century has more seconds than PostgreSQL's integer
    step_seconds = literal(window.step_seconds, BigInteger)
    return cast(func.floor(_epoch_since(moment, window) / step_seconds), BigInteger)


def place_and_state_of(
    connection: Connection, moment: SQLColumnExpression[Any], window: Window
) -> ColumnElement[int]:
    """Return in which step a moment of a job lies and the state of the job, as one number.

    SQLite sorts the jobs to group them, by one number in a third of the time of two.
    `read_place_and_state` reads it.
    """
    return place_of(connection, moment, window) * len(STATES) + Job.state


class PlaceAndState(NamedTuple):
    """In which step a moment of a job lies, and the state of the job."""

    place: int
    state: int


def read_place_and_state(number: int) -> PlaceAndState:
    """Return what a number of `place_and_state_of` stands for."""
    return PlaceAndState._make(divmod(int(number), len(STATES)))


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
