"""Sums of numbers that clients sent. They must not overflow, since each may fill 64 bits."""

from typing import Any

from sqlalchemy import ColumnElement, Float, cast, func


def wide_sum(column: Any) -> ColumnElement[float]:
    """Return the sum of integers as a floating number, exact up to 2^53.

    SQLite refuses a sum of integers past 64 bits ("integer overflow"): two files that claim 2^63-1
    bytes would close every page that adds them up.
    """
    return func.sum(cast(column, Float))
