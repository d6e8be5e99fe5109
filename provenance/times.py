"""Times as answers and documents write them: RFC 3339 in UTC, with a `Z`."""

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """Return a time to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def exact_utc_text(moment: datetime) -> str:
    """Return a time as exactly as it is known, to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
