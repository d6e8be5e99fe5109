"""Logging in and out: to the provider and back, with the wanted page kept in the cookie."""

import re
from typing import TYPE_CHECKING, cast

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import Forbidden, NotFound

from jobprov.app.access.locality import is_cross_site
from jobprov.app.access.sessions import begin_session, end_session, note_attempt, take_attempt
from jobprov.app.access.wrong_tokens import count_wrong
from jobprov.app.measures import get_measures
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import LOGIN_DONE
from jobprov.provenance.services.intake.logins import Attempt
from jobprov.provenance.services.intake.tokens import WrongTokenError

if TYPE_CHECKING:
    from jobprov.provenance.services.intake.identity_provider import IdentityProvider

_PAGE_HERE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
"""A path of this site, its query too: browsers read `//host` and `/\\host` as other sites."""


def add_routes(blueprint: Blueprint) -> None:
    """Put the steps of a login on the blueprint."""
    blueprint.add_url_rule("/login", view_func=begin, endpoint="log_in")
    blueprint.add_url_rule(LOGIN_DONE, view_func=finish, endpoint="login_done")
    blueprint.add_url_rule("/logout", view_func=log_out, endpoint="log_out", methods=["POST"])


def begin() -> Response:
    """Send the visitor to the provider, which sends them back to `finish`."""
    provider = _provider()
    attempt = Attempt.new()
    address = provider.begin(attempt, _come_back())
    note_attempt(attempt, page_here(request.args.get("next", "")))
    return cast("Response", redirect(address, 303))


def finish() -> Response:
    """Take who logged in from the provider's answer, and show the page that was wanted."""
    provider = _provider()
    begun = take_attempt(request.args.get("state", ""))
    if begun is None:
        raise Forbidden(
            "This login was not begun in this browser, was finished before, or took too long. "
            "Log in again."
        )
    attempt, wanted = begun
    try:
        identity = provider.finish(attempt, request.args, _come_back())
    except WrongTokenError as reason:
        get_measures().failed_logins.inc()
        count_wrong(reason, "A login that failed")
        raise Forbidden(f"You are not logged in. {reason}") from None
    begin_session(identity)
    return cast("Response", redirect(wanted, 303))


def log_out() -> Response:
    """End the session."""
    _provider()
    if is_cross_site():
        raise Forbidden("This form was sent by a page of another site.")
    end_session()
    return cast("Response", redirect("/", 303))


def page_here(wanted: str) -> str:
    """Return the wanted page if it is one of this site, else the first page."""
    return wanted if _PAGE_HERE.fullmatch(wanted) else "/"


def _provider() -> "IdentityProvider":
    login = get_service().login
    if login is None or login.provider is None:
        raise NotFound("Nobody logs in here: JOBPROV_LOGIN names no provider.")
    return login.provider


def _come_back() -> str:
    return get_service().settings.public_url + LOGIN_DONE
