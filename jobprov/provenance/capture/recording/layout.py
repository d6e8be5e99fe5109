"""How things lay before a command: modes and times of its files, folders, links, pipes.

Looked at after it, so that what it changed or made itself is left out: a rerun makes it again.
"""

import os
import stat
import time
from typing import Any, Dict, Iterable, List, Optional, Set

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.names import from_here, is_within
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.trace import calls as kinds

_MOST = 1000
_TOO_MANY = (
    "the job's folders",
    "more than {} links, folders and odd files lay there, and the rest is not recorded".format(
        _MOST
    ),
)
_BLOCK, _LEAST_HOLE = 512, 1 << 16
_FOLDER, _NEW_FOLDER, _LINK = "folder", "new folder", "link"
_KINDS = {stat.S_IFDIR: _FOLDER, stat.S_IFLNK: _LINK, stat.S_IFIFO: "pipe"}
_NOT_OURS = ("/", "/tmp", "/var/tmp")  # noqa: S108 - every rerun has these


class Layout:
    """Adds to a record how things lay; `calls` is what strace saw, if the command was traced."""

    def __init__(
        self, draft: Draft, began: float, sight: Optional[Sight], calls: Optional[kinds.Calls]
    ) -> None:
        self._draft, self._began, self._calls = draft, began, calls
        self._others: List[str] = sight.others if sight is not None else []
        self._new = sight.new_folders if sight is not None else None
        self._own = tuple(folder + "/" for folder in sight.own_folders) if sight is not None else ()
        self._entries: List[Entry] = draft.record.get("layout", [])
        self._known: Set[str] = set()
        self._made: Set[str] = set(self._new or ())
        for entry in self._entries:  # of earlier steps
            path = os.path.abspath(entry["path"])
            self._known.add(path)
            if entry["kind"] == _NEW_FOLDER:
                self._made.add(path)
        if calls is not None:
            self._made.update(path for path, use in calls.uses.items() if use == kinds.MADE)
        self._seen: Set[str] = set()
        self._first: Dict[Any, str] = {}  # inode -> the first of its names

    def add_files(self) -> None:
        """Add mode and time of the files that the record names, and the links that lead to them."""
        record = self._draft.record
        for entry in [*record.get("inputs", ()), *record.get("scripts", ())]:
            if entry.get("path"):
                self._add_file(entry, os.path.abspath(entry["path"]))
        # Not those of fcl files: art does not look, and each job that checks them out has others,
        # so that none could send what another one sent (`record/excerpts.py`)
        for configuration in record.get("configurations", ()):
            for entry in configuration.get("files", ()):
                if entry.get("path"):
                    self._add_links(os.path.abspath(entry["path"]))
        self._keep()

    def add_folders(self, named: Iterable[str]) -> None:
        """Add folders, links and pipes: those in the job's own folders, named ones, used ones."""
        for path in sorted(self._made):
            if os.path.isdir(path) and not self._is_made(os.path.dirname(path)):
                self._add(path, os.lstat(path), _NEW_FOLDER)
        words = set(named)
        for path in sorted({*self._others, *words, *self._used()}):
            self._add_links(path)
            if os.path.isdir(path) and not os.path.islink(path):
                self._add_folder(path, is_named=path in words)
        self._keep()

    def _keep(self) -> None:
        if self._entries:
            self._draft.record["layout"] = self._entries

    def _add_file(self, entry: Entry, path: str) -> None:
        self._add_links(path)
        status = os.stat(path) if os.path.isfile(path) else None
        if status is None or status.st_ctime >= self._began:
            return
        entry.setdefault("mode", "{:04o}".format(stat.S_IMODE(status.st_mode)))
        entry["modified_at"] = _moment(status)
        if status.st_blocks * _BLOCK < status.st_size - _LEAST_HOLE:
            self._add(path, status, "sparse file")
        elif status.st_nlink > 1:
            first = self._first.setdefault((status.st_dev, status.st_ino), path)
            if first != path and not os.path.islink(path) and not os.path.islink(first):
                self._add(path, status, "hard link", first)

    def _add_links(self, path: str) -> None:
        """Add a link or pipe, and the links on the way to a path."""
        while path not in self._seen and path != "/" and not arguments.is_of_machine(path):
            self._seen.add(path)
            self._add_link(path)
            path = os.path.dirname(path)

    def _add_link(self, path: str) -> None:
        try:
            status = os.lstat(path)
        except OSError:
            return
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), _FOLDER)
        if kind == _FOLDER or not self._was_there(path, status, kind):
            return
        target = os.readlink(path) if kind == _LINK else None
        self._add(path, status, kind, target)
        if target is not None:
            folder = os.path.realpath(os.path.dirname(path))
            self._add_links(os.path.normpath(os.path.join(folder, target)))

    def _was_there(self, path: str, status: os.stat_result, kind: str) -> bool:
        if kind == _LINK or not self._is_followed(path):
            return status.st_ctime < self._began
        return path not in self._made  # what is written to a pipe changes its times

    def _is_followed(self, path: str) -> bool:
        return self._new is not None and path.startswith(self._own)

    def _used(self) -> Set[str]:
        """Return what a traced command looked at or listed, and the folders in which it wrote."""
        if self._calls is None:
            return set()
        written = self._calls.written.union(self._made)
        return {*self._calls.uses, *self._calls.listed, *map(os.path.dirname, written)}

    def _add_folder(self, path: str, *, is_named: bool) -> None:
        """Add a folder that was there, as far as that can be told."""
        status = os.lstat(path)
        if self._is_foreign(path) or self._is_made(path) or self._is_code(path):
            return
        is_sure = self._calls is not None or is_named or self._is_followed(path)
        if is_sure or status.st_ctime < self._began:
            self._add(path, status, _FOLDER)

    def _is_foreign(self, path: str) -> bool:
        """Tell whether a folder belongs to the system or to software, or lies around the job's."""
        if path in _NOT_OURS or arguments.is_of_machine(path + "/"):
            return True
        is_around = is_within(os.getcwd(), path)
        return is_around or private.is_software(path + "/bin/x")

    def _is_code(self, path: str) -> bool:
        """Tell whether a folder of a checkout or product comes with the files in it."""
        for entry in self._draft.record.get("software", ()):
            top = entry.get("checkout") or (entry.get("product") or {}).get("prefix")
            if top and is_within(path, top):
                return bool(os.listdir(path))
        return False

    def _is_made(self, path: str) -> bool:
        while path not in self._made and path != "/":
            path = os.path.dirname(path)
        return path != "/"

    def _add(
        self, path: str, status: os.stat_result, kind: str, target: Optional[str] = None
    ) -> None:
        if path in self._known:
            return
        if len(self._entries) >= _MOST:
            self._draft.weaken("touched-not-kept", *_TOO_MANY)
            return
        self._known.add(path)
        entry = {"path": from_here(path), "kind": kind}
        if kind in (_FOLDER, "pipe"):
            entry["mode"] = "{:04o}".format(stat.S_IMODE(status.st_mode))
        if kind != _NEW_FOLDER and status.st_mtime < self._began:
            entry["modified_at"] = _moment(status)
        if target is not None:
            entry["target"] = target
        self._entries.append(entry)


def _moment(status: os.stat_result) -> str:
    """Return when a file was changed, to the nanosecond: programs compare such times."""
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".{:09d}Z".format(rest)
