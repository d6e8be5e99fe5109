"""What a job leaves in a folder: files that are new there, or changed, since it began.

The time of the last change of a file's status tells: unlike that of its content, no copy or
unpacking sets it back.
"""

import os
import pwd
import time
from typing import Collection, List, Optional

from jobprov.provenance.capture.files.stamps import GRANULE_SECONDS

_MOST_ENTRIES, _SECONDS, _DEEPEST = 20000, 2.0, 20
NOT_LOOKED_AT = (".", "jobprov-spool")  # beginnings of names
# Folders that many share, unless a container has one job's folder in their place
_SHARED = frozenset(["/tmp", "/var/tmp", "/home", "/data", "/scratch", "/exp", "/pnfs"])  # noqa: S108
_MOST_IN_OWN = 1000
_FOLDERS_OF_TOOLS = frozenset(["__pycache__", "node_modules"])


class Listing:
    """The files that changed since a moment in folders and all below them.

    Attributes:
        paths: absolute, sorted within their folders.
        others: what is no file: folders, links, pipes, whenever they came.
        why_incomplete: a sentence where a bound was met, else None.
    """

    def __init__(self, folders: List[str], since: float, skipped: Collection[str]) -> None:
        self.paths: List[str] = []
        self.others: List[str] = []
        self.why_incomplete: Optional[str] = None
        self._since, self._skipped = since - GRANULE_SECONDS, skipped
        self._entries, self._end = 0, time.monotonic() + _SECONDS
        for folder in folders:
            self._list(folder)

    def _list(self, folder: str) -> None:
        waiting = [(folder, 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name, reverse=True)
            except OSError:
                continue  # gone, or not ours to read
            for entry in entries:
                self._entries += 1
                if self._entries > _MOST_ENTRIES or time.monotonic() > self._end:
                    sentence = "only the first {} files of {} were looked at"
                    self.why_incomplete = sentence.format(self._entries - 1, folder)
                    return
                if entry.name.startswith(NOT_LOOKED_AT) or entry.path in self._skipped:
                    continue
                if not entry.is_file(follow_symlinks=False):
                    self.others.append(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST and entry.name not in _FOLDERS_OF_TOOLS:
                        waiting.append((entry.path, depth + 1))
                elif self._is_new(entry):
                    self.paths.append(entry.path)

    def _is_new(self, entry: "os.DirEntry[str]") -> bool:
        try:
            is_file = entry.is_file(follow_symlinks=False)
            return is_file and entry.stat(follow_symlinks=False).st_ctime >= self._since
        except OSError:
            return False


def is_own(folder: Optional[str]) -> bool:
    """Tell whether a folder may hold one job's files alone, so that what is new in it is the job's.

    Not so for a person's home, what lies above it, or a folder like /tmp that many share. A batch
    system may name the job's scratch folder as HOME, so the user data base counts.
    """
    if not folder:
        return False
    real = os.path.realpath(folder)
    return not (real in _SHARED or _is_above_home(real))


def is_own_start(folder: str) -> bool:
    """Tell the same of the folder in which a job starts: a container may have it as /tmp."""
    real = os.path.realpath(folder)
    return is_own(real) or (not _is_above_home(real) and _is_ours_alone(real))


def _is_above_home(real: str) -> bool:
    try:
        home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir or "/")
    except KeyError:
        home = "/"
    return os.path.commonpath([real, home]) == real


def _is_ours_alone(folder: str) -> bool:
    """Tell whether a folder holds few files, and none of others."""
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                status = entry.stat(follow_symlinks=False)
                if number >= _MOST_IN_OWN or status.st_uid != os.getuid():
                    return False
    except OSError:
        return False
    return True
