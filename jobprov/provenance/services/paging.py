"""Pages of a list: how many rows one may have, and the cursor for where it ended."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from jobprov.provenance.errors import BadInputError

T = TypeVar("T")

_KEY_DIGITS = 18
"""All numbers of 18 digits fit into the 64 bits of a key, not all of 19 do."""


def check_limit(limit: int, most: int) -> None:
    """Check how many rows a page is to have.

    Raises:
        BadInputError: none, or more than `most`.
    """
    if not 1 <= limit <= most:
        raise BadInputError.of_field("limit", f"between 1 and {most}")


def read_cursor(cursor: str | None) -> int | None:
    """Return the integer key in a cursor; None without one.

    Raises:
        BadInputError: no list gave it.
    """
    if cursor is None:
        return None
    if not is_key(cursor):
        raise bad_cursor()
    return int(cursor)


def next_cursor(rows: Sequence[T], limit: int, place: Callable[[T], object]) -> str | None:
    """Return the cursor behind the last row of a page; None where no other page follows.

    Args:
        rows: one more than the page has, where there are more.
        limit: how many the page has.
        place: returns what names the place of a row, such as its key.
    """
    if len(rows) <= limit:
        return None
    return str(place(rows[limit - 1]))


def is_key(text: str) -> bool:
    """Return whether a text is an integer key of a row."""
    return text.isascii() and text.isdigit() and len(text) <= _KEY_DIGITS


def write_json_cursor(place: object) -> str:
    """Return the cursor for a place that one key does not name."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_json_cursor(cursor: str, place_type: type[T]) -> T:
    """Return the place that `write_json_cursor` wrote.

    Raises:
        BadInputError: no list gave it.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        document = b64decode(padded, altchars=b"-_", validate=True)
        return msgspec.json.decode(document, type=place_type)
    except (ValueError, msgspec.MsgspecError):  # no ASCII, no base64, no JSON of this type
        raise bad_cursor() from None


def bad_cursor() -> BadInputError:
    """Return the error for a cursor that no list gave."""
    return BadInputError.of_field("cursor", "not one that a list gave")
