"""Who may read the pages: all, unless the operator says that reading needs a token.

A browser then asks for one.

The token is the password of HTTP's Basic scheme, which every browser knows; nothing is kept in
cookies. Source: RFC 7617.
"""

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from jobprov.app.access.wrong_tokens import grant_of
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Scope


def check_reading() -> None:
    """Do nothing where the reader may read.

    Raises:
        Unauthorized: a token is needed, and none came that lets its holder read.
    """
    service = get_service()
    if service.settings.reading == "open" or request.endpoint == "pages.static":
        return
    given = request.authorization
    token = (given.password if given.type == "basic" else given.token) if given else None
    grant = grant_of(token) if token else None
    if grant is None or not grant.may(Scope.READ):
        raise Unauthorized(
            "Reading needs a token here, and an upload ticket is none; give it as the password, "
            "with any user name.",
            www_authenticate=WWWAuthenticate("basic", {"realm": "jobprov", "charset": "UTF-8"}),
        )
