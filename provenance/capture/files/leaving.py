"""Which files that nobody named may leave the worker node."""

import functools
import os
import pwd
import re
from typing import List, Optional, Tuple

from jobprov.provenance.capture.record import redaction

_READABLE = 0o004
_HEAD_BYTES = 8192
_SEARCHED_BYTES, _OVERLAP_BYTES = 1 << 20, 1 << 16  # of text, at a time
# Folders of a home that hold installed software; a Python lies anywhere
_SOFTWARE = re.compile(
    r"/\.(?:local/(?:bin|lib|lib64|libexec|include)|pyenv|virtualenvs|rbenv|plenv|nvm|asdf|rustup"
    r"|cargo/bin|julia|juliaup|linuxbrew)/"
)
_MARKS = ("pyvenv.cfg", "conda-meta", "bin/python3")
# Below a home: what programs keep keys, passwords and what somebody typed in
_OF_SECRETS = re.compile(
    r"/\.(?:ssh|gnupg|aws|azure|kube|globus|docker|oidc-agent|password-store|pki|mozilla"
    r"|netrc|pgpass|my\.cnf|boto|s3cfg|pypirc|npmrc|vault-token|condor|[^/]*history"
    r"|config/(?:gcloud|gh|hub|rclone|htgettoken)|local/share/keyrings)(?:/|$)"
)


def is_private(path: str) -> bool:
    """Tell whether a file lies in a hidden folder of a home, or is named like one with secrets."""
    hidden = path.startswith(_hidden_folders(os.environ.get("HOME")))
    return (hidden and not is_software(path)) or redaction.names_secret(path)


def is_software(path: str) -> bool:
    """Tell whether a file lies in software that somebody installed: `~/.local/lib`, pyenv, a venv."""
    return bool(_SOFTWARE.search(path)) or _is_in_python(os.path.dirname(path))


@functools.lru_cache(maxsize=1024)
def _is_in_python(folder: str) -> bool:
    # /usr has a Python as well, and so may ~/.local and ~; none of them is one installation
    is_mixed = folder.endswith("/.local") or folder in _homes(os.environ.get("HOME"))
    if is_mixed or folder.strip("/") in ("", "usr", "usr/local"):  # `//` is the root, too
        return False
    if any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS):
        return True
    return _is_in_python(os.path.dirname(folder))


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
    is_secret = _OF_SECRETS.search(path) or redaction.names_secret(path)
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
        text = piece = stream.read(_HEAD_BYTES)
        if b"\0" in piece:  # no text
            return False
        while piece:
            piece = stream.read(_SEARCHED_BYTES)
            text += piece
            if redaction.redact(text)[1]:
                return True
            text = text[-_OVERLAP_BYTES:]
    return False


def _hidden_folders(home: Optional[str]) -> Tuple[str, ...]:
    """Return the beginnings of paths in hidden folders of the user's homes."""
    return tuple(folder + "/." for folder in _homes(home))


@functools.lru_cache(maxsize=4)
def _homes(home: Optional[str]) -> Tuple[str, ...]:
    """Return the user's homes, each also as what it really is.

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
    return tuple(sorted(folders - {"/"}))
