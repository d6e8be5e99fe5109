"""Reads files whose names come from the job: whole, and only what is a regular file.

A pipe or a device that a name leads to belongs to the job alone. To open it would release its
writer; to read it would take what the job is about to read (`-c <(sed …)`), or never end.
"""

import os
import stat
from typing import Optional

MOST_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1 << 16


def read(path: str, most: int = MOST_BYTES) -> Optional[bytes]:
    """Return the bytes of a regular file, None for a folder.

    Raises OSError, also where it is neither, or larger than `most`.
    """
    status = os.stat(path)
    _check(status, most)
    if stat.S_ISDIR(status.st_mode):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        _check(status, most)  # another file may have taken the name since
        pieces = [os.read(descriptor, status.st_size + 1)]
        size = len(pieces[0])
        while pieces[-1] and size <= most:
            pieces.append(os.read(descriptor, _PIECE_BYTES))
            size += len(pieces[-1])
    finally:
        os.close(descriptor)
    if size > most:
        raise _refusal("more than {} bytes".format(most))
    return b"".join(pieces)


def _check(status: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise _refusal("it is no regular file and left to the job")
    if stat.S_ISREG(status.st_mode) and status.st_size > most:
        raise _refusal("it has more than {} bytes".format(most))


def _refusal(reason: str) -> OSError:
    return OSError(0, reason)


def attribute(path: str, name: str) -> Optional[str]:
    """Return an extended attribute of a file as text, or None."""
    try:
        return os.getxattr(path, name).decode("ascii", "replace").strip() or None
    except (OSError, AttributeError):
        return None
