"""Tells why the background work waits: once, not at each try.

On a full disk each try fails within a second. What it wrote into the log would keep the disk full.
"""

import logging
import time

REMIND_SECONDS = 3600.0


class Waiting:
    """Writes into the log that work waits, and that it goes on.

    Args:
        log: where it is told.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._reason: str | None = None
        self._remind_at = 0.0

    def because(self, reason: str) -> None:
        """Tell why work waits, unless that was told within the hour."""
        now = time.monotonic()
        if reason == self._reason and now < self._remind_at:
            return
        self._reason, self._remind_at = reason, now + REMIND_SECONDS
        self._log.error("background work waits, and is tried again each second: %s", reason)

    def over(self) -> None:
        """Tell that work goes on, if it waited."""
        if self._reason is not None:
            self._reason = None
            self._log.info("background work goes on")
