"""Tells why work of a service waits: once, not at each try.

On a full disk, or without a database, each try fails within a second. What it wrote into the log
would keep the disk full.
"""

import logging
import time

REMIND_SECONDS = 3600.0
_MOST_REASONS = 20  # a server that restarts gives several by turns; those with numbers have no end


class Waiting:
    """Writes into the log that work waits, and that it goes on.

    Args:
        log: where it is told.
        work: what waits, as the log names it.
    """

    def __init__(self, log: logging.Logger, work: str) -> None:
        self._log = log
        self._work = work
        self._remind_at: dict[str, float] = {}

    def because(self, reason: str) -> None:
        """Tell why work waits, unless that was told within the hour."""
        now = time.monotonic()
        if now < self._remind_at.get(reason, 0.0):
            return
        if len(self._remind_at) >= _MOST_REASONS:
            self._remind_at.clear()
        self._remind_at[reason] = now + REMIND_SECONDS
        self._log.error("%s waits, and is tried again: %s", self._work, reason)

    def over(self) -> None:
        """Tell that work goes on, if it waited."""
        if self._remind_at:
            self._remind_at.clear()
            self._log.info("%s goes on", self._work)
