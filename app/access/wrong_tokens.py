"""Wrong tokens: counted by address, told in the log, and slowed.

A token has 256 random bits, so that nobody guesses one; but whoever tries costs a query each time,
and a hook with an expired token is a fault that an operator should see. Valid tokens are taken from
the same address all the same: the jobs of a whole site may come from one.
"""

import logging
import threading
import time

from flask import current_app, request
from werkzeug.exceptions import TooManyRequests

from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.tokens import Grant

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


def grant_of(token: str) -> Grant | None:
    """Return what a token allows, None where it is unknown, expired or revoked.

    Raises:
        TooManyRequests: its sender has sent many wrong ones within a minute.
    """
    grant = get_service().tokens.grant(token)
    if grant is not None:
        return grant
    address = request.remote_addr or "?"
    count = wrong_tokens().count(address)
    if count in (1, MOST_A_MINUTE):
        _log.warning(
            "A wrong token from %s: %s %s (%d within a minute)",
            address,
            request.method,
            request.path,
            count,
        )
    if count > MOST_A_MINUTE:
        raise TooManyRequests(
            "Too many wrong tokens came from this address; correct yours, and wait a minute.",
            retry_after=int(_MINUTE),
        )
    return None


def wrong_tokens() -> WrongTokens:
    """Return the counts of the running application."""
    counts = current_app.extensions.setdefault("jobprov-wrong-tokens", WrongTokens())
    assert isinstance(counts, WrongTokens)  # noqa: S101 - nobody else has the name
    return counts
