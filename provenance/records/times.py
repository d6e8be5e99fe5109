"""Times as records write them: RFC 3339, read by one reader that never raises.

Source: record.md, "Times".
"""

import re
from datetime import UTC, datetime
from typing import Any

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
OUTSIDE = "outside the years 1970 to 2199"

_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def read_time(value: Any) -> datetime | None:
    """Return the time in a text as aware UTC.

    None where there is none, no zone is said, or no calendar names it in UTC.
    """
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(plain_time(value))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def plain_time(text: str) -> str:
    """Return the time with its leap second clamped and cut to microseconds.

    Any other text as it is.
    """
    found = _TIME.match(text)
    if not found:
        return text
    second, fraction, zone = found.groups()
    second = "59" if second == "60" else second
    return f"{text[:17]}{second}{(fraction or '')[:7]}{zone.upper()}".replace(" ", "T", 1).replace(
        "t", "T", 1
    )


def is_kept(moment: datetime) -> bool:
    """Return whether a time is within the years that records may name."""
    return EARLIEST.year < moment.year < LATEST.year - 1 or EARLIEST <= moment < LATEST
