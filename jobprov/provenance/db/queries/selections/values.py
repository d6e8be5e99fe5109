"""Compares columns with the values of a comparison, whose texts are read as the column's kind.

Values are texts as people wrote them, patterns with wildcards, and ranges.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.selections.conditions import Between, Comparison, Operator, Value
from jobprov.provenance.selections.fields import NUMBER, TIME
from jobprov.provenance.selections.tokens import SelectionError

TEXT = "text"
CONSUMED_STATUS = {
    "succeeded": "consumed",
    "running": "delivered",
    "failed": "failed",
    "killed": "failed",
    "lost": "failed",
}
"""What SAM counts a file as that a job read, by the state of that job."""
OTHER_STATUSES = {"delivered": ("transferred",)}
"""What a delivered file is called once its job has told SAM that the file is there."""
_LARGEST = 2**63
_EXACT_DIGITS = 18
_ORDERS: dict[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    Operator.LESS: lambda column, value: column < value,
    Operator.LESS_OR_EQUAL: lambda column, value: column <= value,
    Operator.GREATER: lambda column, value: column > value,
    Operator.GREATER_OR_EQUAL: lambda column, value: column >= value,
}


def condition_on(
    dialect: str, comparison: Comparison, column: Any, kind: str = TEXT
) -> ColumnElement[bool]:
    """Return the condition that a column of a kind meets a comparison.

    Raises:
        SelectionError: a value cannot be read as this kind.
    """
    if comparison.operator is Operator.IS_THERE:
        return column.is_not(None)  # type: ignore[no-any-return]
    if comparison.operator in _ORDERS:
        (value,) = comparison.values
        read = _READERS[kind]
        return _ORDERS[comparison.operator](column, read(text_of(value), comparison.field))
    is_equal = _is_one_of(dialect, comparison, column, kind)
    return is_equal if comparison.operator is Operator.EQUAL else ~is_equal


def _is_one_of(dialect: str, comparison: Comparison, column: Any, kind: str) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values, ranges or patterns."""
    read, field = _READERS[kind], comparison.field
    plain: list[Any] = []
    conditions: list[ColumnElement[bool]] = []
    for value in comparison.values:
        if isinstance(value, Between):
            conditions.append(column.between(read(value.first, field), read(value.last, field)))
        elif value.is_pattern:
            # `*` alone has no condition of its own
            conditions.append(and_(*matches(dialect, column, value.text), column.is_not(None)))
        else:
            plain.append(read(value.text, field))
    if len(plain) == 1:
        conditions.append(column == plain[0])
    elif plain:
        conditions.append(column.in_(plain))
    return or_(*conditions)


def text_of(value: Value | Between) -> str:
    """Return the text of a value.

    Raises:
        SelectionError: it is a range, which only `=` and `!=` take.
    """
    if isinstance(value, Between):
        raise SelectionError(f"{value.first}-{value.last}: a range cannot be compared like this.")
    return value.text


def read_job_id(text: str, field: str) -> UUID:
    """Return a job id.

    Raises:
        SelectionError: it is not a UUID.
    """
    try:
        return UUID(text)
    except ValueError:
        raise SelectionError(
            f"{field}: {text!r} is not a job id; it is a UUID, and has no wildcards."
        ) from None


def _read_number(text: str, field: str) -> float | int:
    if text.isdecimal() and len(text) <= _EXACT_DIGITS:
        return int(text)
    try:
        number = float(text)
    except ValueError:
        raise SelectionError(f"{field}: {text!r} is not a number.") from None
    if not abs(number) < _LARGEST:
        raise SelectionError(f"{field}: {text!r} is too large.")
    whole = int(number)
    return whole if whole == number else number


def _read_time(text: str, field: str) -> datetime:
    """Return a moment: ISO 8601 (UTC where it has no zone), or seconds since 1970."""
    try:
        if text.replace(".", "", 1).isdecimal() and len(text) > len("2026"):
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise SelectionError(
            f"{field}: {text!r} is not a time; write it as 2026-01-31 or 2026-01-31T12:00:00."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _read_text(text: str, field: str) -> str:  # noqa: ARG001 - one form for all readers
    return text


_READERS: dict[str, Callable[[str, str], Any]] = {
    NUMBER: _read_number,
    TIME: _read_time,
    TEXT: _read_text,
}
