"""Programs and libraries that a command was seen to run and that nobody named.

What lies in no folder of the system, product or Python environment goes with the record as a
script, where it is small and may leave the worker node. The rest is named.
"""

import os
import stat
from typing import Iterable, List, Optional, Set, Tuple

from jobprov.provenance.capture.checkouts.git import text
from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.checkouts.tops import find_checkout
from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import leaving, private
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry, Record
from jobprov.provenance.capture.running.watching import Watch
from jobprov.provenance.capture.sight.sight import Sight

_MOST_FILES, _MOST_BYTES, _SECONDS = 100, 64 << 20, 5.0
_PACKAGES = ("/site-packages/", "/dist-packages/")  # the record lists what is installed there


class SeenCode:
    """Sorts the code that was seen.

    Attributes:
        unknown: paths of programs whose code nobody can tell.
        clock: seconds for hashing.
    """

    def __init__(self, draft: Draft, sight: Sight, repositories: Repositories) -> None:
        self.unknown: List[str] = []
        self._draft, self._sight, self._repositories = draft, sight, repositories
        self.clock, self._room = Clock(0 if sight.is_hurried else _SECONDS), _MOST_BYTES
        self._installed = _product_folders(draft.record)
        self._kept = {
            os.path.realpath(entry["path"])
            for entry in draft.record.get("scripts", ())
            if entry.get("sha256")
        }
        self._count = 0

    def add(self, watch: Optional[Watch]) -> None:
        """Add the programs to the record, then the libraries."""
        interpreters: Set[str] = set()
        mapped = sorted(watch.libraries) if watch is not None else []
        programs = [each.child.program for each in self._sight.programs]
        # which `env` became between a look at programs and one at what they map
        programs += [path for path in mapped if _is_interpreter(path)]
        for path in dict.fromkeys(programs):
            if not path or self.is_known(path):
                continue
            if _is_interpreter(path):
                interpreters.add(path)
            elif not self._is_accounted_for(path):
                self.unknown.append(path)
        self._name_interpreters(interpreters)
        # an interpreter's own libraries lie in `lib` beside its folder
        for path in interpreters:
            self._installed += (os.path.join(os.path.dirname(os.path.dirname(path)), "lib/"),)
        for path in mapped:
            is_named = path in self.unknown or path in interpreters or self.is_known(path)
            if not is_named and not self._is_accounted_for(path):
                self._draft.weaken("code-unknown", path, "it was loaded, and is not kept")

    def is_known(self, path: str) -> bool:
        """Tell whether a file is installed software, or kept already."""
        if path in self._kept or path.startswith(self._installed) or arguments.is_system(path):
            return True
        return any(part in path for part in _PACKAGES) or private.is_in_environment(path)

    def _is_accounted_for(self, path: str) -> bool:
        return self._is_made_here(path) or self.keep(path) or self.is_tracked(path)

    def is_tracked(self, path: str) -> bool:
        """Tell whether git has a file of a checkout, which then need not be kept beside it."""
        top = find_checkout(os.path.dirname(path), {})
        return top is not None and text(top, "ls-files", "--", path) is not None

    def was_there(self, path: str) -> bool:
        """Tell whether a file is as it was before the command."""
        try:
            return os.stat(path).st_ctime < self._sight.began
        except OSError:
            return False

    def _is_made_here(self, path: str) -> bool:
        """Tell whether the job made a file in a folder of its own, so that a rerun makes it."""
        try:
            status = os.stat(path)
        except OSError:
            return self._sight.is_own(path)
        return self._sight.is_own(path) and status.st_ctime >= self._sight.began

    def keep(self, path: str) -> bool:
        """Keep a file as a script; tell whether it can be."""
        try:
            status = os.stat(path)
            if status.st_size > min(SMALL_BYTES, self._room) or self._count >= _MOST_FILES:
                return False
            if not leaving.may_leave(path, status, os.getcwd()):
                return False
            digest = hash_file(path, self.clock)[1]
        except (OSError, OutOfTimeError):
            return False
        self._room -= status.st_size
        self._count += 1
        entry: Entry = {"name": os.path.basename(path), "path": from_here(path)}
        entry.update(mode="{:04o}".format(stat.S_IMODE(status.st_mode)), sha256=digest)
        entry.update(self._draft.attempt("place of " + path, self._repositories.place, path) or {})
        entry["evidence"] = "seen"
        self._draft.add_file(digest, path)
        self._draft.extend("scripts", [entry])
        self._kept.add(path)
        return True

    def _name_interpreters(self, paths: Iterable[str]) -> None:
        """Name interpreters that no listing of packages names."""
        is_listed = "packages_sha256" in self._draft.record.get("environment", {})
        for path in sorted(paths):
            if not (is_listed and os.path.basename(path).startswith("python")):
                self._draft.weaken(
                    "software-installed", path, "it ran, and is no part of the system"
                )


def _is_interpreter(path: str) -> bool:
    return arguments.INTERPRETERS.match(os.path.basename(path)) is not None


def _product_folders(record: Record) -> Tuple[str, ...]:
    """Return the folders of products and environments, whose software the record names."""
    folders = [(entry.get("product") or {}).get("prefix") for entry in record.get("software", ())]
    folders += [os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    return tuple(folder.rstrip("/") + "/" for folder in folders if folder and folder != "/")
