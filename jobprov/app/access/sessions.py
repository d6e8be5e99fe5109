"""Sessions of those who are logged in: a signed cookie.

The cookie holds who somebody is, when they came and when they were last seen; what they may do is
read from the operator's file each time. Whoever has the key of sessions (`JOBPROV_SECRET_KEY`, or
the file in the data folder) can check it, so that worker processes share sessions without a table.
A logout is noted apart (`app.access.ended_sessions`): a copy of the cookie is worth nothing then.
"""

import hashlib
import logging
import secrets
import time
from typing import Any, NamedTuple

from flask import Flask, Request, Response, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from jobprov.app.access.cookies import keep_in_browser
from jobprov.app.access.ended_sessions import is_ended, note_end, provider_session
from jobprov.app.wiring import Service
from jobprov.provenance.errors import LimitError, UnreachableError
from jobprov.provenance.services.intake.logins import Identity, LoggedIn, LoginAttempt, SessionEnds

ATTEMPT_SECONDS = 600
_MOST_ATTEMPTS = 3
"""Logins that a browser may have begun, in several windows: a cookie holds 4 kB."""
_MOST_ADDRESS = 500
_MOST_GROUPS = 2000
"""Characters of all of them."""
_SEEN_SECONDS = 60
"""So often the cookie notes that somebody is there."""
_LOGIN, _ATTEMPTS = "login", "attempts"
_ID_TOKEN, _LOGOUT = "jobprov-id-token", "/logout"
_MOST_ID_TOKEN = 3800
_READING = ("GET", "HEAD")
_log = logging.getLogger("jobprov.logins")


class BegunLogin(NamedTuple):
    """A login that this browser began, and the page that was wanted; `is_over` if long ago."""

    attempt: LoginAttempt
    wanted: str
    is_over: bool


class PageSessions(SecureCookieSessionInterface):
    """Cookies of pages, where people log in; calls read them and are never changed by them."""

    @staticmethod
    def digest_method(string: bytes = b"") -> Any:
        """Return the digest by which cookies are signed."""
        return hashlib.sha256(string)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return what the cookie holds; None where none counts.

        A call that changes something takes a token alone: other sites' pages cannot send one.
        """
        if _service_of(app).login is None:
            return None
        if not request.path.startswith("/api/") or request.method in _READING:
            return super().open_session(app, request)
        return None

    def get_cookie_name(self, app: Flask) -> str:
        """Return a name that no other site's page of the domain can set, where TLS is used."""
        return "__Host-jobprov" if self.get_cookie_secure(app) else "jobprov"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether browsers send the cookie over TLS alone."""
        return _service_of(app).settings.public_url.startswith("https://")

    def get_cookie_path(self, app: Flask) -> str:
        """Return the path of all pages, which the name of the cookie asks for."""
        del app
        return "/"


def _service_of(app: Flask) -> Service:
    service = app.extensions["jobprov"]
    assert isinstance(service, Service)  # noqa: S101 - nobody else has the name
    return service


def note_attempt(attempt: LoginAttempt, wanted: str) -> None:
    """Keep that a login was begun, and the page that was wanted."""
    attempts = dict(session.get(_ATTEMPTS, {}))
    while len(attempts) >= _MOST_ATTEMPTS:
        del attempts[next(iter(attempts))]
    page = wanted if len(wanted) <= _MOST_ADDRESS else "/"
    attempts[attempt.state] = [attempt.nonce, attempt.verifier, page, int(time.time())]
    session[_ATTEMPTS] = attempts


def take_attempt(state: str) -> BegunLogin | None:
    """Return the login that was begun with a state; once."""
    attempts = dict(session.get(_ATTEMPTS, {}))
    kept = attempts.pop(state, None)
    if kept is None:
        return None
    session[_ATTEMPTS] = attempts
    nonce, verifier, wanted, began = kept
    is_over = time.time() - began > ATTEMPT_SECONDS
    return BegunLogin(LoginAttempt(state, nonce, verifier), wanted, is_over)


def begin_session(logged_in: LoggedIn) -> None:
    """Begin a session; of what was there before nothing stays, also for whoever has a copy of it.

    Raises:
        LimitError: so many groups count here that no cookie holds them.
        UnreachableError: the end of the session before cannot be noted.
    """
    identity = logged_in.identity
    if sum(map(len, identity.groups)) > _MOST_GROUPS:
        raise LimitError(
            "You have more groups with a role here than a session can hold; ask the operators to "
            "name fewer in the file of JOBPROV_LOGIN.",
            _MOST_GROUPS,
        )
    now = int(time.time())
    there = None
    if logged_in.session_id is not None:
        there = provider_session(identity.issuer, logged_in.session_id)
    end_session()
    session[_LOGIN] = {
        "id": secrets.token_urlsafe(24),
        "iss": identity.issuer,
        "sub": identity.subject,
        "name": identity.name,
        "groups": sorted(identity.groups),
        "began": now,
        "seen": now,
        "issued": logged_in.issued_at,
        "provider_session": there,
    }


def keep_id_token(answer: Response, id_token: str) -> None:
    """Have the browser keep the ID token of a login, and send it back when its owner logs out.

    The service itself keeps none. What no cookie can hold is left out; the provider then asks.
    """
    if len(id_token) <= _MOST_ID_TOKEN:
        keep_in_browser(answer, _ID_TOKEN, id_token, path=_LOGOUT)


def kept_id_token() -> str | None:
    """Return the ID token that the browser kept of a login."""
    return request.cookies.get(_ID_TOKEN)


def forget_id_token(answer: Response) -> None:
    """Have the browser forget it."""
    answer.delete_cookie(_ID_TOKEN, path=_LOGOUT)


def current_session(issuer: str, ends: SessionEnds) -> tuple[str, Identity] | None:
    """Return the number of this session, and who it is of; None where nobody is logged in.

    Args:
        issuer: the provider of today; sessions by another are over.
        ends: when sessions end.
    """
    login: dict[str, Any] | None = session.get(_LOGIN)
    if login is None:
        return None
    now = int(time.time())
    is_over = (
        login["iss"] != issuer
        or now - login["began"] > ends.longest_minutes * 60
        or now - login["seen"] > ends.idle_minutes * 60
        or is_ended(login)
    )
    if is_over:
        session.clear()
        return None
    # A page that brings itself up to date is not somebody who is there
    if now - login["seen"] > _SEEN_SECONDS and "HX-Request" not in request.headers:
        session[_LOGIN] = {**login, "seen": now}
    groups = frozenset(login["groups"])
    return login["id"], Identity(login["iss"], login["sub"], login["name"], groups)


def end_session() -> None:
    """End this session, also for whoever has a copy of the cookie.

    Raises:
        UnreachableError: that cannot be noted.
    """
    login = session.get(_LOGIN)
    session.clear()
    if login is None:
        return
    try:
        note_end(login["id"])
    except OSError as problem:
        _log.error("A logout cannot be noted: %s", problem)
        raise UnreachableError(
            "The logout cannot be noted; close the browser, and tell the operators."
        ) from None
