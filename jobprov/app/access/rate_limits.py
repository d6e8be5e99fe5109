"""How many requests a caller may send within a minute, with headers in each answer.

A caller is a token that only reads, somebody who is logged in, or an address. What a production
lives by is never limited: whoever sends a token or ticket that lets them write (hooks, agents,
witnesses), this machine itself, what jobs fetch before they have a token, and what clients of SAM and
MetaCat ask, many jobs from one address, which would not wait.

Source of the headers: draft-ietf-httpapi-ratelimit-headers. Why no library does this:
docs/decisions/0038-rate-limits.md.
"""

import logging

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from jobprov.app.access.locality import is_loopback
from jobprov.app.access.minute_counts import Limit, MinuteCounts, network_of, note_limit
from jobprov.app.access.visitors import visitor
from jobprov.app.access.wrong_tokens import header_tokens, known_grant
from jobprov.app.measures import get_measures
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Scope

_COUNTS = "jobprov-request-counts"
_FREE = frozenset(
    {
        "metrics",
        "operations.health",
        "operations.hook",
        "operations.metrics",
        "operations.ready",
        "operations.start_script",
        "pages.static",
    }
)
_CALLS = "/api/"
_READING = ("GET", "HEAD")
_CATALOGS = ("/sam/", "/metacat/")
_log = logging.getLogger("jobprov.limits")


def register_rate_limits(app: Flask) -> None:
    """Count the requests of each caller, and put the limits of a request into its answer."""
    app.extensions[_COUNTS] = MinuteCounts("requests")
    app.before_request(_check_rate)
    app.after_request(_tell_limits)


def _check_rate() -> None:
    """Count this request.

    Raises:
        TooManyRequests: its caller has sent too many within a minute.
    """
    most = get_service().settings.requests_a_minute
    caller = _caller() if most else None
    if caller is None:
        return
    counts: MinuteCounts = current_app.extensions[_COUNTS]
    limit = counts.count(caller, most)
    note_limit(limit)
    if limit.is_passed:
        get_measures().limited_requests.inc()
        if limit.used == most + 1:
            _log.warning("%s sent more than %d requests within a minute.", caller, most)
        raise TooManyRequests(
            f"More than {most} requests came from {caller} within a minute; wait "
            f"{limit.retry_after} s. Whoever sends a token that may write is not limited.",
            retry_after=limit.retry_after,
        )


def _caller() -> str | None:
    """Return for whom a request is counted; None where it is not limited."""
    if request.path.startswith(_CALLS) and request.method not in _READING:
        # Refused without a token that lets its sender write; hooks pay nothing for being known
        return None
    if request.endpoint in _FREE or request.path.startswith(_CATALOGS):
        return None
    for token in header_tokens():
        grant = known_grant(token)
        if grant is not None:
            return None if grant.scopes - {Scope.READ} else grant.submitter
    if request.blueprint == "pages":
        reader = visitor()
        if reader is not None:
            return reader.submitter
    address = request.remote_addr or "?"
    if is_loopback(address):
        # A proxy on this machine that does not say for whom it asks would be one caller for all
        return None
    return network_of(address)


def _tell_limits(answer: Response) -> Response:
    limits: list[Limit] = g.get("limits", [])
    if limits:
        policies = ", ".join(limit.policy() for limit in limits)
        states = ", ".join(limit.state() for limit in limits)
        answer.headers.extend([("RateLimit-Policy", policies), ("RateLimit", states)])
    return answer
