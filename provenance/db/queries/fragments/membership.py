"""Conditions that a column is one of many values."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    any_,
    bindparam,
    func,
    select,
)


def among(connection: Connection, column: Any, keys: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a column is one of these integer keys.

    The keys are a single parameter: databases allow some thirty thousand parameters, and for each
    number of them SQLAlchemy would compile another statement.
    """
    if connection.dialect.name == "sqlite":
        values = func.json_each(
            bindparam("keys", json.dumps(list(keys)), unique=True)
        ).table_valued("value")
        return column.in_(select(values.c.value))  # type: ignore[no-any-return]
    array = bindparam("keys", list(keys), type_=ARRAY(BigInteger), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]
