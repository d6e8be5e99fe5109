"""Names of the settings that a job's home folder has, of a job that nobody traced.

Programs look for settings in files and folders of HOME whose names begin with a dot, and in
XDG_CONFIG_HOME and XDG_DATA_HOME. Which of them this job read nobody saw; what the traced job of
its kind looked for in vain, and this one has, it may have read. Names alone are taken. Where there
are many, or the time is over, the name of a folder stands for what is in it. The time is that of
the processor: on a busy host a look waits, and would else see less there than on an idle one.

Sources: docs/reference/record.md, `trace`; XDG Base Directory Specification, version 0.8.
"""

import os
import time
from typing import Dict, List, Optional, Set

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.running.background import Background

MOST_NAMES, _MOST_BYTES, _DEEPEST = 200, 8192, 4
_CPU_SECONDS = 0.05
_SECONDS, _LONGEST_SECONDS = 0.4, 0.5  # the latter where a file system does not answer at all
_MOST_ENTRIES = 5000  # of a folder, those that are no settings included
_XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME")
# No result depends on the former two; the others are nobody's business
_LEFT_OUT = (".cache", ".jobprov", ".ssh", ".gnupg", ".pki", ".globus")
_HTCONDOR = (".job.ad", ".machine.ad", ".update.ad", ".chirp.config")


def list_settings(environment: Dict[str, str], known: Set[str], began: float) -> List[str]:
    """Return the names of settings that were there before a command, in order; folders end in `/`.

    Args:
        environment: of the job.
        known: absolute paths that the record has in another field.
        began: when the command did; what came to be since is its own.
    """
    home = os.path.expanduser("~").rstrip("/")
    roots = [home] if os.path.isabs(home) else []
    for variable in _XDG:
        folder = environment.get(variable, "").rstrip("/")
        if os.path.isabs(folder) and not folder.startswith(home + "/."):
            roots.append(folder)
    settings = _Settings(home, known, began)
    work = Background(lambda: settings.look(roots))
    is_over = work.wait(_LONGEST_SECONDS) and work.error is None
    if not is_over:
        return sorted({_setting_name(root, home, is_folder=True) for root in roots})
    names = set()
    for path, is_folder in settings.found.items():
        names.add(_setting_name(path, home, is_folder=is_folder))
    return sorted(names)


def _setting_name(path: str, home: str, *, is_folder: bool) -> str:
    """Return a path below the home as `~/…`, another one as it is."""
    name = path
    if (path + "/").startswith(home + "/"):
        name = "~" + path[len(home) :]
    return name + "/" if is_folder else name


class _Settings:
    """Looks into folders, the upper ones first, as long as there is room and time.

    Attributes:
        found: {path: whether it stands for a folder that was not looked into}.
    """

    def __init__(self, home: str, known: Set[str], began: float) -> None:
        self.found: Dict[str, bool] = {}
        self._home, self._known, self._began = home, known, began
        self._bytes = 0

    def look(self, roots: List[str]) -> None:
        """Take in what is in some folders and below them."""
        clock, cpu_end = Clock(_SECONDS), _cpu_seconds() + _CPU_SECONDS
        folders = [folder for folder in roots if os.path.isdir(folder)]
        self.found = dict.fromkeys(folders, True)
        for _ in range(_DEEPEST):
            below: List[str] = []
            for folder in folders:
                if clock.left() and _cpu_seconds() < cpu_end:
                    below += self._open(folder)
            folders = below

    def _open(self, folder: str) -> List[str]:
        """Put the entries of a folder in its place, if there is room.

        Return the folders of them.
        """
        entries = self._entries(folder)
        if entries is None:
            return []
        names_bytes = sum(len(os.fsencode(path)) for path in entries)
        if len(self.found) + len(entries) > MOST_NAMES or self._bytes + names_bytes > _MOST_BYTES:
            return []
        self._bytes += names_bytes
        del self.found[folder]
        self.found.update(entries)
        return [path for path, is_folder in entries.items() if is_folder]

    def _entries(self, folder: str) -> Optional[Dict[str, bool]]:
        """Return {path: whether it is a folder} of the entries; None where nobody can tell."""
        found: Dict[str, bool] = {}
        try:
            with os.scandir(folder) as entries:
                for place, entry in enumerate(entries):
                    if place >= _MOST_ENTRIES or len(found) > MOST_NAMES:
                        return None
                    is_named = entry.name.startswith(".") or folder != self._home
                    if is_named and self._is_setting(entry):
                        found[entry.path] = entry.is_dir()
        except OSError:
            return None
        return dict(sorted(found.items()))

    def _is_setting(self, entry: "os.DirEntry[str]") -> bool:
        if entry.name in _LEFT_OUT or entry.name in _HTCONDOR or entry.path in self._known:
            return False
        if entry.is_dir():
            return True
        try:
            return entry.is_file() and entry.stat().st_ctime < self._began
        except OSError:
            return False  # it went, or is a link to nothing


def _cpu_seconds() -> float:
    """Return the processor's time that this thread has used."""
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
