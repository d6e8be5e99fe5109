"""Which files that nobody named may leave the worker node."""

import os
import re
from typing import Optional

from jobprov.provenance.capture.files.private import is_private, is_software, names_secret
from jobprov.provenance.capture.secrets.texts import redact

_READABLE = 0o004
_HEAD_BYTES = 8192
_SEARCHED_BYTES, _OVERLAP_BYTES = 1 << 20, 1 << 16  # of text, at a time
# Below a home: what programs keep keys, passwords and what somebody typed in
_OF_SECRETS = re.compile(
    r"/\.(?:ssh|gnupg|aws|azure|kube|globus|docker|oidc-agent|password-store|pki|mozilla"
    r"|netrc|pgpass|my\.cnf|boto|s3cfg|pypirc|npmrc|vault-token|condor|[^/]*history"
    r"|config/(?:gcloud|gh|hub|rclone|htgettoken)|local/share/keyrings)(?:/|$)"
)


def may_leave(path: str, status: os.stat_result, own_folder: Optional[str] = None) -> bool:
    """Tell whether a file's bytes may leave the worker node; raises OSError.

    Everybody may read it, or it lies in the job's own folder or in software of its owner; it is not
    private, and no rule finds a secret in it.
    """
    return not is_private(path) and _may_be_read(path, status, own_folder)


def may_leave_traced(path: str, status: os.stat_result, own_folder: str) -> bool:
    """Tell the same of a file that a traced job read; raises OSError.

    Settings in hidden files of a home may leave, too, but for those that hold secrets.
    """
    is_secret = _OF_SECRETS.search(path) or names_secret(path)
    return not is_secret and _may_be_read(path, status, own_folder)


def _may_be_read(path: str, status: os.stat_result, own_folder: Optional[str]) -> bool:
    is_own = own_folder is not None and path.startswith(own_folder + os.sep)
    is_own = is_own or (status.st_uid == os.getuid() and is_software(path))
    if not (is_own or status.st_mode & _READABLE):
        return False
    return not _holds_secret(path)


def _holds_secret(path: str) -> bool:
    """Tell whether a rule finds a secret in a text of any size."""
    with open(path, "rb") as stream:
        text = stream.read(_HEAD_BYTES)
        if b"\0" in text:  # no text
            return False
        while True:
            piece = stream.read(_SEARCHED_BYTES)
            text += piece
            if redact(text)[1]:
                return True
            if len(piece) < _SEARCHED_BYTES:  # that was the end
                return False
            text = text[-_OVERLAP_BYTES:]
