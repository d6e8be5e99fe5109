"""Files that come and go in the folders of a job while it runs, as the kernel reports them.

A listing at the end cannot show what a job made and moved away. The reports are read as they come, a
moment late, so size and inode are those of a file that is still there by then.

Source: inotify(7), reached by ctypes since Python has no call for it.
"""

import ctypes
import os
import select
import struct
import threading
from typing import Dict, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.folders import NOT_LOOKED_AT
from jobprov.provenance.capture.running.background import Background

_CLOSED, _MOVED_AWAY, _MOVED_HERE, _CREATED, _DELETED = 0x8, 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _ENDED, _IS_FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS = 0x01000000
_ASKED = _CLOSED | _MOVED_AWAY | _MOVED_HERE | _CREATED | _DELETED | _ONLY_FOLDERS
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_MOST_READ, _MOST_FOLDERS, _MOST_FILES = 1 << 16, 500, 20000
_MOST_READS = 64  # in one look, so that a job that makes files without end does not hold us
_WAIT_SECONDS, _PAUSE_SECONDS = 0.2, 0.005  # so that many reports are read at once


class Made:
    """A file that was made or moved into a folder.

    Attributes:
        identity: (device, inode); None where it was gone before anybody could look.
        size_bytes: as last seen, or None.
        is_moved, is_deleted: whether it left its place again, and how.
    """

    __slots__ = ("identity", "is_deleted", "is_moved", "size_bytes")

    def __init__(self) -> None:
        self.identity: Optional[Tuple[int, int]] = None
        self.size_bytes: Optional[int] = None
        self.is_moved = self.is_deleted = False

    def look(self, path: str) -> None:
        """Take what can be seen of the file now."""
        try:
            status = os.lstat(path)
        except OSError:
            return
        self.identity, self.size_bytes = (status.st_dev, status.st_ino), status.st_size
        self.is_moved = self.is_deleted = False


class FileEvents:
    """Follows folders and all that are made below them.

    Attributes:
        made: {absolute path: Made}, also of files that are gone again.
        new_folders: absolute paths of folders, and pipes, that were made or moved here.
        why_incomplete: a sentence where something may have been missed, else None.
    """

    def __init__(self, folders: List[str], skipped: List[str]) -> None:
        """Begin; raises OSError where the system has no inotify, or no more of it."""
        self.made: Dict[str, Made] = {}
        self.new_folders: Set[str] = set()
        self.why_incomplete: Optional[str] = None
        self._skipped = frozenset(skipped)
        self._folders: Dict[int, str] = {}
        self._moving: Dict[int, Tuple[str, Made]] = {}  # cookie -> old path and file
        self._lock, self._is_closed = threading.Lock(), threading.Event()
        self._reading: Optional[Background] = None
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        for folder in folders:
            self._follow(folder, is_new=False)

    def read_on(self) -> None:
        """Read reports as they come, from now on: a script may move a file once it is written."""
        if self._reading is None:
            self._reading = Background(self._read_as_they_come)

    def _read_as_they_come(self) -> None:
        try:
            while not self._is_closed.is_set():
                if select.select([self._descriptor], [], [], _WAIT_SECONDS)[0]:
                    self._read()
                    self._is_closed.wait(_PAUSE_SECONDS)
        finally:
            os.close(self._descriptor)

    def _read(self, *, is_last: bool = False) -> None:
        """Take in what happened since the last call."""
        with self._lock:
            if not self._is_closed.is_set():
                self._take_reports(is_last=is_last)

    def _take_reports(self, *, is_last: bool) -> None:
        # The other half of a move may come with the next call
        halves = dict(self._moving)
        for _ in range(_MOST_READS):
            try:
                content = os.read(self._descriptor, _MOST_READ)
            except OSError:  # nothing more
                break
            self._take(content)
        for cookie, (path, file) in list(self._moving.items()):
            if is_last or cookie in halves:
                file.is_moved = True
                self.made[path] = file
                del self._moving[cookie]

    def close(self) -> None:
        """Follow no more, after what happened last is read."""
        self._read(is_last=True)
        with self._lock:
            self._is_closed.set()
        if self._reading is None:
            os.close(self._descriptor)

    def _follow(self, folder: str, *, is_new: bool) -> None:
        """Follow a folder and those below it; what lies in a new one was made by the job."""
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            if len(self._folders) >= _MOST_FOLDERS or not self._add(folder):
                self._miss("not all of its folders could be followed")
                return
            waiting += self._look_into(folder, is_new=is_new)

    def _look_into(self, folder: str, *, is_new: bool) -> List[str]:
        """Return the folders in one; in a new one files may have been made before it was followed."""
        below = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not self._is_skipped(entry.path):
                            below.append(entry.path)
                    elif is_new:
                        self._see(entry.path)
        except OSError:
            pass  # gone again
        return below

    def _add(self, folder: str) -> bool:
        watch = self._library.inotify_add_watch(self._descriptor, os.fsencode(folder), _ASKED)
        if watch < 0:
            return not os.path.isdir(folder)  # one that is gone again is no loss
        self._folders[watch] = folder
        return True

    def _take(self, content: bytes) -> None:
        place = 0
        while place < len(content):
            watch, mask, cookie, length = _HEAD.unpack_from(content, place)
            place += _HEAD.size
            name = content[place : place + length].rstrip(b"\0")
            place += length
            if mask & _OVERFLOW:
                self._miss("more files came and went than the system could report")
            elif mask & _ENDED:
                self._folders.pop(watch, None)
            elif watch in self._folders and name and not name.startswith(b"."):
                path = os.path.join(self._folders[watch], os.fsdecode(name))
                self._happened(path, mask, cookie)

    def _happened(self, path: str, mask: int, cookie: int) -> None:
        if mask & _IS_FOLDER:
            if mask & (_CREATED | _MOVED_HERE) and not self._is_skipped(path):
                self.new_folders.add(path)
                self._follow(path, is_new=True)
            elif mask & _MOVED_AWAY:
                self._move_below(path)
        elif mask & (_CREATED | _CLOSED):
            if mask & _CREATED and not os.path.isfile(path):
                self.new_folders.add(path)
            self._see(path)
        elif mask & _MOVED_AWAY:
            self._moving[cookie] = (path, self.made.pop(path, Made()))
        elif mask & _MOVED_HERE:
            _, file = self._moving.pop(cookie, ("", Made()))
            self._keep(path, file)
            file.look(path)
        elif mask & _DELETED and path in self.made:
            self.made[path].is_deleted = True

    def _move_below(self, folder: str) -> None:
        """Mark what lay in a folder that went as a whole; where it came back, it is seen anew."""
        for path, file in self.made.items():
            if path.startswith(folder + os.sep):
                file.is_moved = True

    def _see(self, path: str) -> None:
        if os.path.islink(path):
            return  # what it leads to counts by itself
        file = self.made.get(path) or Made()
        self._keep(path, file)
        file.size_bytes = None  # where it is gone already, nobody knows how large it became
        file.look(path)

    def _keep(self, path: str, file: Made) -> None:
        if path in self.made or len(self.made) < _MOST_FILES:
            self.made[path] = file
        else:
            self._miss("more than {} files came and went".format(_MOST_FILES))

    def _is_skipped(self, folder: str) -> bool:
        return folder in self._skipped or os.path.basename(folder).startswith(NOT_LOOKED_AT)

    def _miss(self, why: str) -> None:
        self.why_incomplete = self.why_incomplete or why
