"""When a browser was here before: a cookie on the first page, so that what is new is marked.

It holds two moments and nothing else: when the visit before this one ended, and when the page was
looked at last in this one.
"""

from datetime import UTC, datetime, timedelta

from flask import Response, request

from jobprov.app.access.cookies import keep_in_browser

_COOKIE = "jobprov-visits"
_PAUSE = timedelta(minutes=30)
"""Who comes back later begins another visit."""
_KEPT_FOR = timedelta(days=90)
_LATEST = 2**33
_SECONDS_DIGITS = 10


def last_visit() -> datetime | None:
    """Return when the visit before this one ended; None without a cookie."""
    before, seen = _moments()
    if seen is None:
        return None
    return seen if datetime.now(UTC) - seen > _PAUSE else before


def note_visit(page: Response) -> None:
    """Let the browser remember this visit."""
    before = last_visit()
    moments = [before or datetime.fromtimestamp(0, UTC), datetime.now(UTC)]
    value = ".".join(str(int(moment.timestamp())) for moment in moments)
    keep_in_browser(page, _COOKIE, value, max_age=_KEPT_FOR)


def _moments() -> tuple[datetime | None, datetime | None]:
    """Return the two moments of the cookie; None for what it does not have."""
    words = request.cookies.get(_COOKIE, "").split(".")
    if len(words) != 2 or not all(_is_moment(word) for word in words):  # noqa: PLR2004
        return None, None
    before, seen = [datetime.fromtimestamp(int(word), UTC) for word in words]
    # 0 stands for a visit that nothing came before
    if not before.timestamp():
        return None, seen
    return before, seen


def _is_moment(word: str) -> bool:
    is_number = word.isascii() and word.isdigit() and len(word) <= _SECONDS_DIGITS
    return is_number and int(word) < _LATEST
