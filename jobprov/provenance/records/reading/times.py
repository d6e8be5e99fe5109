"""Times as records write them: RFC 3339, read by one reader that never raises.

Source: record.md, "Times".
"""

import re
from datetime import UTC, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
OUTSIDE = "outside the years 1970 to 2199"

_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def read_time(value: object) -> datetime | None:
    """Return the time in a text as aware UTC.

    None if there is none, it has no zone, or UTC has no date for it.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(plain_time(value))
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def seconds_between(start: object, end: object) -> float | None:
    """Return the seconds from one time in a text to another.

    It is None where either is missing, or where they are the wrong way round.
    """
    first, last = read_time(start), read_time(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()


def plain_time(text: str) -> str:
    """Return the time with its leap second clamped and cut to microseconds.

    Any other text as it is.
    """
    match = _TIME.match(text)
    if not match:
        return text
    second, fraction, zone = match.groups()
    if second == "60":
        second = "59"
    fraction = (fraction or "")[:7]
    day, minutes = text[:10], text[11:17]
    return f"{day}T{minutes}{second}{fraction}{zone.upper()}"


def is_kept(moment: datetime) -> bool:
    """Return whether a time is within the years that records may name."""
    return EARLIEST.year < moment.year < LATEST.year - 1 or EARLIEST <= moment < LATEST
