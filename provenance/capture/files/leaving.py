"""Which files that nobody named may leave the worker node."""

import functools
import os
import pwd
import re
from typing import List, Optional, Tuple

from jobprov.provenance.capture.record import redaction

_READABLE = 0o004
_HEAD_BYTES = 8192
_SEARCHED_BYTES = 8 * 1024 * 1024  # of text; the service searches as much
# Below a home: what programs keep keys, passwords and what somebody typed in
_OF_SECRETS = re.compile(
    r"/\.(?:ssh|gnupg|aws|azure|kube|globus|docker|oidc-agent|password-store|pki|mozilla"
    r"|netrc|pgpass|my\.cnf|boto|s3cfg|pypirc|npmrc|vault-token|condor|[^/]*history"
    r"|config/(?:gcloud|gh|hub|rclone|htgettoken)|local/share/keyrings)(?:/|$)"
)


def is_private(path: str) -> bool:
    """Tell whether a file lies in a hidden folder of a home, or is named like one with secrets."""
    return path.startswith(_hidden_folders(os.environ.get("HOME"))) or redaction.names_secret(path)


def may_leave(path: str, status: os.stat_result, own_folder: Optional[str] = None) -> bool:
    """Tell whether a file's bytes may leave the worker node; raises OSError.

    Everybody may read it, or it lies in the job's own folder; it is not private, and no rule finds a
    secret in it.
    """
    return not is_private(path) and _may_be_read(path, status, own_folder)


def may_leave_traced(path: str, status: os.stat_result, own_folder: str) -> bool:
    """Tell the same of a file that a traced job read; raises OSError.

    Settings in hidden files of a home may leave, too, but for those that hold secrets.
    """
    is_secret = _OF_SECRETS.search(path) or redaction.names_secret(path)
    return not is_secret and _may_be_read(path, status, own_folder)


def _may_be_read(path: str, status: os.stat_result, own_folder: Optional[str]) -> bool:
    is_own = own_folder is not None and path.startswith(own_folder + os.sep)
    if not (is_own or status.st_mode & _READABLE):
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
