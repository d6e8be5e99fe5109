"""Small files that lie in a job's folders before its command, which may change them unnamed.

`sed -i s/@SEED@/7/ gen.mac`: a rerun needs what was there before, and once somebody has seen that a
program uses the file, it is another one.
"""

import itertools
import os
import stat
from typing import Dict, Iterable, List, Tuple

from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.files.hashing import Clock

_MOST_FILES, LARGEST, _MOST_BYTES = 100, 1 << 16, 1 << 20
_MOST_ENTRIES = 1000
_SECONDS = 0.1  # the command waits for it


def hold(folders: Iterable[str]) -> Dict[str, Tuple[os.stat_result, bytes]]:
    """Return {absolute path: (status, bytes)} of the first small files in folders.

    Neither of hidden nor of empty ones.
    """
    held: Dict[str, Tuple[os.stat_result, bytes]] = {}
    clock, room = Clock(_SECONDS), _MOST_BYTES
    for folder in folders:
        for path in _paths_in(folder)[:_MOST_FILES]:
            if not clock.left():
                break
            try:
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= min(LARGEST, room):
                    content = regular.read(path, LARGEST) or b""
                    held[path] = status, content
                    room -= len(content)
            except OSError:
                continue  # not ours to read
    return held


def _paths_in(folder: str) -> List[str]:
    """Return the paths in a folder in order, but for hidden ones; none where nobody may look."""
    try:
        with os.scandir(folder) as entries:
            first = list(itertools.islice(entries, _MOST_ENTRIES))
    except OSError:
        return []
    return sorted(entry.path for entry in first if not entry.name.startswith("."))
