"""Folders that the kernel follows for a job from before its command on: its own, and its storage.

What the kernel reports waits until it is read (`file_events`), so a job waits for this alone.
"""

import collections
import os
import threading
from typing import TYPE_CHECKING, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.files.folders import NOT_LOOKED_AT
from jobprov.provenance.capture.running import inotify
from jobprov.provenance.capture.running.background import Background

if TYPE_CHECKING:
    from jobprov.provenance.capture.running.written_files import WrittenFiles

_ASKED = (
    inotify.CLOSED | inotify.MOVED_AWAY | inotify.MOVED_HERE | inotify.CREATED | inotify.DELETED
)
_MOST_FOLDERS = 500
_STORAGE_SECONDS = 2.0  # for which the job waits until its storage is followed, where a disk hangs

_ASKED_OF_STORAGE = inotify.MOVED_AWAY | inotify.MOVED_HERE | inotify.CREATED | inotify.DELETED
_LEVELS = 3
# Old kernels have 8,192 watches for all jobs of one user on a node
_MOST_AT_FIRST, _MOST_NEW, _MOST_ENTRIES = 50, 50, 2000
_MOST_REPORTS = 100000  # one to two seconds of CPU
_NOT_ALL = "not all folders of its storage could be followed"


class Followed:
    """Follows folders and all below them.

    Raises OSError where the system has no inotify, or no more.

    Attributes:
        kernel: what reports.
        handles: what reports handles of written files, or None.
        storage: the folders to which files may be moved.
        folders: {number of a watch: folder} of the job's own.
        new: those of them that came while the command ran.
        lock: held by whoever reads reports.
        why_incomplete: a sentence where something is not followed, else None.
    """

    def __init__(self, folders: List[str], skipped: List[str], storage: Sequence[str] = ()) -> None:
        self.kernel = inotify.Inotify()
        self.handles: "Optional[WrittenFiles]" = None
        self.folders: Dict[int, str] = {}
        self.new: Set[str] = set()
        self.lock = threading.RLock()
        self.storage = StorageFolders(self.kernel, self.lock, self.folders)
        self.why_incomplete: Optional[str] = None
        self._skipped = frozenset(skipped)
        if storage:
            self._ask_for_handles()
        for folder in folders:
            self.follow(folder)
        if storage and folders:
            named = list(storage)
            if not Background(lambda: self.storage.begin(named)).wait(_STORAGE_SECONDS):
                self.storage.why_incomplete = "folders of its storage were followed too late"

    def follow(self, folder: str, see: Optional[Callable[[str], None]] = None) -> None:
        """Follow a folder and those below it.

        `see` is told of the files in one that came while the command ran: they are the job's.
        """
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            if len(self.folders) >= _MOST_FOLDERS or not self._add(folder):
                self.miss("not all of its folders could be followed")
                return
            if see is not None:
                self.new.add(folder)
            waiting += self._look_into(folder, see)

    def is_skipped(self, folder: str) -> bool:
        """Tell whether a folder is not the job's."""
        return folder in self._skipped or os.path.basename(folder).startswith(NOT_LOOKED_AT)

    def miss(self, why: str) -> None:
        """Keep the first reason why something may be missed."""
        self.why_incomplete = self.why_incomplete or why

    def _ask_for_handles(self) -> None:
        from jobprov.provenance.capture.running.written_files import WrittenFiles  # noqa: PLC0415

        try:
            self.handles = WrittenFiles()
        except (OSError, AttributeError):
            pass  # an older kernel, or a container

    def _look_into(self, folder: str, see: Optional[Callable[[str], None]]) -> List[str]:
        """Return the folders in one.

        In a new one files may have been made before it was followed.
        """
        below = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not self.is_skipped(entry.path):
                            below.append(entry.path)
                    elif see is not None:
                        see(entry.path)
        except OSError:
            pass  # gone again
        return below

    def _add(self, folder: str) -> bool:
        watch = self.kernel.add(folder, _ASKED)
        if watch < 0:
            return not os.path.isdir(folder)  # one that is gone again is no loss
        self.storage.followed.pop(watch, None)
        self.folders[watch] = folder
        if self.handles is not None:
            self.handles.follow(folder)
        return True


class StorageFolders:
    """Folders outside the job's own in which it may store files, followed for what is moved there.

    Other jobs store their files there, too, and the kernel does not say which process did what. So
    nothing that comes there counts by itself: a file is this job's if both ends of its move bear
    the same cookie (see `file_events`).

    At first the folders that the job names are followed, and some of those below, the ones that
    changed last; then folders that come there while the job runs, at once. Of these the oldest make
    way where other jobs make many: what a job makes it fills soon.

    Attributes:
        followed: {number of a watch: (folder, levels below it that are followed)}.
        why_incomplete: a sentence where one is not followed, else None.
    """

    def __init__(
        self, kernel: inotify.Inotify, lock: threading.RLock, own_folders: Dict[int, str]
    ) -> None:
        """Nothing is followed yet; whoever reads reports holds the lock, so that none comes early.

        `own_folders` are those of the job, by the numbers of their watches.
        """
        self.followed: Dict[int, Tuple[str, int]] = {}
        self.why_incomplete: Optional[str] = None
        self._kernel, self._lock, self._own = kernel, lock, own_folders
        self._new: Deque[int] = collections.deque()
        self._reports = 0

    def begin(self, named: List[str]) -> None:
        """Follow the folders that the job names; may hang where a disk does."""
        own_folders, level, count = list(self._own.values()), list(named), 0
        for levels in range(_LEVELS, -1, -1):
            below: List[str] = []
            for folder in level:
                count += 1
                if count > _MOST_AT_FIRST:
                    self.why_incomplete = _NOT_ALL
                    return
                # Beside the job's own folder lie those of other jobs
                is_above = any(own.startswith(folder + os.sep) for own in own_folders)
                self._add(folder, 0 if is_above else levels)
                if levels and not is_above:
                    below += _folders_in(folder)
            level = below

    def come(self, folder: str, levels: int) -> None:
        """Follow a folder that has just come, and those in it."""
        waiting = [(folder, levels)]
        while waiting:
            folder, levels = waiting.pop()
            watch = self._add(folder, levels)
            if watch is not None and watch not in self._new:
                self._new.append(watch)
            if len(self._new) > _MOST_NEW:
                self.forget(self._new.popleft())
                self.why_incomplete = _NOT_ALL
            if levels:
                waiting += [(below, levels - 1) for below in _folders_in(folder)]

    def count_report(self) -> None:
        """Count a report; where other jobs cause too many, follow nothing more."""
        self._reports += 1
        if self._reports > _MOST_REPORTS:
            self.why_incomplete = "more happened in its storage than could be followed"
            for watch in list(self.followed):
                self.forget(watch)

    def forget(self, watch: int) -> None:
        """Follow a folder no more."""
        if self.followed.pop(watch, None) is not None:
            self._kernel.remove(watch)

    def _add(self, folder: str, levels: int) -> Optional[int]:
        """Follow one folder; return the number of its watch, or None."""
        if not os.path.isdir(folder):
            return None  # gone again
        with self._lock:
            watch = self._kernel.add(folder, _ASKED_OF_STORAGE | inotify.FURTHER)
            if watch in self._own:
                return None  # a link led to it
            if watch >= 0:
                self.followed[watch] = (folder, levels)
                return watch
        if os.path.isdir(folder):
            self.why_incomplete = _NOT_ALL
        return None


def _folders_in(folder: str) -> List[str]:
    """Return the folders in one, those first to which something came last."""
    changed: List[Tuple[float, str]] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST_ENTRIES:
                    break
                if not entry.name.startswith(NOT_LOOKED_AT) and entry.is_dir(follow_symlinks=False):
                    changed.append((entry.stat().st_mtime, entry.path))
    except OSError:
        pass  # gone, or not ours to read
    return [path for _, path in sorted(changed, reverse=True)]
