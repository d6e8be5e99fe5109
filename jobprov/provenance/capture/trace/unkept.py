"""What a traced command used and nothing else of the record keeps.

The bytes of small files go with the record: code as scripts, all else as inputs. What cannot go is
told by name, and so is what changed while the command ran, and whom the command talked to.

Left out is what somebody else keeps (`elsewhere.py`).

Source: docs/reference/hook.md, "Tracing".
"""

import os
import re
import stat
from typing import Any, Collection, Dict, Iterable, List, Optional, Sequence, Set

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import folders, leaving
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.files.private import is_private
from jobprov.provenance.capture.record import steps
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject
from jobprov.provenance.capture.sight.inputs import role_of
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.trace import calls as kinds
from jobprov.provenance.capture.trace.absent import add_absent
from jobprov.provenance.capture.trace.elsewhere import BESIDE, KeptElsewhere, tracked
from jobprov.provenance.capture.trace.touched import head_of

MOST_KEPT, MOST_NAMED = 1000, 100
_SECONDS = 10.0  # for one file of code
_MOST_ENTRIES, _LISTED_BYTES, _LOOKED_AT_BYTES = 100, 1 << 20, 1 << 20
_CODE_ENDS = (".py", ".pyc", ".pm", ".pl", ".sh", ".so", ".r", ".rb", ".jar", ".tcl", ".lua")
_PYTHON = (".py", ".pyc")
_CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.[\w-]+(?:\.opt-\d)?\.pyc")
_PTH_BYTES = 1 << 16
_INDEX = "-shm"  # SQLite makes it anew
_ELF = b"\x7fELF"
BUDGET_BYTES = 64 * 1024 * 1024  # what does not fit, the next traced job of the release brings


class Touched:
    """What one step touched: its calls, which paths were there before it, and when it began."""

    def __init__(self, calls: kinds.Calls, there: Collection[str], began: float) -> None:
        self.calls, self.there, self.began = calls, there, began


class Unkept:
    """Sorts what a command touched.

    Attributes:
        scripts: paths of code that is to be kept.
        inputs: paths of other files that are to be kept.
        named: {path: why its bytes are not kept}.
        changed: paths of files that were read, and are not as they were.
        room: bytes that may still go with the record.
    """

    def __init__(
        self,
        draft: Draft,
        touched: Touched,
        step: str,
        own: Iterable[str],
        began: float,
    ) -> None:
        """Prepare; `own` as `KeptElsewhere` has it, `began` is when the job did."""
        self._step = step
        self.scripts: Dict[str, os.stat_result] = {}
        self.inputs: Dict[str, os.stat_result] = {}
        self.named: Dict[str, str] = {}
        self.changed: List[str] = []
        self.room = 0.0
        self._calls, self._there = touched.calls, touched.there
        self._began, self._step_began = began, touched.began
        self._earlier_steps = steps.times_of_steps(draft.record)
        self._draft = draft
        self._elsewhere = KeptElsewhere(draft.record, step, touched.calls, own)
        self._seen_only = _seen_only(draft, step)
        self._now_kept: List[str] = []

    def sort(self, room: float) -> None:
        """Sort all paths; `room` is how many bytes may go with the record."""
        self.room = room
        for path, use in self._calls.uses.items():
            source = path if use == kinds.MADE else _source_of(path)
            if source in self._elsewhere.outputs:
                self._sort_output(source, use)
            elif source in self._seen_only:
                self._sort_seen(source, use)
            elif not self._elsewhere.has(source):
                self._sort_path(source, use)
        listed = self._calls.listed | self._calls.searched
        if "/" in listed:  # a shell that finds out where it is lists all folders above
            here = os.getcwd().split("/")
            listed -= {"/".join(here[:end]) or "/" for end in range(1, len(here))}
        for folder in sorted(listed):
            self._sort_listed(folder)
        for path in tracked(self._draft.record, [*self.scripts, *self.inputs, *self.named]):
            for paths in (self.scripts, self.inputs, self.named):
                paths.pop(path, None)

    def _sort_output(self, path: str, use: int) -> None:
        """Tell of an output whose earlier content the command used."""
        was_there = use in (kinds.READ, kinds.EXECUTED) or path in self._there
        if use in (kinds.MADE, kinds.LOOKED_AT) or not was_there or path in self._elsewhere.named:
            return
        if not self._elsewhere.is_made(path):
            self.changed.append(path)

    def _sort_seen(self, path: str, use: int) -> None:
        """Keep the bytes of an input that a look saw and did not keep, or tell why they do not go.

        Whether a look comes in time is chance; what is told of the file must not be.
        """
        status = _status(path)
        if status is None or status.st_ctime >= self._began:
            return
        why = self._why_not(path, use, status)
        if why is None:
            self._now_kept.append(path)
        else:
            self.named[path] = why

    def _sort_path(self, path: str, use: int) -> None:
        status = _status(path)
        if status is None:
            was_there = use != kinds.MADE and path in self._there and not path.endswith(_INDEX)
            if was_there or use in (kinds.READ, kinds.EXECUTED):
                self.changed.append(path)
        elif not stat.S_ISREG(status.st_mode):
            return
        elif status.st_ctime < self._began:
            self._keep(path, use, status)
        elif status.st_ctime < self._step_began:
            if not any(began <= status.st_ctime <= ended for began, ended in self._earlier_steps):
                self._keep(path, use, status)  # the job script made it between two steps
        elif use != kinds.CHANGED or path in self._there:
            self.changed.append(path)

    def _keep(self, path: str, use: int, status: os.stat_result) -> None:
        """Take a file in, or tell by name why its bytes do not go."""
        if path in self.scripts or path in self.inputs:
            return
        if arguments.is_system(path):
            return  # a link to what is installed: the layout has it
        why = self._why_not(path, use, status)
        is_code = use == kinds.EXECUTED or path.lower().endswith(_CODE_ENDS) or ".so." in path
        if why is not None:
            self.named[path] = why
        elif is_code or head_of(path).startswith(_ELF):
            self.scripts[path] = status
        else:
            self.inputs[path] = status

    def _why_not(self, path: str, use: int, status: os.stat_result) -> Optional[str]:
        try:
            if not leaving.may_leave_traced(path, status, os.getcwd()):
                return "private"
        except OSError:
            return "unreadable"
        size = status.st_size
        is_data = use in (kinds.READ, kinds.CHANGED) and not path.endswith(_CODE_ENDS)
        if size > (_LOOKED_AT_BYTES if use == kinds.LOOKED_AT else SMALL_BYTES):
            return None if is_data else "large"  # large data is an input by its digest
        if size > self.room or len(self.scripts) + len(self.inputs) >= MOST_KEPT:
            return "limit"
        self.room -= size
        return None

    def _sort_listed(self, folder: str) -> None:
        """Keep the files of a folder that the command listed, or name the folder."""
        if self._elsewhere.has(folder + "/") or self._is_searched(folder):
            return
        found = self._unseen_in(folder)
        is_small = len(found) <= _MOST_ENTRIES and _size(found) <= _LISTED_BYTES
        if not found:
            return
        if not (is_small and folders.is_own(folder)):
            self.named[folder + "/"] = "listed"
            return
        for path, status in found.items():
            if stat.S_ISREG(status.st_mode):
                self._keep(path, kinds.LOOKED_AT, status)
            else:
                self.named.setdefault(folder + "/", "listed")

    def _unseen_in(self, folder: str) -> Dict[str, os.stat_result]:
        """Return what was in a folder before the command and is not kept otherwise."""
        found: Dict[str, os.stat_result] = {}
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return found
        for name in names:
            path = os.path.join(folder, name)
            status = _status(path)
            if status is None or name.startswith(BESIDE) or self._elsewhere.has(path):
                continue
            if path in self._calls.uses or path in self.scripts or path in self.inputs:
                continue
            is_file = stat.S_ISREG(status.st_mode) and status.st_ctime < self._began
            is_folder = stat.S_ISDIR(status.st_mode) and not self._is_used_below(path)
            if is_file or is_folder:
                found[path] = status
            if len(found) > _MOST_ENTRIES:
                break
        return found

    def _is_used_below(self, folder: str) -> bool:
        """Tell whether the command used something in a folder: a rerun has that one, too."""
        start = folder + "/"
        return any(path.startswith(start) for path in self._calls.uses)

    def _is_searched(self, folder: str) -> bool:
        """Tell whether only Python's importer listed a folder, since modules may be there."""
        if folder in self._calls.listed:
            return False
        if folder in self._search_path():
            return True
        start = folder + "/"
        for path in [*self.scripts, *self._elsewhere.named]:
            if path.startswith(start) and path.endswith(_PYTHON):
                return True
            # Beside the program that it runs it looks first, whatever that is called
            if os.path.dirname(path) == folder and b"python" in _first_line(path):
                return True
        return False

    def _search_path(self) -> Set[str]:
        """Return where Python looked for modules: working folder, PYTHONPATH, `.pth` files."""
        paths = {os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
        for path in self._calls.uses:
            if path.endswith(".pth"):
                try:
                    with open(path, encoding="utf-8", errors="replace") as stream:
                        paths.update(line.strip() for line in stream.read(_PTH_BYTES).splitlines())
                except OSError:
                    continue
        return paths

    def add(self, sight: Optional[Sight], clock: Clock) -> None:
        """Add all to the record."""
        for path, status in self.scripts.items():
            self._add_script(path, status)
        for path, status in self.inputs.items():
            self._add_input(path, status, clock)
        for path in self._now_kept:
            self._draft.add_file(self._seen_only[path], path)
        if sight is not None:
            gone = [path for path in self.changed if not self._add_seen(path, sight)]
            self.changed = gone
        fields = self._draft.record.setdefault("trace", {})
        extend(fields, "changed", sorted(set(self.changed)))
        add_absent(fields, self._calls, self._elsewhere)
        named = [{"path": path, "reason": why} for path, why in sorted(self.named.items())]
        if named:
            fields["not_kept_count"] = fields.get("not_kept_count", 0) + len(named)
            extend(fields, "not_kept", named)

    def _add_script(self, path: str, status: os.stat_result) -> None:
        try:
            _, digest, _ = hash_file(path, Clock(_SECONDS))
        except (OSError, OutOfTimeError):
            self.named[path] = "unreadable"
            return
        self._draft.add_file(digest, path)
        entry = {"name": os.path.basename(path), "path": from_here(path), "sha256": digest}
        entry.update(mode="{:04o}".format(stat.S_IMODE(status.st_mode)), evidence="traced")
        self._draft.extend("scripts", [entry])
        processes = self._draft.record.get("command", {}).get("processes", {})
        if path in processes.get("unknown_programs", ()):
            processes["unknown_programs"].remove(path)  # its bytes are here

    def _add_input(self, path: str, status: os.stat_result, clock: Clock) -> None:
        entry = _input(self._step, path, status.st_size)
        if self._calls.uses.get(path, kinds.LOOKED_AT) == kinds.LOOKED_AT:
            entry["role"] = "configuration"  # nothing was made from what was not read
        try:
            _, entry["sha256"], checksum = hash_file(path, clock)
            entry["checksums"] = [checksum]
            if status.st_size <= SMALL_BYTES:
                self._draft.add_file(entry["sha256"], path)
        except OSError:
            self.named[path] = "unreadable"
            return
        except OutOfTimeError as error:
            self._draft.note("input {}: {}".format(path, error))
        self._draft.extend("inputs", [entry])

    def _add_seen(self, path: str, sight: Sight) -> bool:
        """Add a file as it was when it was first seen; tell whether its bytes were kept then."""
        file = sight.reader.find(path)
        if file is not None and file.content is not None and file.sha256 is not None:
            self._draft.blobs[file.sha256] = file.content
            entry = _input(self._step, path, file.size_bytes)
            entry.update(sha256=file.sha256, checksums=[file.checksum])
        elif path in sight.lying and not is_private(path):
            content = sight.lying[path][1]
            entry = _input(self._step, path, len(content))
            digest = self._draft.add_source(content, "input " + path)
            entry.update(sha256=digest, role="configuration")
        else:
            return False
        self._draft.extend("inputs", [entry])
        return True


def extend(fields: JsonObject, name: str, more: Sequence[Any], most: int = MOST_NAMED) -> None:
    """Add entries to a list of the record's trace, each once, as long as there is room."""
    known = fields.get(name, [])
    known += [entry for entry in more if entry not in known]
    if known:
        fields[name] = known[:most]


def _input(step: str, path: str, size_bytes: Optional[int]) -> Entry:
    return {
        "name": os.path.basename(path),
        "path": from_here(path),
        "step": step,
        "role": role_of(path),
        "status": "consumed",
        "size_bytes": size_bytes,
        "evidence": "traced",
    }


def _seen_only(draft: Draft, step: str) -> Dict[str, str]:
    """Return {path: digest} of a step's small inputs that a look saw, but whose bytes it lacks."""
    digests = {}
    for entry in draft.record.get("inputs", ()):
        is_seen = entry.get("step") == step and entry.get("evidence") == "seen"
        digest = entry.get("sha256")
        if is_seen and digest and entry["size_bytes"] <= SMALL_BYTES and digest not in draft.blobs:
            digests[os.path.abspath(entry["path"])] = digest
    return digests


def _source_of(path: str) -> str:
    """Return the module that a file of compiled Python stands for, where it is there."""
    cached = _CACHED.match(path)
    source = "{}/{}.py".format(*cached.groups()) if cached is not None else path
    return source if os.path.isfile(source) else path


def _first_line(path: str) -> bytes:
    """Return `#!/usr/bin/env python3` of a script; nothing of what is none."""
    head = head_of(path)
    return head.split(b"\n", 1)[0] if head.startswith(b"#!") else b""


def _size(found: Dict[str, os.stat_result]) -> int:
    return sum(status.st_size for status in found.values())


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
