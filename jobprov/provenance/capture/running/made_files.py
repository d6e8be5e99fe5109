"""What is known of a file that came in a job's folder, and what looks at such files showed.

**Late looks.** Reports are read a moment late. A job that makes and stores file after file at one
path may be so fast that a look finds the next file. So a file is looked at where it is after all
reports that were read, and what the look shows counts only if no report of that path had come by
then.
"""

import os
import time
from typing import Dict, Optional, Tuple


class Made:
    """A file that was made or moved into a folder.

    Attributes:
        identity: (device, inode); None where it was gone before anybody could look.
        came_at: when its coming was reported, in seconds since 1970.
        size_bytes, written_at: as last seen, or None.
        is_moved, is_deleted: whether it left its place again, and how.
        place: where it was moved to, as the kernel reported; else None.
        was_there: whether it lay in the folder before the job.
    """

    __slots__ = (
        "came_at",
        "identity",
        "is_deleted",
        "is_moved",
        "place",
        "size_bytes",
        "was_there",
        "written_at",
    )

    def __init__(self, *, was_there: bool = False) -> None:
        self.identity: Optional[Tuple[int, int]] = None
        self.size_bytes: Optional[int] = None
        self.came_at = time.time()
        self.written_at: Optional[float] = None
        self.is_moved = self.is_deleted = False
        self.place: Optional[str] = None
        self.was_there = was_there

    def take(self, path: str, status: os.stat_result) -> None:
        """Take what was seen at the path where it is."""
        identity = (status.st_dev, status.st_ino)
        if path == self.place and self.identity not in (None, identity):
            self.end()  # another file has taken that place since
        else:
            self.identity, self.size_bytes = identity, status.st_size
            self.written_at = status.st_mtime

    def move(self, place: Optional[str]) -> None:
        """Take that it is somewhere else now: at a place, or nobody knows where."""
        self.is_moved, self.is_deleted, self.place = True, False, place

    def end(self) -> None:
        """Take that it is gone."""
        self.is_moved, self.is_deleted, self.place = False, True, None


class Looks:
    """Looks at files of which something was reported."""

    def __init__(self) -> None:
        self._due: Dict[str, Made] = {}
        self._seen: Dict[str, Tuple[Made, os.stat_result]] = {}

    def ask(self, path: str, file: Made) -> None:
        """Look at a file soon, unless something else is reported of its path before."""
        self._due[path] = file

    def drop(self, path: str) -> None:
        """Take in that there was another report of a path: the look may have shown another file."""
        self._due.pop(path, None)
        self._seen.pop(path, None)

    def settle(self) -> None:
        """Let count what was seen: all reports that had come by then are read."""
        for path, (file, status) in self._seen.items():
            file.take(path, status)
        self._seen = {}

    def look(self) -> None:
        """Look at the files that were asked for."""
        for path, file in self._due.items():
            try:
                self._seen[path] = (file, os.lstat(path))
            except OSError:
                pass  # gone again
        self._due = {}

    def paths(self) -> Tuple[str, ...]:
        """Return the paths of which a look is due or does not count yet."""
        return (*self._due, *self._seen)
