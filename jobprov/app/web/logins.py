"""Logging in and out: to the provider and back, with the wanted page kept in the cookie.

That somebody's session at the provider is over comes from the provider itself, without a browser.
Source: OpenID Connect Back-Channel Logout 1.0, sections 2.5 and 2.8.
"""

import logging
import re
from typing import TYPE_CHECKING, cast

from flask import Response, g, jsonify, redirect, request
from werkzeug.exceptions import Forbidden

from jobprov.app.access.ended_sessions import note_provider_logout
from jobprov.app.access.locality import is_cross_site
from jobprov.app.access.sessions import (
    begin_session,
    end_session,
    forget_id_token,
    keep_id_token,
    kept_id_token,
    note_attempt,
    take_attempt,
)
from jobprov.app.access.visitors import visitor
from jobprov.app.access.wrong_tokens import count_wrong
from jobprov.app.measures import get_measures
from jobprov.app.web.frame.page import answer, come_back_to, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import BACK_CHANNEL_LOGOUT, LOGIN_DONE, LOGOUT_DONE
from jobprov.provenance.errors import NotFoundError, UnreachableError
from jobprov.provenance.services.intake.logins import LoginAttempt
from jobprov.provenance.services.intake.tokens import WrongTokenError

if TYPE_CHECKING:
    from jobprov.provenance.services.intake.identity_provider import IdentityProvider

_MOST_BYTES = 65_536
"""Of what the provider sends for a logout; a token has 16 kB at most."""
_log = logging.getLogger("jobprov.logins")
_PAGE_HERE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
"""A path of this site, its query too: browsers read `//host` and `/\\host` as other sites."""


@pages.get("/login", endpoint="log_in")
def begin() -> Response:
    """Send the visitor to the provider, which sends them back to `finish`."""
    provider = _provider()
    attempt = LoginAttempt.new()
    address = provider.begin(attempt, _here(LOGIN_DONE))
    note_attempt(attempt, page_here(request.args.get("next", "")))
    return cast("Response", redirect(address, 303))


@pages.get(LOGIN_DONE, endpoint="login_done")
def finish() -> Response:
    """Take who logged in from the provider's answer, and show the page that was wanted."""
    provider = _provider()
    begun = take_attempt(request.args.get("state", ""))
    if begun is not None:
        come_back_to(begun.wanted)
    if begun is None or begun.is_over:
        raise Forbidden(
            "This login was not begun in this browser, was finished before, or took too long. "
            "Log in again."
        )
    try:
        logged_in = provider.finish(begun.attempt, request.args, _here(LOGIN_DONE))
    except WrongTokenError as reason:
        get_measures().failed_logins.inc()
        count_wrong(reason, "A login that failed")
        raise Forbidden(f"You are not logged in. {reason}") from None
    begin_session(logged_in)
    found = cast("Response", redirect(begun.wanted, 303))
    if provider.logs_out_there:
        keep_id_token(found, logged_in.id_token)
    return found


@pages.post("/logout", endpoint="log_out")
def log_out() -> Response:
    """End the session, and send the browser to the provider where it is to end there too."""
    provider = _provider()
    if is_cross_site():
        raise Forbidden("This form was sent by a page of another site.")
    end_session()
    g.pop("visitor", None)
    try:
        there = provider.log_out_address(kept_id_token(), _here(LOGOUT_DONE))
    except UnreachableError as reason:
        _log.warning("Somebody who logged out is not sent on: %s", reason)
        shown = answer("frame/logged_out.html", provider=provider.issuer, there=None)
    else:
        if there is None:
            shown = cast("Response", redirect("/", 303))
        else:
            # No redirect: the policy of pages lets forms lead nowhere but here
            shown = answer("frame/logged_out.html", provider=provider.issuer, there=there)
            shown.headers["Refresh"] = f"0; url={there}"
    forget_id_token(shown)
    return shown


@pages.get(LOGOUT_DONE, endpoint="logout_done")
def show_end() -> Response:
    """Show that the visitor is logged out, here and at the provider."""
    _provider()
    if visitor() is not None:
        return cast("Response", redirect("/", 303))
    return answer("frame/logged_out.html", provider=None, there=None)


@pages.post(BACK_CHANNEL_LOGOUT, endpoint="back_channel_logout")
def end_by_provider() -> Response:
    """End the sessions of a visitor whose session at the provider ended, as its token says."""
    provider = _provider()
    try:
        logout = provider.logged_out(_sent_logout_token())
        note_provider_logout(logout)
    except WrongTokenError as reason:
        count_wrong(reason, "A logout by the provider that failed")
        return _logout_refused("invalid_request", str(reason))
    except UnreachableError as reason:
        _log.warning("A logout by the provider cannot be checked: %s", reason)
        return _logout_refused("temporarily_unavailable", str(reason))
    except OSError as problem:
        _log.error("A logout by the provider cannot be noted: %s", problem)
        return _logout_refused("server_error", "The logout cannot be noted; the log says why.")
    whose = "a session" if logout.session_id else "all sessions of a person"
    _log.info("The provider ended %s.", whose)
    return _logout_answer({}, 200)


def _sent_logout_token() -> str:
    """Return the token that the request is about; nothing of it is checked yet."""
    request.max_content_length = _MOST_BYTES
    tokens = request.form.getlist("logout_token")
    if len(tokens) != 1:
        raise WrongTokenError("logout_token: one has to be sent, as a field of a form.")
    return tokens[0]


def _logout_refused(error: str, why: str) -> Response:
    """Return the answer to a logout that did not happen, which providers ask to be 400."""
    return _logout_answer({"error": error, "error_description": why}, 400)


def _logout_answer(document: dict[str, str], status: int) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def page_here(wanted: str) -> str:
    """Return the wanted page if it is one of this site, else the first page."""
    return wanted if _PAGE_HERE.fullmatch(wanted) else "/"


def _provider() -> "IdentityProvider":
    login = get_service().login
    if login is None or login.provider is None:
        raise NotFoundError("Nobody logs in here: JOBPROV_LOGIN names no provider.")
    return login.provider


def _here(page: str) -> str:
    return get_service().settings.public_url + page
