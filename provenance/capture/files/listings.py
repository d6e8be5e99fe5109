"""Which folders of a search path hold a name, without asking each of them for every name.

A folder is listed once a run, and again when its time says that it has changed. One that changed a
moment ago may change once more within the same tick of that time: it is listed each time.
"""

import os
import time
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

_TICK_SECONDS = 2.0

_listed: Dict[str, Tuple[Optional[Tuple[float, int]], Optional[FrozenSet[str]]]] = {}


class Listings:
    """The folders of one search path as they are now."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._count = len(folders)
        self._places: Dict[str, List[int]] = {}
        self._unlisted: List[int] = []  # may be searched, but not listed
        for place, folder in enumerate(folders):
            names = _names(folder)
            if names is None:
                self._unlisted.append(place)
            else:
                for name in names:
                    self._places.setdefault(name, []).append(place)

    def places_of(self, name: str) -> Sequence[int]:
        """Return the places of the folders that may hold a name, the first first."""
        first = name.lstrip("/").split("/", 1)[0]
        if first in ("", ".", ".."):
            return range(self._count)
        return sorted(self._places.get(first, []) + self._unlisted)


def _names(folder: str) -> Optional[FrozenSet[str]]:
    """Return the names in a folder; none where it is not there, None where it cannot be listed."""
    try:
        status = os.stat(folder)
    except OSError:
        return frozenset()
    stamp = (status.st_mtime, status.st_ino)
    known = _listed.get(folder)
    if known is not None and known[0] == stamp:
        return known[1]
    try:
        names: Optional[FrozenSet[str]] = frozenset(os.listdir(folder))
    except NotADirectoryError:
        names = frozenset()
    except OSError:
        names = None
    is_settled = time.time() - status.st_mtime > _TICK_SECONDS
    _listed[folder] = (stamp if is_settled else None, names)
    return names
