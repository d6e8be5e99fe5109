"""The kernel's reports about files in folders.

Source: inotify(7), reached by ctypes since Python has no call for it.
"""

import ctypes
import fcntl
import os
import select
import struct
import sys
import termios
from typing import Iterator, Tuple

CLOSED, MOVED_AWAY, MOVED_HERE, CREATED, DELETED = 0x8, 0x40, 0x80, 0x100, 0x200
FURTHER = 0x20000000  # a folder that is followed already is asked for what it was asked, too
OVERFLOW, ENDED, IS_FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS = 0x01000000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_MOST_READ = 1 << 16


class Inotify:
    """One queue of reports; raises OSError where the system has no inotify, or no more of it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def add(self, folder: str, asked: int) -> int:
        """Follow a folder; return the number of its watch, negative where that cannot be.

        A folder that is followed already keeps its number, wherever it is now.
        """
        name, asked = os.fsencode(folder), asked | _ONLY_FOLDERS
        number: int = self._library.inotify_add_watch(self._descriptor, name, asked)
        return number

    def remove(self, watch: int) -> None:
        """Follow a folder no more."""
        self._library.inotify_rm_watch(self._descriptor, watch)

    def wait(self, seconds: float) -> bool:
        """Wait for a report; tell whether there is one."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def count_waiting(self) -> int:
        """Return how many bytes of reports wait to be read: all that happened so far."""
        count = fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(count, sys.byteorder)

    def read(self, waiting: int) -> Iterator[Tuple[int, int, int, bytes]]:
        """Yield what was reported, as far as it waited when it was counted.

        That is: number of the watch, what happened, the cookie that both ends of a move share,
        name.
        """
        while waiting > 0:
            try:
                content = os.read(self._descriptor, min(waiting, _MOST_READ))
            except OSError:  # nothing more
                return
            waiting -= len(content)
            place = 0
            while place < len(content):
                watch, mask, cookie, length = _HEAD.unpack_from(content, place)
                place += _HEAD.size + length
                yield watch, mask, cookie, content[place - length : place].rstrip(b"\0")

    def close(self) -> None:
        """Follow nothing more."""
        os.close(self._descriptor)
