"""Cookies that the service sets: no script reads them, and other sites' forms do not send them."""

from datetime import timedelta

from flask import Response

from jobprov.app.wiring import get_service


def keep_in_browser(
    answer: Response,
    name: str,
    value: str,
    *,
    path: str = "/",
    max_age: timedelta | int | None = None,
) -> None:
    """Have the browser keep a value and send it back.

    Args:
        answer: what it comes with.
        name: of the cookie.
        value: of at most 4 kB with its name.
        path: of the pages that it is sent to.
        max_age: for how long, or how many seconds; as long as the browser is open where it is None.
    """
    answer.set_cookie(
        name,
        value,
        path=path,
        max_age=max_age,
        secure=get_service().settings.public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
