"""Who may read the pages, and who may write by a form.

All may read, unless the operator says that reading needs a token; a browser then asks for one. That
token is the password of HTTP's Basic scheme, which every browser knows. Source: RFC 7617.

For a form the token stands in the form itself, each time; that a browser says where a form came
from is looked at besides. Where people log in (`app.access.visitors`), forms ask for no token: what
the sender may do are their roles, and each form holds what only their own session's pages have, so
that no other site's page can write in a reader's name.
"""

from flask import Response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from jobprov.app.access.locality import is_cross_site, is_local
from jobprov.app.access.visitors import Visitor, is_login_on, visitor
from jobprov.app.access.wrong_tokens import grant_of
from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.logins import Role
from jobprov.provenance.services.intake.tokens import Grant, Scope
from jobprov.provenance.services.writing import ORIGIN

TOKEN_FIELD = "token"  # noqa: S105 - the name of a field
_LOCAL = Grant(None, "this machine")
_OWN_MACHINE_ONLY = (
    "This service has no write token yet and takes writes from its own machine only."
)
_ALWAYS_OPEN = (
    "pages.static",
    "pages.log_in",
    "pages.login_done",
    "pages.log_out",
    "pages.logout_done",
    "pages.back_channel_logout",
)


def check_reading() -> None:
    """Do nothing where the reader may read.

    Raises:
        Unauthorized: a token is needed, and none came that lets its holder read.
    """
    service = get_service()
    if service.settings.reading == "open" or request.endpoint in _ALWAYS_OPEN:
        return
    if _counts_login():
        _check_role(Role.READER, None)
        return
    grant, why = _grant_of_password()
    if grant is None or not grant.may(Scope.READ):
        raise _ask_for_password(f"{why}Reading needs a token here, and an upload ticket is none")


def check_admin(experiment: str | None) -> list[str] | None:
    """Return which experiments the reader administers, None for all.

    Args:
        experiment: has to be among them, where it is named.

    Raises:
        Unauthorized: a token is needed, and none came that is worth something.
        Forbidden: it is of another experiment or without the scope, or no token exists yet and the
            reader is not on this machine.
    """
    if not get_service().needs_token():
        if not is_local():
            raise Forbidden("This service has no token yet and shows this to its own machine only.")
        return None
    if _counts_login():
        return _check_role(Role.ADMIN, experiment).administered()
    grant, why = _grant_of_password()
    if grant is None:
        raise _ask_for_password(f"{why}This needs a token with the scope {Scope.ADMIN}")
    if not grant.may(Scope.ADMIN):
        raise Forbidden(grant.lack(Scope.ADMIN))
    if experiment is not None and not grant.allows(experiment):
        raise Forbidden(f"The token is of {grant.experiment}, and this is of {experiment}.")
    return None if grant.experiment is None else [grant.experiment]


def form_grant(experiment: str, scope: Scope, role: Role = Role.PRODUCER) -> Grant:
    """Return what the sender of this form may write, which the experiment is part of.

    Args:
        experiment: what the form is about.
        scope: what a token has to have.
        role: what somebody has to be who is logged in, where people log in.

    Raises:
        Unauthorized: no login or token, a worthless one, or an upload ticket.
        Forbidden: another site's form, no such role, another experiment's token, one without the
            scope, or no token exists yet and the sender is not on this machine.
    """
    if is_cross_site():
        raise Forbidden("This form was sent by a page of another site.")
    if is_login_on():
        sender = _check_role(role, experiment)
        scopes = sender.roles[experiment].scopes
        return Grant(experiment, sender.submitter, scopes=scopes, person=sender.name)
    if not get_service().needs_token():
        if not is_local():
            raise Forbidden(_OWN_MACHINE_ONLY)
        return _LOCAL
    grant = _sent_grant()
    if not grant.allows(experiment):
        raise Forbidden(f"The token is of {grant.experiment}, and this is of {experiment}.")
    if not grant.may(scope):
        raise Forbidden(grant.lack(scope))
    return grant


def form_refusal(experiment: str, role: Role = Role.PRODUCER) -> str | None:
    """Return why `form_grant` would refuse this reader, so that no form is offered.

    It is None where they may send one, or could after a login or with a token.
    """
    if is_login_on():
        reader = visitor()
        if reader is None or reader.is_at_least(role, experiment):
            return None
        return _role_lack(reader, role, experiment)
    if not get_service().needs_token() and not is_local():
        return _OWN_MACHINE_ONLY
    return None


def needs_token() -> bool:
    """Return whether a write needs a token, unless it is the form of a logged-in visitor."""
    return get_service().needs_token()


def token_field() -> str | None:
    """Return the name of a form's field for a token; None if no token is needed."""
    return TOKEN_FIELD if needs_token() and not is_login_on() else None


def who_decides(grant: Grant) -> str:
    """Return who sends a form: the user who is logged in, or else the name in the form."""
    return grant.person or request.form.get("who", "").strip()


def sees_trail() -> bool:
    """Return whether a page should lead to the audit trail."""
    reader = visitor()
    if reader is not None:
        return bool(reader.administered())
    return not is_login_on()


def note_visitor() -> None:
    """Have what is written for this request carry the name of who is logged in."""
    sender, origin = visitor(), ORIGIN.get()
    if sender is not None and origin is not None:
        ORIGIN.set(origin._replace(user=sender.name))


def without_copies(answer: Response) -> Response:
    """Keep browsers and proxies from storing a page that was made for a logged-in visitor."""
    if is_login_on() and request.endpoint != "pages.static":
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _counts_login() -> bool:
    """Return whether roles decide what a reader may see, and not a token that was sent."""
    return visitor() is not None or (is_login_on() and request.authorization is None)


def _check_role(role: Role, experiment: str | None) -> Visitor:
    """Return who is logged in, if they have a role in an experiment, or in any.

    Raises:
        Unauthorized: nobody is logged in.
        Forbidden: they do not have it.
    """
    reader = visitor()
    if reader is None:
        raise Unauthorized("This is for those who are logged in.")
    if not reader.is_at_least(role, experiment):
        raise Forbidden(_role_lack(reader, role, experiment))
    return reader


def _role_lack(reader: Visitor, role: Role, experiment: str | None) -> str:
    where = f"of {experiment}" if experiment else "of an experiment"
    return (
        f"This needs the role {role} {where}, which {reader.name} does not have: an operator of "
        "this service says who has it, in the file of JOBPROV_LOGIN."
    )


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
