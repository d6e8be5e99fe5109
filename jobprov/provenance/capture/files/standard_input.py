"""Standard input of a command, where it is a regular file.

What the command will find from where the file stands now.

It is read beside the job, by place (`pread`), so that the job finds its file where it stood. A
pipe, a terminal or a device is the job's alone. Standard input is also how passwords are handed
over: what looks like one by command or by name is not looked at.
"""

import os
import re
from typing import Iterator, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock

_CHUNK = 1024 * 1024
_ASKING = frozenset(["kinit", "sudo", "su", "ssh-add", "passwd", "chpasswd", "cryptsetup"])
_OPTION = (
    r"(?i)--?(?:[\w-]*(?:passw(?:or)?d|passphrase|secret|token)[\w-]*-(?:stdin|fd)"
    r"|pwstdin|stdin[_-]pass\w*|with-token)(?:=|$)"
)
_OPENSSL = r"(?i)--?pass(?:in|phrase)?$"  # openssl's `-passin stdin`


class StandardInput:
    """What a command was about to read.

    Attributes:
        content: the bytes, or None where they are too many to be kept.
        start: where the file stood.
        path: its name, where the system knows it.
    """

    def __init__(self, status: os.stat_result, start: int) -> None:
        self.start, self.path = start, _path()
        self._signature = _signature(status)
        self.content: Optional[bytes] = None
        if status.st_size - start <= SMALL_BYTES:
            self.content = b"".join(_chunks(start))

    def has_changed(self) -> bool:
        """Tell whether somebody wrote to the file since."""
        return _signature(os.fstat(0)) != self._signature

    def was_left(self) -> bool:
        """Tell whether the command left the file where it stood, behind its beginning.

        Then it read nothing.

        The command of `while read line; do COMMAND; done < list` finds the rest of the list, which
        must not be kept with each.
        """
        return self.start != 0 and os.lseek(0, 0, os.SEEK_CUR) == self.start

    def digest(self, clock: Clock) -> str:
        """Return the SHA-256 of what is too large to be kept; raises OSError and OutOfTimeError."""
        import hashlib  # noqa: PLC0415 - loads slowly, and few jobs have such a file

        sha256 = hashlib.sha256()
        for chunk in _chunks(self.start):
            clock.check()
            sha256.update(chunk)
        return sha256.hexdigest()


def look(argv: Sequence[str]) -> Tuple[Optional[StandardInput], Optional[str]]:
    """Return (what a command will find in the file there, why it is not recorded), each None.

    Raises OSError.
    """
    status = os.fstat(0)
    start = os.lseek(0, 0, os.SEEK_CUR)
    if start >= status.st_size:
        return None, None  # there is nothing to read, as in a rerun
    if asks_for_secret(argv):
        private.withhold(_path() or "")  # though the command is seen to hold it open
        return None, "standard input is not recorded: the command reads a secret from it"
    return StandardInput(status, start), None


def asks_for_secret(argv: Sequence[str]) -> bool:
    """Tell whether a command reads a secret from its standard input."""
    if not argv:
        return False
    if os.path.basename(argv[0]) in _ASKING or any(re.match(_OPTION, word) for word in argv[1:]):
        return True
    pairs = zip(argv, argv[1:])  # noqa: B905, RUF007 - Python 3.6
    return any(re.match(_OPENSSL, before) and word in ("stdin", "fd:0") for before, word in pairs)


def _chunks(at: int) -> Iterator[bytes]:
    while True:
        chunk = os.pread(0, _CHUNK, at)
        if not chunk:
            return
        yield chunk
        at += len(chunk)


def _signature(status: os.stat_result) -> Tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _path() -> Optional[str]:
    try:
        return os.readlink("/proc/self/fd/0")
    except OSError:
        return None
