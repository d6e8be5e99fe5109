"""Finds files: on disk along a search path, as art does, or among the files of a record.

The default policy is art's. The first file is taken as it is if its name is absolute, else searched
in "./" and then along the path. Included files are searched only along the path: even an absolute
name is appended to each folder.

Source: cetlib `filepath_maker` and `search_path`.
"""

import errno
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobprov.provenance.fhicl.errors import LIMIT, UNREADABLE
from jobprov.provenance.fhicl.limits import Limits

PERMISSIVE = "permissive"
AS_IT_IS = "none"
ALWAYS_SEARCH = "all"
NON_ABSOLUTE = "nonabsolute"
AFTER_FIRST = "after1"
POLICIES = (PERMISSIVE, AS_IT_IS, ALWAYS_SEARCH, NON_ABSOLUTE, AFTER_FIRST)

_FEW_FOLDERS = 8
_FOLDERS_ASKED = 5000
"""Folders that are asked for a name before they are listed."""

_SLASHES = re.compile("//+")
_TICK_NS = 2_000_000_000
"""Longer than the coarsest times of file systems."""
_MOST_PATHS = 8
_MOST_NAMES = 1_000_000

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found by its name.

    Attributes:
        name: the name that was searched for.
        path: where it was found. Files are the same if their paths are equal as text.
        content: its bytes; empty for a folder, which the reference opens without complaint.
        found_in: index of the search path element, None if the name was taken as it is or found in
            "./".
        is_folder: whether it is a folder.
    """

    name: str
    path: str
    content: bytes
    found_in: int | None = None
    is_folder: bool = False


class UnreadableFileError(Exception):
    """A file exists but cannot or must not be read. Never leaves the package.

    The includer turns it into an error with a place.
    """

    kind = UNREADABLE


class LargeFileError(UnreadableFileError):
    """A file is larger than the limit."""

    kind = LIMIT


class FileSource(Protocol):
    """The source of the includer's files. Both methods return None if there is no such file."""

    def first(self, name: str) -> FoundFile | None:
        """Find the main file."""
        ...

    def included(self, name: str) -> FoundFile | None:
        """Find the file that an `#include` line names."""
        ...


class DiskFiles:
    """Files on disk.

    Args:
        search_path: folders; empty ones are skipped, as the reference does.
        policy: one of `POLICIES`, named as in `fhicl-dump -l`.
        limits: for the largest file.
        working_folder: where relative paths begin, "" for the process's own; it shows in no path.
    """

    def __init__(
        self, search_path: Iterable[str], *, policy: str, limits: Limits, working_folder: str = ""
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r} is none of {', '.join(POLICIES)}")
        self._folders = [(index, folder) for index, folder in enumerate(search_path) if folder]
        self._asked = 0
        self._listed: SearchedFolders | None = None
        self._policy = policy
        self._limits = limits
        self._working_folder = working_folder

    def first(self, name: str) -> FoundFile | None:
        """Find the main file by the policy."""
        is_absolute = name.startswith("/")
        if self._policy == PERMISSIVE and not is_absolute:
            here = _SLASHES.sub("/", f"./{name}")
            if name and self._exists(here):
                return self._read(name, here, None)
            return self._search(name)
        if self._policy == ALWAYS_SEARCH or (self._policy == NON_ABSOLUTE and not is_absolute):
            return self._search(name)
        return self._read(name, name, None)

    def included(self, name: str) -> FoundFile | None:
        """Find an included file by the policy."""
        if self._policy == AS_IT_IS or (self._policy == NON_ABSOLUTE and name.startswith("/")):
            return self._read(name, name, None)
        return self._search(name)

    def _search(self, name: str) -> FoundFile | None:
        if not name or "\0" in name:
            return None
        for index, folder in self._folders_with(name):
            path = _SLASHES.sub("/", f"{folder}/{name}")
            if self._exists(path):
                return self._read(name, path, index)
        return None

    def _folders_with(self, name: str) -> Iterable[tuple[int, str]]:
        """Return the folders that may hold a name.

        They are listed once that takes less time than to ask each of them for every name.
        """
        if self._listed is None:
            paths = tuple([self._absolute(folder) for _, folder in self._folders])
            self._asked += len(paths)
            is_worth_it = self._asked > _FOLDERS_ASKED and len(paths) > _FEW_FOLDERS
            if not is_worth_it and not _MEMORY.knows(paths):
                return self._folders
            self._listed = _MEMORY.folders(paths)
        return [self._folders[place] for place in self._listed.places_of(name)]

    def _read(self, name: str, path: str, found_in: int | None) -> FoundFile | None:
        if not path or "\0" in path:
            return None
        try:
            handle = os.open(self._absolute(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise UnreadableFileError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            content = _content(handle, path, self._limits.file_bytes)
        finally:
            os.close(handle)
        return FoundFile(name, path, content or b"", found_in, is_folder=content is None)

    def _exists(self, path: str) -> bool:
        try:
            # Without a Path, which takes as long as the call: done for each folder and include
            os.stat(self._absolute(path))  # noqa: PTH116
        except (OSError, ValueError):
            return False
        return True

    def _absolute(self, path: str) -> str:
        if self._working_folder and not path.startswith("/"):
            return f"{self._working_folder}/{path}"
        return path


def places_of(search_path: Sequence[str], name: str) -> list[str]:
    """Return where folders of a search path have an included file, the one that counts first."""
    paths = []
    for folder in search_path:
        path = _SLASHES.sub("/", f"{folder}/{name}")
        if folder and name and "\0" not in name and os.path.exists(path):  # noqa: PTH110 - as opened
            paths.append(path)
    return paths


class GivenFiles:
    """The files of a record, listed under the names by which they were included, main file first.

    If the main file and an included file have the same name, an `#include` of that name means the
    included one.
    """

    def __init__(self, files: Sequence[FoundFile]) -> None:
        self._files = files
        self._included: dict[str, FoundFile] = {}
        for file in files:
            self._included.setdefault(_SLASHES.sub("/", file.name), file)
        included = [file for file in files if file.found_in is not None]
        for file in reversed(included):  # of several files with one name the first counts
            self._included[_SLASHES.sub("/", file.name)] = file

    def first(self, name: str) -> FoundFile | None:
        """Find the main file: the first of that name, else of that path."""
        for file in self._files:
            if file.name == name:
                return file
        return next((file for file in self._files if file.path == name), None)

    def included(self, name: str) -> FoundFile | None:
        """Find an included file."""
        return self._included.get(_SLASHES.sub("/", name))


def _content(handle: int, path: str, most_bytes: int) -> bytes | None:
    """Return the content of an open regular file; None for a folder.

    It never waits on a pipe and never reads a device.
    """
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError(f"{path} is no regular file; only regular files are read")
    chunks: list[bytes] = []
    size = status.st_size  # a file may also grow while it is read
    while size <= most_bytes and (chunk := os.read(handle, 1 << 20)):
        chunks.append(chunk)
        size = max(size, sum(map(len, chunks)))
    if size > most_bytes:
        limit = f"{most_bytes:,} bytes a file (file_bytes)"
        raise LargeFileError(f"{path} is larger than the limit of {limit}")
    return b"".join(chunks)


class _Folder:
    """One folder, as listed.

    Attributes:
        names: in it; None where it may be searched but not listed.
        stamp: what changes with it; None where it is to be listed again in any case.
    """

    __slots__ = ("names", "stamp")

    def __init__(self, path: str) -> None:
        self.stamp = _stamp(path)
        self.names: frozenset[str] | None = frozenset()
        try:
            self.names = frozenset(os.listdir(path))  # noqa: PTH208 - done for a thousand
        except (FileNotFoundError, NotADirectoryError):
            self.stamp = None
        except OSError:
            self.names = None
        if self.stamp is not None and time.time_ns() - self.stamp[0] < _TICK_NS:
            self.stamp = None


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - done for a thousand
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_dev


class SearchedFolders:
    """What the folders of one search path hold, so that a name is found without asking each.

    A path of an experiment has a thousand folders, and a configuration some hundred includes: asked
    one by one, the file system answers a hundred thousand times. A folder is listed again when its
    time says that it has changed. One that changed a moment ago may change once more within the
    same tick of that time, and is listed each time.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._folders: list[_Folder] = [_Folder(path) for path in paths]
        self._index = self._indexed()

    def refresh(self) -> None:
        """List the folders again that have changed."""
        has_changed = False
        for place, folder in enumerate(self._folders):
            if folder.stamp is None or folder.stamp != _stamp(self._paths[place]):
                listed = _Folder(self._paths[place])
                has_changed = has_changed or listed.names != folder.names
                self._folders[place] = listed
        if has_changed:
            self._index = self._indexed()

    def places_of(self, name: str) -> Iterator[int]:
        """Yield the places of the folders that may hold a name, the first first."""
        first = name.lstrip("/").partition("/")[0]
        if first in ("", ".", ".."):
            yield from range(len(self._paths))
            return
        yield from sorted({*self._index.get(first, ()), *self._index.get("", ())})

    @property
    def size(self) -> int:
        """How many names are remembered."""
        return len(self._index)

    def _indexed(self) -> dict[str, list[int]]:
        """Return the places of the folders by the names in them; by "" those that hold any."""
        index: dict[str, list[int]] = {}
        for place, folder in enumerate(self._folders):
            for name in ("",) if folder.names is None else folder.names:
                index.setdefault(name, []).append(place)
        return index


class FolderMemory:
    """Remembers the folders of the search paths used last; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[tuple[str, ...], SearchedFolders] = {}

    def knows(self, paths: tuple[str, ...]) -> bool:
        """Return whether the folders were listed before."""
        return paths in self._paths

    def folders(self, paths: tuple[str, ...]) -> SearchedFolders:
        """Return the folders as they are now."""
        with self._lock:
            known = self._paths.pop(paths, None)
            if known is None:
                known = SearchedFolders(paths)
            else:
                known.refresh()
            self._paths[paths] = known
            while len(self._paths) > _MOST_PATHS or self._names() > _MOST_NAMES:
                self._paths.pop(next(iter(self._paths)))
            return known

    def clear(self) -> None:
        """Forget all; for measuring."""
        with self._lock:
            self._paths.clear()

    def _names(self) -> int:
        return sum(folders.size for folders in self._paths.values())


_MEMORY = FolderMemory()
