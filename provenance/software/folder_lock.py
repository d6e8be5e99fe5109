"""A lock that processes and threads of one machine share, and that a crash releases."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobprov.provenance.errors import SoftwareError

_PAUSE_SECONDS = 0.05


@contextmanager
def hold_lock(path: Path, *, wait_seconds: float = 900.0) -> Iterator[None]:
    """Hold the lock named by a file, which stays behind empty.

    Raises:
        SoftwareError: another holder kept it for `wait_seconds`.
    """
    until = time.monotonic() + wait_seconds
    with path.open("ab") as file:
        while not _is_taken(file.fileno()):
            if time.monotonic() > until:
                raise SoftwareError(
                    f"{path} is held by another fetch for {wait_seconds:g} seconds: try again later."
                )
            time.sleep(_PAUSE_SECONDS)
        yield


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
