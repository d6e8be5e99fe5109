"""Counts and sums that no number of rows, and no number that a client sent, can make too large."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Select, cast, func, select


def count_at_most(connection: Connection, query: Select[Any], most: int) -> int:
    """Return how many rows a query has, `most` where there are more: no more are read."""
    few = query.limit(most).subquery()
    return connection.execute(select(func.count()).select_from(few)).scalar_one()


def wide_sum(column: Any) -> ColumnElement[float]:
    """Return the sum of integers as a floating number, exact up to 2^53.

    SQLite refuses a sum of integers past 64 bits ("integer overflow"): two files that claim 2^63-1
    bytes would close every page that adds them up.
    """
    return func.sum(cast(column, Float))
