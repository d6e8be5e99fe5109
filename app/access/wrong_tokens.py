"""Wrong tokens and failed logins: counted by address, told in the log, and slowed.

A token has 256 random bits, so that nobody guesses one; but whoever tries costs a query each time,
and a hook with an expired token is a fault that an operator should see. Valid tokens are taken from
the same address all the same: the jobs of a whole site may come from one.
"""

import logging
import threading
import time

from flask import current_app, request
from werkzeug.exceptions import TooManyRequests

from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Grant, WrongTokenError, looks_issued

MOST_A_MINUTE = 30
_MINUTE = 60.0
_MOST_ADDRESSES = 10_000
_log = logging.getLogger("jobprov.tokens")


class WrongTokens:
    """Counts wrong tokens by address, a minute at a time; thread-safe."""

    def __init__(self) -> None:
        self.total = 0
        self._since = time.monotonic()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, address: str) -> int:
        """Count one, and return how many came from the address in this minute."""
        with self._lock:
            self.total += 1
            now = time.monotonic()
            if now - self._since > _MINUTE or len(self._counts) >= _MOST_ADDRESSES:
                self._since = now
                self._counts = {}
            self._counts[address] = self._counts.get(address, 0) + 1
            return self._counts[address]


def grant_of(token: str) -> Grant:
    """Return what a token allows: one of ours, or one that an issuer of an experiment signed.

    Raises:
        UnauthorizedError: it is worth nothing; the message says why.
        ForbiddenError: an issuer signed it, and nothing is allowed to what it has.
        UnreachableError: the keys of its issuer cannot be fetched.
        TooManyRequests: its sender has sent many wrong ones within a minute.
    """
    service = get_service()
    try:
        if service.issued_tokens is not None and looks_issued(token):
            return service.issued_tokens.grant(token)
        return service.tokens.grant(token)
    except WrongTokenError as reason:
        count_wrong(reason)
        raise UnauthorizedError(str(reason)) from None


def count_wrong(reason: WrongTokenError, what: str = "A wrong token") -> None:
    """Count and log what was refused.

    Raises:
        TooManyRequests: its sender has sent many within a minute.
    """
    address = request.remote_addr or "?"
    count = wrong_tokens().count(address)
    if count in (1, MOST_A_MINUTE):
        _log.warning(
            "%s from %s: %s %s (%d within a minute). %s",
            what,
            address,
            request.method,
            request.path,
            count,
            reason,
        )
    if count > MOST_A_MINUTE:
        raise TooManyRequests(
            "Too many wrong tokens came from this address; correct yours, and wait a minute.",
            retry_after=int(_MINUTE),
        )


def wrong_tokens() -> WrongTokens:
    """Return the counts of the running application."""
    counts = current_app.extensions.setdefault("jobprov-wrong-tokens", WrongTokens())
    assert isinstance(counts, WrongTokens)  # noqa: S101 - nobody else has the name
    return counts
