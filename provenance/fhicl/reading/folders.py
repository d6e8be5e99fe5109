"""Remembers what the folders of a search path hold, so that a name is found without asking each.

A path of an experiment has a thousand folders, and a configuration some hundred includes: asked one
by one, the file system answers a hundred thousand times. A folder is listed again when its time
says that it has changed. One that changed a moment ago may change once more within the same tick of
that time, and is listed each time.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence

_TICK_NS = 2_000_000_000
"""Longer than the coarsest times of file systems."""
_MOST_PATHS = 8
_MOST_NAMES = 1_000_000

_Stamp = tuple[int, int, int]


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
    """The folders of one search path."""

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
