"""Counts the rows of a query up to a limit, so that no more of them are read than that."""

from typing import Any

from sqlalchemy import Connection, Select, func, select


def count_at_most(connection: Connection, query: Select[Any], most: int) -> int:
    """Return how many rows a query has, `most` where there are more."""
    few = query.limit(most).subquery()
    return connection.execute(select(func.count()).select_from(few)).scalar_one()
