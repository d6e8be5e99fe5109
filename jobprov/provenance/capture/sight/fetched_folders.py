"""What came with a folder that was copied from where the hook cannot look: `ifdh cp -r`."""

import bisect
import os
from typing import Dict, List, Sequence

from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.sight.child_programs import ChildProgram, Copy

_LATE_SECONDS = 0.1  # by which a program may have ended after it was last seen


class CameAndWent:
    """The files that came while a job ran, by absolute path."""

    def __init__(self, made: Dict[str, Made]) -> None:
        self._made, self._paths = made, sorted(made)

    def copies_of(self, program: ChildProgram) -> List[Copy]:
        """Return a copy for each file that came while a program copied a folder, where it copied to.

        What comes there later is the job's own.
        """
        copies: List[Copy] = []
        latest = program.child.ended + _LATE_SECONDS
        for folder in program.copies:
            if not folder.is_deep:
                continue
            came = [
                path
                for path in self._below(folder.target)
                if folder.began <= self._made[path].came_at <= latest
            ]
            # In a folder that was there, it has its own name
            inside = os.path.join(folder.target, os.path.basename(folder.source))
            top = inside if any(is_within(path, inside) for path in came) else folder.target
            for path in came:
                if is_within(path, top):
                    source = folder.source + path[len(top) :]
                    copies.append(Copy(source, path, None, folder.began, is_new=False))
        return copies

    def _below(self, folder: str) -> Sequence[str]:
        first = bisect.bisect_left(self._paths, folder + "/")
        last = bisect.bisect_left(self._paths, folder + "0")  # which is next to the slash
        return self._paths[first:last]
