"""What came with a folder that was copied from where the hook cannot look: `ifdh cp -r`."""

import os
from typing import Dict, List

from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.sight.child_programs import ChildProgram, Copy

_LATE_SECONDS = 0.1  # by which a program may have ended after it was last seen


def copies_of(program: ChildProgram, made: Dict[str, Made]) -> List[Copy]:
    """Return a copy for each file that came, while a program copied a folder, where it copied to.

    `made` is by absolute path. What comes there later is the job's own.
    """
    copies: List[Copy] = []
    for folder in program.copies:
        if not folder.is_deep:
            continue
        latest = program.child.ended + _LATE_SECONDS
        came = [
            path
            for path, file in made.items()
            if is_within(path, folder.target) and folder.began <= file.came_at <= latest
        ]
        # In a folder that was there, it has its own name
        inside = os.path.join(folder.target, os.path.basename(folder.source))
        top = inside if any(is_within(path, inside) for path in came) else folder.target
        for path in came:
            if path != folder.target and is_within(path, top):
                source = folder.source + path[len(top) :]
                copies.append(Copy(source, path, None, folder.began, is_new=False))
    return copies
