"""Which files that nobody named may leave the worker node."""

import functools
import os
import pwd
from typing import List, Optional, Tuple

from jobprov.provenance.capture.record import redaction

_READABLE = 0o004
_HEAD_BYTES = 8192
_SEARCHED_BYTES = 8 * 1024 * 1024  # of text; the service searches as much


def is_private(path: str) -> bool:
    """Tell whether a file lies in a hidden folder of a home, or is named like one with secrets."""
    return path.startswith(_hidden_folders(os.environ.get("HOME"))) or redaction.names_secret(path)


def may_leave(path: str, status: os.stat_result, own_folder: Optional[str] = None) -> bool:
    """Tell whether a file's bytes may leave the worker node; raises OSError.

    Everybody may read it, or it lies in the job's own folder; it is not private, and no rule finds a
    secret in it.
    """
    is_own = own_folder is not None and path.startswith(own_folder + os.sep)
    if not (is_own or status.st_mode & _READABLE) or is_private(path):
        return False
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if b"\0" in head:  # no text
            return True
        return status.st_size <= _SEARCHED_BYTES and not redaction.redact(head + stream.read())[1]


@functools.lru_cache(maxsize=4)
def _hidden_folders(home: Optional[str]) -> Tuple[str, ...]:
    """Return the beginnings of paths in hidden folders of the user's homes.

    Kept, since a user data base of a site may answer slowly.
    """
    homes: List[Optional[str]] = [home]
    try:
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        pass
    folders = set()
    for folder in homes:
        if folder:
            folders.update([os.path.abspath(folder), os.path.realpath(folder)])
    return tuple(sorted(folder + "/." for folder in folders - {"/"}))
