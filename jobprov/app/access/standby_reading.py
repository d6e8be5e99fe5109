"""Which requests are answered from the standby, where one is set (docs/decisions/0044-read-replica.md).

What a standby says may be some seconds old. So it answers only those who read what others wrote:
GET of pages and of calls that look something up, by a sender who cannot have written it a moment
ago. Everything else is asked of the primary, and so is every decision about who may see what. A
request that the standby cannot answer, because it does not know a name or because the question was
ended there, is asked of the primary once more.
"""

from dataclasses import replace

from flask import Flask, Response, g, has_request_context, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError

from jobprov.app.access.cookies import keep_in_browser
from jobprov.app.access.locality import is_local
from jobprov.app.access.wrong_tokens import header_tokens, known_grant
from jobprov.app.measures import get_measures
from jobprov.app.wiring import ReadStandby, Service, get_service
from jobprov.provenance.db.connections.standby import Standby
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.intake.tokens import Scope

_READING = ("GET", "HEAD")
_MAY_LAG = frozenset(
    {
        "pages",
        "sam",
        "metacat",
        "attention",
        "campaigns",
        "comparisons",
        "costs",
        "divergence",
        "ends",
        "errors",
        "estimates",
        "exports",
        "file",
        "files",
        "gaps",
        "impact",
        "job",
        "jobs",
        "lineage",
        "lineage_lists",
        "logs",
        "modules",
        "proofs",
        "rebuilds",
        "recipes",
        "relations",
        "resources",
        "search",
        "throughput",
    }
)
"""Blueprints that show what was recorded; the others tell agents and hooks what to do next."""
_WROTE = "jobprov-wrote"
_PRIMARY, _STANDBY = "primary", "standby"


def with_standby(service: Service) -> Service:
    """Return the service as it answers requests: from a standby what may be a little old.

    Raises:
        BadInputError: a standby is set and the database is SQLite.
    """
    settings = service.settings
    if not settings.database_read_url:
        return service
    standby = Standby(
        settings.database_read_url, service.database, float(settings.database_read_lag)
    )
    return replace(service, standby=ReadStandby(standby, _may_lag, _stay_with_primary))


def register_standby(app: Flask, service: Service) -> None:
    """Have requests that the standby cannot answer asked of the primary."""
    if service.standby is None:
        return
    standby, dispatch = service.standby.known, app.dispatch_request

    def dispatch_again() -> ResponseReturnValue:
        try:
            return dispatch()
        except (NotFoundError, DBAPIError) as problem:
            if g.get("read_from") != _STANDBY:
                raise
            standby.note_failure(problem)
            _stay_with_primary()
            return dispatch()

    app.dispatch_request = dispatch_again  # type: ignore[method-assign]
    app.after_request(_remember_writer)


def _may_lag() -> bool:
    """Return whether what this request reads may be some seconds old; the same all through it."""
    if not has_request_context():
        return False
    if "read_from" not in g:
        g.read_from = _STANDBY if _is_of_a_reader() else _PRIMARY
        get_measures().reads.labels(g.read_from).inc()
    return bool(g.read_from == _STANDBY)


def _stay_with_primary() -> None:
    """Read from the primary for the rest of this request."""
    if has_request_context():
        g.read_from = _PRIMARY


def _is_of_a_reader() -> bool:
    """Return whether a request looks something up, and its sender wrote nothing just now."""
    if request.method not in _READING or request.blueprint not in _MAY_LAG:
        return False
    if _WROTE in request.cookies:
        return False
    if not get_service().needs_token() and is_local():
        return False  # they may write without a token
    for token in header_tokens():
        grant = known_grant(token)
        if grant is None or grant.scopes != {Scope.READ}:
            return False
    return True


def _remember_writer(answer: Response) -> Response:
    """Have the browser of somebody who sent a form read from the primary until all have it."""
    if request.blueprint == "pages" and request.method not in _READING:
        lag = get_service().settings.database_read_lag
        keep_in_browser(answer, _WROTE, "1", max_age=2 * lag)
    return answer
