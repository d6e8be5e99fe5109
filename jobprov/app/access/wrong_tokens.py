"""Wrong tokens and failed logins: counted by address, written into the log, and slowed.

A token has 256 random bits, so that nobody guesses one; but whoever tries costs a query each time,
and a hook with an expired token is a fault that an operator should see. Valid tokens are taken from
the same address all the same: the jobs of a whole site may come from one.
"""

import logging

from flask import current_app, g, request
from werkzeug.exceptions import TooManyRequests

from jobprov.app.access.minute_counts import MinuteCounts, network_of, note_limit
from jobprov.app.errors import UnauthorizedError
from jobprov.app.measures import get_measures
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import ForbiddenError, UnreachableError
from jobprov.provenance.services.intake.tokens import (
    Grant,
    WrongTokenError,
    looks_issued,
    looks_like_token,
)

MOST_A_MINUTE = 30
_log = logging.getLogger("jobprov.tokens")
_Problem = WrongTokenError | ForbiddenError | UnreachableError


def grant_of(token: str) -> Grant:
    """Return what a token allows: one of ours, or one that an issuer of an experiment signed.

    Raises:
        UnauthorizedError: it is worth nothing; the message says why.
        ForbiddenError: an issuer signed it, and nothing is allowed to what it has.
        UnreachableError: the keys of its issuer cannot be fetched.
        TooManyRequests: its sender has sent many wrong ones within a minute.
    """
    outcome = _looked_up(token)
    if isinstance(outcome, Grant):
        return outcome
    if isinstance(outcome, WrongTokenError):
        # Once, however many places of this request ask what the token allows
        if token not in g.setdefault("counted_tokens", set()):
            g.counted_tokens.add(token)
            get_measures().wrong_tokens.inc()
            count_wrong(outcome, "A wrong token")
        raise UnauthorizedError(str(outcome)) from None
    raise outcome


def known_grant(token: str) -> Grant | None:
    """Return what a token allows; None where it is worth nothing, which is not counted here."""
    outcome = _looked_up(token)
    return outcome if isinstance(outcome, Grant) else None


def header_tokens() -> list[str]:
    """Return the tokens that may be in the headers of a request, of any client of ours."""
    sent = [request.headers.get("X-Authentication-Token")]
    given = request.authorization
    if given is not None:
        sent += [given.password, given.token]
    return [token for token in sent if token and looks_like_token(token)]


def _looked_up(token: str) -> Grant | _Problem:
    """Return what a token allows, or why it is worth nothing; looked up once a request."""
    looked_up: dict[str, Grant | _Problem] = g.setdefault("grants", {})
    if token not in looked_up:
        try:
            looked_up[token] = _look_up(token)
        except (ForbiddenError, UnreachableError) as problem:
            looked_up[token] = problem
    return looked_up[token]


def _look_up(token: str) -> Grant:
    service = get_service()
    if service.issued_tokens is not None and looks_issued(token):
        return service.issued_tokens.grant(token)
    return service.tokens.grant(token)


def count_wrong(reason: WrongTokenError, what: str) -> None:
    """Count and log what was refused.

    Raises:
        TooManyRequests: its sender has sent many within a minute.
    """
    address = request.remote_addr or "?"
    limit = _counts().count(network_of(address), MOST_A_MINUTE)
    note_limit(limit)
    if limit.used in (1, MOST_A_MINUTE):
        _log.warning(
            "%s from %s: %s %s (%d within a minute). %s",
            what,
            address,
            request.method,
            request.path,
            limit.used,
            reason,
        )
    if limit.is_passed:
        raise TooManyRequests(
            "Too many wrong tokens came from this address; correct yours, and wait a minute.",
            retry_after=limit.retry_after,
        )


def _counts() -> MinuteCounts:
    """Return the counts of the running application."""
    counts = current_app.extensions.setdefault("jobprov-wrong-tokens", MinuteCounts("wrong-tokens"))
    assert isinstance(counts, MinuteCounts)  # noqa: S101 - nobody else has the name
    return counts
