"""Reads rows by many integer keys with one constant statement: the list is one parameter.

Composing such a statement from columns and keying it for SQLAlchemy's cache took longer than running it, and recording a single
job needs a dozen.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection


def select_among(connection: Connection, statement: str, keys: Iterable[int]) -> Sequence[Any]:
    """Return the rows of a statement that says `WHERE column {among}` once, for these keys.

    Column types do not convert here: choose integers, texts and truth values alone.
    """
    listed = list(keys)
    if not listed:
        return []
    if connection.dialect.name == "sqlite":
        among = statement.format(among="IN (SELECT value FROM json_each(?))")
        return connection.exec_driver_sql(among, (json.dumps(listed),)).fetchall()
    return connection.exec_driver_sql(statement.format(among="= ANY(%s)"), (listed,)).fetchall()
