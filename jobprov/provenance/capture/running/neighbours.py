"""Whether other jobs have a job's folders as well: what comes there while it runs may be theirs.

All hooks with one spool share a file, in which each folder has a byte, by its inode. A hook adds
one to that byte and holds a lock on it while its command runs, so that those who are there see who
comes, and who comes sees who is there. The system takes the lock from one that is killed.

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
        try:
            self._file = _open_in_first(spools)
            for folder in folders:
                self._places[folder] = place = os.stat(folder).st_ino % _PLACES
                if place not in self._bytes:
                    self._come(place)
        except OSError:
            pass  # as if it were alone
        self.were_there = bool(self._crowded)

    def _come(self, place: int) -> None:
        before = os.pread(self._file, 1, place) or b"\0"
        byte = bytes([(before[0] + 1) % 256])
        os.pwrite(self._file, byte, place)
        self._bytes[place] = byte
        try:
            fcntl.lockf(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
            asked = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
            answer = struct.unpack(_LOCK, fcntl.fcntl(self._file, fcntl.F_GETLK, asked))
            if answer[0] != fcntl.F_UNLCK:
                self._crowded.add(place)
        except OSError:
            pass  # a file system without locks: who comes later is seen all the same

    def is_crowded(self, path: str) -> bool:
        """Tell whether others have the folder of a path: the lowest of ours in which it lies."""
        folders = [folder for folder in self._places if path.startswith(folder + os.sep)]
        return bool(folders) and self._places[max(folders, key=len)] in self._crowded

    def end(self) -> None:
        """Look, once, who came meanwhile, and leave."""
        for place, content in self._bytes.items():
            if os.pread(self._file, 1, place) != content:
                self._crowded.add(place)
        if self._bytes:
            os.close(self._file)


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
