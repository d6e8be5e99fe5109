"""Which folders of a search path hold a name, without asking each of them for every name.

A folder is listed once a run, and again when its time says that it has changed. One that changed a
moment ago may change once more within the same tick of that time: it is listed each time.
"""

import os
import time
from typing import Dict, FrozenSet, Iterator, Optional, Sequence, Tuple

_TICK_SECONDS = 2.0

_listed: Dict[str, Tuple[Optional[Tuple[float, int]], Optional[FrozenSet[str]]]] = {}


class Listings:
    """The folders of one search path as they are now."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._names = [_names(folder) for folder in folders]
        # name -> place of the first folder that holds it: most names are in one folder only
        self._first: Dict[str, int] = {}
        self._first_unlisted = len(folders)  # the first that may be searched, but not listed
        for place in reversed(range(len(folders))):
            names = self._names[place]
            if names is None:
                self._first_unlisted = place
            else:
                self._first.update(dict.fromkeys(names, place))

    def places_of(self, name: str) -> Iterator[int]:
        """Yield the places of the folders that may hold a name, the first first."""
        first = name.lstrip("/").split("/", 1)[0]
        is_anywhere = first in ("", ".", "..")
        begin = 0 if is_anywhere else self._first.get(first, self._first_unlisted)
        for place in range(min(begin, self._first_unlisted), len(self._names)):
            names = self._names[place]
            if is_anywhere or names is None or first in names:
                yield place


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
