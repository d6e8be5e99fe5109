"""The folders of a job, followed by the kernel from before its command on.

What the kernel reports waits until it is read (`file_events`), so a job waits for this alone.
"""

import os
import threading
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Set

from jobprov.provenance.capture.files.folders import NOT_LOOKED_AT
from jobprov.provenance.capture.running import inotify
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.running.storage_folders import StorageFolders

if TYPE_CHECKING:
    from jobprov.provenance.capture.running.written_files import WrittenFiles

_ASKED = (
    inotify.CLOSED | inotify.MOVED_AWAY | inotify.MOVED_HERE | inotify.CREATED | inotify.DELETED
)
_MOST_FOLDERS = 500
_STORAGE_SECONDS = 2.0  # for which the job waits until its storage is followed, where a disk hangs


class Followed:
    """Follows folders and all below them; raises OSError where the system has no inotify, or no more.

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
        """Return the folders in one; in a new one files may have been made before it was followed."""
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
