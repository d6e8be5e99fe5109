"""Digests of files, within a budget of seconds."""

import os
import time
from typing import List, Optional, Tuple

SMALL_BYTES = 16 * 1024 * 1024  # bundle.md: a file up to here travels with the record
_CHUNK = 64 * 1024


class OutOfTimeError(Exception):
    """The budget for hashing is used up."""


class Clock:
    """Counts the seconds left of a budget."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def limit(self, seconds: float) -> None:
        """Leave some seconds at most from now on."""
        self._end = min(self._end, time.monotonic() + seconds)

    def check(self) -> None:
        """Raise OutOfTimeError at the end of the budget."""
        if not self.left():
            raise OutOfTimeError("the time for hashing is used up")


def hash_file(path: str, clock: Clock) -> Tuple[int, str, str]:
    """Return (size in bytes, SHA-256, `adler32:` and 8 hex digits).

    Raises OSError and OutOfTimeError.
    """
    # They load slowly, and a job without inputs does without them before its command.
    import hashlib  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    sha256, adler32, size = hashlib.sha256(), 1, 0
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            clock.check()
            sha256.update(chunk)
            adler32 = zlib.adler32(chunk, adler32)
            size += len(chunk)
    return size, sha256.hexdigest(), "adler32:{:08x}".format(adler32 & 0xFFFFFFFF)


def signature(path: str) -> Optional[List[int]]:
    """Return what changes when a file is written, or None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return [status.st_ino, status.st_size, int(status.st_mtime * 1000000)]
