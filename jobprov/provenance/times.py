"""Times in UTC: RFC 3339 with a `Z` in answers and documents, another form for people to read."""

from datetime import UTC, datetime, timedelta


def moment_after(moment: datetime, seconds: float) -> datetime | None:
    """Return the time so many seconds later; None beyond the years 1 to 9999.

    Recorded durations may be of any size: a job that counts nanoseconds takes a hundred millennia.
    """
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return None


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


def minute_text(moment: datetime | str) -> str:
    """Return a time as pages, commands and messages write it: `2026-11-09 14:02 UTC`.

    Args:
        moment: aware, or the RFC 3339 text that an answer has.
    """
    return f"{_in_utc(moment):%Y-%m-%d %H:%M} UTC"


def second_text(moment: datetime | str) -> str:
    """Return a time as `minute_text` does, to the second: `2026-11-09 14:02:31 UTC`."""
    return f"{_in_utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def _in_utc(moment: datetime | str) -> datetime:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone(UTC)
