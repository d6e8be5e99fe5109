"""Counts what callers do within a minute, in the memory of one process."""

import math
import threading
import time
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from flask import g

MINUTE = 60.0
MOST_CALLERS = 10_000
_HOME_BITS = 64
"""The part of an IPv6 address that a network hands out as a whole."""


class Limit(NamedTuple):
    """A limit, and how far its caller has used it up.

    Attributes:
        name: what is limited, as the headers say it.
        most: how many within a minute.
        used: how many there were.
        seconds_left: until the caller's minute is over.
    """

    name: str
    most: int
    used: int
    seconds_left: float

    @property
    def is_passed(self) -> bool:
        """Whether there were more than may be."""
        return self.used > self.most

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the minute is over."""
        return max(1, math.ceil(self.seconds_left))

    def policy(self) -> str:
        """Return the limit as an item of the header `RateLimit-Policy`."""
        return f'"{self.name}";q={self.most};w={MINUTE:.0f}'

    def state(self) -> str:
        """Return what is left of it as an item of the header `RateLimit`."""
        return f'"{self.name}";r={max(0, self.most - self.used)};t={self.retry_after}'


class MinuteCounts:
    """Counts by caller; each one's minute begins when they first come. Thread-safe.

    Args:
        name: what is counted, as the headers say it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # In the order in which their minutes began
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def count(self, caller: str, most: int) -> Limit:
        """Count one of a caller, who may have so many within a minute."""
        with self._lock:
            now = time.monotonic()
            begun, count = self._windows.get(caller, (now, 0))
            if now - begun >= MINUTE:
                del self._windows[caller]
                begun, count = now, 0
            if count == 0:
                self._make_room(now)
            self._windows[caller] = (begun, count + 1)
        return Limit(self._name, most, count + 1, begun + MINUTE - now)

    def _make_room(self, now: float) -> None:
        """Forget whose minute is over, and where there are too many callers the oldest one."""
        while self._windows:
            oldest = next(iter(self._windows))
            is_over = now - self._windows[oldest][0] >= MINUTE
            if not is_over and len(self._windows) < MOST_CALLERS:
                return
            del self._windows[oldest]


def note_limit(limit: Limit) -> None:
    """Have a limit put into the headers of the answer to this request."""
    g.setdefault("limits", []).append(limit)


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Return what stands for a client: its address, of IPv6 the network that it is given whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, _HOME_BITS), strict=False))
    return address
