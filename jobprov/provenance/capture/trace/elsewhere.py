"""What keeps a file that a traced command touched, so that its bytes need not go with the record.

Files that the record names, checkouts, products, folders of the system, Python environments and
distributions; and what the command made itself, which a rerun makes again.
"""

import os
from typing import Iterable, List, Set

from jobprov.provenance.capture.checkouts.git import git
from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files.names import real_path
from jobprov.provenance.capture.record.json_objects import Entry, Record
from jobprov.provenance.capture.trace import calls as kinds
from jobprov.provenance.capture.trace.calls import Calls
from jobprov.provenance.capture.trace.installed import Installed

# What HTCondor and the hook put into the job's folder
_NOT_OF_JOB = (
    *("_condor_", "condor_exec.", ".condor_creds", ".update.ad", ".chirp"),
    *("jobprov-", "jobprov.ticket", "jobprov.token", "job-end-hook.", "job-start.sh"),
)
# Which the job may use: wrappers of CRAB and justIN read from its ad what they are to do
_FOR_JOB = (".job.ad", ".machine.ad", ".empty_file", "simple.sh", "jsb_tmp", "no_xfer")
BESIDE = _NOT_OF_JOB + _FOR_JOB
"""How the names begin of what HTCondor, jobsub's wrapper and the hook put into a job's folder."""


class KeptElsewhere:
    """Tells what somebody else keeps.

    Attributes:
        outputs: absolute paths of the step's outputs.
        named: absolute paths of the other files that the record names.
    """

    def __init__(self, record: Record, step: str, calls: Calls, own: Iterable[str]) -> None:
        """Prepare; `own` are folders and files of the hook, of products, and credentials."""
        outputs = record.get("outputs", ())
        of_other_steps = [entry for entry in outputs if entry.get("step") != step]
        self.outputs = paths_of(entry for entry in outputs if entry.get("step") == step)
        self.named = files_of(record, of_other_steps)
        self._uses = calls.uses
        self._own = frozenset(own)
        self._folders = tuple(place.rstrip("/") + "/" for place in self._own)
        self._installed = Installed()

    def has(self, path: str) -> bool:
        """Tell whether somebody else keeps a path, or the command made it."""
        return self.is_known(path) or self.is_made(path)

    def is_known(self, path: str) -> bool:
        """Tell whether a path is in the record already, or belongs to what is installed."""
        if path in self.named or path in self.outputs:
            return True
        if path in self._own or path.startswith(self._folders):
            return True
        if arguments.is_of_machine(path):
            return True
        is_used = self._uses.get(path) in (kinds.READ, kinds.EXECUTED)
        beside = _NOT_OF_JOB if is_used else BESIDE
        return os.path.basename(path).startswith(beside) or self._installed.has(path)

    def is_made(self, path: str) -> bool:
        """Tell whether the command made a path, or a folder above it."""
        parts = path.split("/")
        above = ("/".join(parts[:end]) for end in range(len(parts), 1, -1))
        return any(self._uses.get(place) == kinds.MADE for place in above)


def tracked(record: Record, paths: Iterable[str]) -> List[str]:
    """Return those paths that git keeps: what a checkout of the record tracks, and its `.git`."""
    paths = list(paths)
    found: List[str] = []
    for entry in record.get("software", ()):
        top = entry.get("checkout")
        if not top:
            continue
        below = [path for path in paths if path.startswith(top + "/")]
        found += [path for path in below if path.startswith(top + "/.git/")]
        names = [os.path.relpath(path, top) for path in below if path not in found]
        if names:
            listed = git(top, "ls-files", "-z", "--", *names).split(b"\0")
            found += [os.path.join(top, os.fsdecode(name)) for name in listed if name]
    return found


def files_of(record: Record, others: Iterable[Entry]) -> Set[str]:
    """Return the paths of the files that a record names, but for outputs, and of some others."""
    entries = [*record.get("inputs", ()), *record.get("scripts", ()), *others]
    for configuration in record.get("configurations", ()):
        entries += configuration.get("files", ())
    return paths_of(entries)


def paths_of(entries: Iterable[Entry]) -> Set[str]:
    """Return the absolute paths of entries, and where links of them lead."""
    absolute = {os.path.abspath(entry["path"]) for entry in entries if entry.get("path")}
    return absolute.union(real_path(path) for path in absolute)
