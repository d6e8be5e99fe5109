"""In which step of a window of time something happened."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, type_coerce

from jobprov.provenance.db.tables.base import EPOCH

_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


def step_of(
    connection: Connection, moment: Any, start: datetime, step: timedelta
) -> ColumnElement[int]:
    """Return in which step of a window a moment lies, 0 the first."""
    seconds = int(step / _SECOND)
    if connection.dialect.name == "sqlite":
        first = (start - EPOCH) // _MICROSECOND
        return (type_coerce(moment, BigInteger) - first) // (seconds * 1_000_000)
    since_start = func.extract("epoch", moment - start)
    return cast(func.floor(since_start / seconds), BigInteger)
