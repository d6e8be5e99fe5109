"""Records that could not be sent travel home with the job's output, and are sent from there.

HTCondor brings home the new files at the top of the scratch folder, not its subfolders, where the
spool is. So an entry is linked there before it is sent, and the link is removed once it was. On the
submit node `flush FOLDER` gathers such files, wherever the job's output went.

Source: HTCondor manual, "Specifying What Files to Transfer".
"""

import os
from typing import Dict, Optional

SUFFIX = ".jobprov"
_PREFIX = "jobprov-"


def entry_name(job_id: str) -> str:
    """Return the name under which the entry of a job goes home."""
    return _PREFIX + job_id + SUFFIX


def lay_out(path: str, job_id: str, environment: Dict[str, str]) -> Optional[str]:
    """Link a spooled entry to the top of HTCondor's scratch folder and return that path.

    None where that is no use.
    """
    scratch = environment.get("_CONDOR_SCRATCH_DIR")
    if not scratch or not os.path.realpath(path).startswith(os.path.realpath(scratch) + os.sep):
        return None
    link = os.path.join(scratch, entry_name(job_id))
    try:
        os.link(path, link)
    except OSError:
        return None
    return link


def gather(folder: str) -> str:
    """Move the entries that came home into a folder to a spool below it, and return that.

    Where none ever did, the folder itself is returned.
    """
    spool = os.path.join(folder, "jobprov-spool")
    ready = os.path.join(spool, "ready")
    try:
        names = [
            name
            for name in os.listdir(folder)
            if name.startswith(_PREFIX) and name.endswith(SUFFIX)
        ]
        if not names:
            return spool if os.path.isdir(ready) else folder
        os.makedirs(ready, mode=0o700, exist_ok=True)
        for name in names:
            path = os.path.join(folder, name)
            age = "{:.6f}".format(os.stat(path).st_mtime)
            os.rename(path, os.path.join(ready, age + "-" + name[len(_PREFIX) :]))
    except OSError:
        return folder
    return spool
