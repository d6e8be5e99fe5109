"""Who may read the pages, and who may write by a form.

All may read, unless the operator says that reading needs a token; a browser then asks for one. That
token is the password of HTTP's Basic scheme, which every browser knows. Source: RFC 7617.

For a form the token stands in the form itself, each time; that a browser says where a form came
from is looked at besides. Nothing is kept in cookies, so that no other site's page can write in a
reader's name.
"""

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from jobprov.app.access.locality import is_cross_site, is_local
from jobprov.app.access.wrong_tokens import grant_of
from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Grant, Scope

TOKEN_FIELD = "token"  # noqa: S105 - the name of a field
_LOCAL = Grant(None, "this machine")


def check_reading() -> None:
    """Do nothing where the reader may read.

    Raises:
        Unauthorized: a token is needed, and none came that lets its holder read.
    """
    service = get_service()
    if service.settings.reading == "open" or request.endpoint == "pages.static":
        return
    grant, why = _grant_of_password()
    if grant is None or not grant.may(Scope.READ):
        raise _ask_for_password(f"{why}Reading needs a token here, and an upload ticket is none")


def check_admin(experiment: str | None) -> None:
    """Do nothing where the reader administers an experiment, or all where none is named.

    Raises:
        Unauthorized: a token is needed, and none came that is worth something.
        Forbidden: it is of another experiment or without the scope, or no token exists yet and the
            reader is not on this machine.
    """
    if not get_service().needs_token():
        if not is_local():
            raise Forbidden("This service has no token yet and shows this to its own machine only.")
        return
    grant, why = _grant_of_password()
    if grant is None:
        raise _ask_for_password(f"{why}This needs a token with the scope {Scope.ADMIN}")
    if not grant.may(Scope.ADMIN):
        raise Forbidden(grant.lack(Scope.ADMIN))
    if experiment is not None and not grant.allows(experiment):
        raise Forbidden(f"The token is of {grant.experiment}, and this is of {experiment}.")


def form_grant(experiment: str, scope: Scope) -> Grant:
    """Return what the sender of this form may write, which the experiment is part of.

    Raises:
        Unauthorized: no token, a worthless one, or an upload ticket.
        Forbidden: another site's form, another experiment's token, one without the scope, or no
            token exists yet and the sender is not on this machine.
    """
    if is_cross_site():
        raise Forbidden("This form was sent by a page of another site.")
    if not get_service().needs_token():
        if not is_local():
            raise Forbidden(
                "This service has no write token yet and takes writes from its own machine only."
            )
        return _LOCAL
    grant = _sent_grant()
    if not grant.allows(experiment):
        raise Forbidden(f"The token is of {grant.experiment}, and this is of {experiment}.")
    if not grant.may(scope):
        raise Forbidden(grant.lack(scope))
    return grant


def needs_token() -> bool:
    """Return whether a form needs the field for the token."""
    return get_service().needs_token()


def _grant_of_password() -> tuple[Grant | None, str]:
    """Return what the token allows that a browser sends; without one, why none counts."""
    given = request.authorization
    if given is None:
        return None, ""
    token = given.password if given.type == "basic" else given.token
    if not token:
        return None, ""
    try:
        return grant_of(token), ""
    except UnauthorizedError as reason:
        return None, f"{reason} "


def _ask_for_password(why: str) -> Unauthorized:
    return Unauthorized(
        f"{why}; give it as the password, with any user name.",
        www_authenticate=WWWAuthenticate("basic", {"realm": "jobprov", "charset": "UTF-8"}),
    )


def _sent_grant() -> Grant:
    """Return what the token in the form allows; tickets and worthless ones are refused."""
    token, why = request.form.get(TOKEN_FIELD, "").strip(), ""
    try:
        if token:
            grant = grant_of(token)
            if grant.task_id is None:
                return grant
            why = "This is an upload ticket, which records jobs and does nothing else. "
    except UnauthorizedError as reason:
        why = f"{reason} "
    raise Unauthorized(
        f"{why}Changing something needs a write token of the experiment, in the last field of the "
        "form."
    )
