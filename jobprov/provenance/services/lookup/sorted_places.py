"""Cursors of sorted lists of jobs: where a page ended, as text for the next page's address."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from jobprov.provenance.db.queries.lookup.lists.job_orders import JobOrder, PageEnd, Value
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.paging import bad_cursor, read_json_cursor, write_json_cursor

_OF_TIME = ("started_at", "ended_at")
_OF_TEXT = ("stage", "task_id", "unit", "site", "host")
_MOST_KEY = 2**63


class _Written(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What the cursor of a sorted list holds, as JSON."""

    sort: str
    value: float | int | str | None
    key: int


def write_place(place: PageEnd, order: JobOrder) -> str:
    """Return the cursor of the page behind a place."""
    value: Any = place.value
    if isinstance(value, datetime):
        value = value.isoformat()
    written = _Written(_name(order), value, place.key)
    return write_json_cursor(written)


def read_place(cursor: str | None, order: JobOrder) -> PageEnd | None:
    """Return the place that a cursor names; None without one.

    Raises:
        BadInputError: no list in this order gave it.
    """
    if cursor is None:
        return None
    written = read_json_cursor(cursor, _Written)
    try:
        value = _read_value(written.value, order)
    except ValueError:
        raise bad_cursor() from None
    if written.sort != _name(order):
        problem = f"of a list sorted by {written.sort[:40]}; ask for its first page without one"
        raise BadInputError.of_field("cursor", problem)
    if not 0 <= written.key < _MOST_KEY:
        raise bad_cursor()
    return PageEnd(value, written.key)


def _name(order: JobOrder) -> str:
    return f"-{order.name}" if order.is_descending else order.name


def _read_value(value: float | str | None, order: JobOrder) -> Value:
    """Return what a list is sorted by.

    Raises:
        ValueError: it is not of the kind that the order has.
    """
    if value is None:
        return None
    if order.name in _OF_TIME:
        time = datetime.fromisoformat(str(value))
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    is_text = isinstance(value, str)
    if is_text != (order.name in _OF_TEXT) or (is_text and "\0" in str(value)):
        raise ValueError(value)
    if not is_text and abs(float(value)) >= _MOST_KEY:
        raise ValueError(value)
    return value
