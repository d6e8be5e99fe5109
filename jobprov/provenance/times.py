"""Times in UTC: as answers and documents write them, RFC 3339 with a `Z`, and as people read them."""

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """Return a time to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def exact_utc_text(moment: datetime) -> str:
    """Return a time as exactly as it is known, to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def utc_text_or_none(moment: datetime | None) -> str | None:
    """Return a time to the second; None for a time that is not known."""
    if moment is None:
        return None
    return utc_text(moment)


def exact_utc_text_or_none(moment: datetime | None) -> str | None:
    """Return a time as exactly as it is known; None for a time that is not known."""
    if moment is None:
        return None
    return exact_utc_text(moment)


def minute_text(moment: datetime) -> str:
    """Return a time as people read it, to the minute: `9 Nov 2026 14:02 UTC`."""
    return f"{moment.astimezone(UTC):%d %b %Y %H:%M} UTC".removeprefix("0")
