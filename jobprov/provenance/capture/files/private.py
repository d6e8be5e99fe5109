"""Which files are private by where they lie or what they are called."""

import functools
import os
import pwd
import re
from typing import Iterator, List, Optional, Set, Tuple

from jobprov.provenance.capture.files import credentials
from jobprov.provenance.capture.files.names import is_within

# These are compiled where they are needed, most of them after the job's command has begun.
# Folders of a home that hold installed software; a Python lies anywhere
_SOFTWARE = (
    r"/\.(?:local/(?:bin|lib|lib64|libexec|include)|pyenv|virtualenvs|rbenv|plenv|nvm|asdf|rustup"
    r"|cargo/bin|julia|juliaup|linuxbrew)/"
)
# Names of files with proxies, tokens, keys and passwords
_PRIVATE_NAME = (
    r"(?i)^(?:x509up_u.*|bt_u.*|\.?netrc|\.git-credentials|g?shadow-?|sudoers|krb5cc.*"
    r"|.*\.(?:keytab|p12|pfx)"
    r"|id_(?:rsa|dsa|ecdsa|ed25519).*)$"
    r"|(?:^|[_.-])(?:token|proxy|credentials?|secrets?|passwords?|(?:host|user|private)-?key)"
    r"(?:\.(?:txt|json|pem|jwt|key))?$"
)

# What an installation has of its own: whoever works beside them has data of a job there
_INSTALLED = frozenset(
    [
        "bin",
        "conda-meta",
        "etc",
        "include",
        "lib",
        "lib64",
        "libexec",
        "opt",
        "pkgs",
        "sbin",
        "share",
    ]
)


_withheld: Set[str] = set()


def withhold(path: str) -> None:
    """Count a file as private: a command reads a secret from it."""
    _withheld.add(path)


def is_private(path: str) -> bool:
    """Tell whether a file is nobody's business.

    It lies in a hidden folder of a home, is named like one with secrets, or is a credential.
    """
    hidden = path.startswith(_hidden_folders(os.environ.get("HOME")))
    if (hidden and not is_software(path)) or names_secret(path):
        return True
    return any(is_within(path, place) for place in credentials.places(os.environ))


def is_software(path: str) -> bool:
    """Tell whether a file lies in installed software: `~/.local/lib`, pyenv, a venv."""
    if re.search(_SOFTWARE, path):
        return True
    for folder in _folders_of(path):
        if _is_mixed(folder):
            return False
        if _is_environment(folder) or _has_mark(folder, "bin/python3"):
            return True
    return False


def is_in_environment(path: str) -> bool:
    """Tell whether a file belongs to a Python environment, whose packages the record lists."""
    return any(map(_is_environment, _folders_of(path)))


def _folders_of(path: str) -> Iterator[str]:
    """Yield the folders in which a file may have been installed, the innermost first."""
    folder, name = os.path.split(os.path.dirname(path))
    while name:
        if name in _INSTALLED:
            yield folder
        folder, name = os.path.split(folder)


def _is_mixed(folder: str) -> bool:
    # /usr has a Python as well, and so may ~/.local and ~; none of them is one installation
    if folder.endswith("/.local") or folder in _homes(os.environ.get("HOME")):
        return True
    return folder.strip("/") in ("", "usr", "usr/local")  # `//` is the root, too


def _is_environment(folder: str) -> bool:
    # of venv (PEP 405) and conda
    return _has_mark(folder, "pyvenv.cfg") or _has_mark(folder, "conda-meta")


@functools.lru_cache(maxsize=4096)
def _has_mark(folder: str, name: str) -> bool:
    return os.path.exists(os.path.join(folder, name))


def names_secret(path: str) -> bool:
    """Tell whether a file is withheld, or named like files with proxies, tokens, keys and passwords."""
    if path in _withheld:
        return True
    return re.search(_PRIVATE_NAME, path.rpartition("/")[2]) is not None


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
