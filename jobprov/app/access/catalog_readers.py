"""Who may read what clients of catalogs ask: as on the pages, all or holders of a token.

A client that cannot send a token of ours takes it as the password in the address of the service,
`https://jobprov:TOKEN@host/sam/nova/api`; MetaCat's has a header of its own besides. Upload
tickets, and tokens without the scope to read, are not taken.
"""

from flask import request

from jobprov.app.access.wrong_tokens import grant_of
from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Scope

_METACAT_TOKEN = "X-Authentication-Token"  # noqa: S105 - the name of a header


def check_reading() -> None:
    """Do nothing where the client may read.

    Raises:
        UnauthorizedError: a token is needed, and none that is worth something came.
        ForbiddenError, UnreachableError: see `grant_of`.
    """
    if get_service().settings.reading == "open":
        return
    token = _sent_token()
    if not token or not grant_of(token).may(Scope.READ):
        raise UnauthorizedError(
            "Reading needs a token here: put it into the address, as https://jobprov:TOKEN@HOST/…, "
            "or send it as Authorization: Bearer TOKEN."
        )


def _sent_token() -> str | None:
    given = request.authorization
    if given is not None:
        return given.password if given.type == "basic" else given.token
    return request.headers.get(_METACAT_TOKEN)
