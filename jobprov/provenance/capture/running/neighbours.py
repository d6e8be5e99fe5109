"""Whether other jobs have a job's folders as well: what comes there while it runs may be theirs.

All hooks with one spool share a file, in which each folder has a byte, by its inode. A hook adds
one to that byte before its command and after it, and holds a lock on it until the hook ends: so
those who are there see who comes and goes, and who comes sees who is there. A workflow system
touches what a job made once its hook has ended. The system takes the lock from one that ended, or
was killed. Whose folder lies above, such as the one of all submissions, looks at the bytes of
those below it, too.

Source: fcntl(2), advisory record locking.
"""

import fcntl
import os
import struct
from typing import Dict, Iterable, Set

_PLACES = 1 << 20  # the file has no more bytes, most of them holes
_LOCK = "hhqqi"  # struct flock: type, whence, start, length, process


class Neighbours:
    """Tells which of some folders other jobs have as well, from now on until `end`.

    Where no spool can be written, the job counts as alone.

    Attributes:
        were_there: whether there were some already.
    """

    def __init__(self, spools: Iterable[str], folders: Iterable[str]) -> None:
        self._places: Dict[str, int] = {}
        self._bytes: Dict[int, bytes] = {}
        self._crowded: Set[int] = set()
        self._before = b""
        self._below: Dict[str, bool] = {}
        try:
            self._file = _open_in_first(spools)
            for folder in folders:
                self._places[folder] = place = os.stat(folder).st_ino % _PLACES
                if place not in self._bytes:
                    self._come(place)
            self._before = os.pread(self._file, _PLACES, 0)
        except OSError:
            pass  # as if it were alone
        self.were_there = bool(self._crowded)

    def _come(self, place: int) -> None:
        self._bytes[place] = self._count(place)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
        except OSError:
            pass  # a file system without locks: who comes later is seen all the same
        if self._is_locked(place):
            self._crowded.add(place)

    def _count(self, place: int) -> bytes:
        """Add one to a byte, and return it."""
        byte = bytes([(self._read(place)[0] + 1) % 256])
        os.pwrite(self._file, byte, place)
        return byte

    def _read(self, place: int) -> bytes:
        return os.pread(self._file, 1, place) or b"\0"

    def _is_locked(self, place: int) -> bool:
        asked = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        try:
            answer = struct.unpack(_LOCK, fcntl.fcntl(self._file, fcntl.F_GETLK, asked))
        except OSError:
            return False
        return bool(answer[0] != fcntl.F_UNLCK)

    def is_crowded(self, path: str) -> bool:
        """Tell whether others have the folder of a path: the lowest of ours in which it lies.

        Or one between that and the path; after `end`.
        """
        own = [folder for folder in self._places if path.startswith(folder + os.sep)]
        if not own:
            return False
        lowest = max(own, key=len)
        folder = os.path.dirname(path)
        while len(folder) > len(lowest):
            if folder not in self._below:
                self._below[folder] = self._had_others(folder)
            if self._below[folder]:
                return True
            folder = os.path.dirname(folder)
        return self._places[lowest] in self._crowded

    def _had_others(self, folder: str) -> bool:
        """Tell whether another job has a folder below ours, or came or went there meanwhile."""
        try:
            place = os.stat(folder).st_ino % _PLACES
            before = self._before[place : place + 1] or b"\0"
            return before != self._read(place) or self._is_locked(place)
        except OSError:
            return False

    def end(self) -> None:
        """Look, once, who came meanwhile, and say that the command has ended."""
        if not self._bytes:
            return
        for place, content in self._bytes.items():
            if self._read(place) != content:
                self._crowded.add(place)
            self._count(place)


def _open_in_first(spools: Iterable[str]) -> int:
    """Open the file of the first spool that is ours and can be written; raises OSError."""
    for spool in spools:
        try:
            os.makedirs(spool, mode=0o700, exist_ok=True)
            if os.stat(spool).st_uid in (os.geteuid(), 0):
                path = os.path.join(spool, "neighbours")
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            continue
    raise OSError
