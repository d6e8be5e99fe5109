"""The clock that the kernel stamps files by: CLOCK_REALTIME_COARSE of clock_gettime(2).

It stands still for a tick, up to 10 ms: a file that is written after a moment of `time.time()` may
bear an earlier time. What is compared with times of files is read from this clock.
"""

import time

_COARSE = 5  # Python has no name for it
GRANULE_SECONDS = 0.02  # for moments of other clocks


def now() -> float:
    """Return the earliest time that a file written from now on can bear, in seconds since 1970."""
    return time.clock_gettime(_COARSE)
