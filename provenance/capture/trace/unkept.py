"""What a traced command used and nothing else of the record keeps.

The bytes of small files go with the record: code as scripts, all else as inputs. What cannot go is
told by name, and so is what changed while the command ran, and whom the command talked to.

Left out is what somebody else keeps: files that the record names, checkouts, products, folders of
the system, Python environments and distributions; and what the command made itself.

Source: docs/reference/hook.md, "Tracing".
"""

import os
import re
import stat
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Set, Union

from jobprov.provenance.capture.checkouts.git import git
from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import folders, leaving
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here, guess_role, real_path
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record import steps
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Answer, Entry, JsonObject, Record
from jobprov.provenance.capture.running.background import hash_seconds
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.trace import calls as kinds
from jobprov.provenance.capture.trace import home_settings
from jobprov.provenance.capture.trace.installed import Installed
from jobprov.provenance.capture.trace.turn import Turn

if TYPE_CHECKING:
    from jobprov.provenance.capture.trace.strace import Trace

MOST_KEPT, MOST_NAMED = 1000, 100
_MOST_ABSENT, _ABSENT_BYTES = 200, 8192
_SECONDS = 10.0  # for one file of code
_MOST_ENTRIES, _LISTED_BYTES, _LOOKED_AT_BYTES = 100, 1 << 20, 1 << 20
_SYSTEM = (*arguments.SYSTEM_FOLDERS, *arguments.MACHINE_FOLDERS)
_CODE_ENDS = (".py", ".pyc", ".pm", ".pl", ".sh", ".so", ".r", ".rb", ".jar", ".tcl", ".lua")
_PYTHON = (".py", ".pyc")
_CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.[\w-]+(?:\.opt-\d)?\.pyc")
_PYTHON_ZIP = re.compile(r"python\d+\.zip$")
# What HTCondor and the hook put into the job's folder
_BESIDE = (
    *("_condor_", "condor_exec.", ".job.ad", ".machine.ad", ".update.ad", ".chirp"),
    *("jobprov-", "job-end-hook."),
)
_PTH_BYTES = 1 << 16
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/")  # noqa: S108 - names there are of one job
_INDEX = "-shm"  # SQLite makes it anew
_ELF = b"\x7fELF"
BUDGET_BYTES = 64 * 1024 * 1024  # what does not fit, the next traced job of the release brings
_BY_KIND = "{}; the traced job of this kind used it"
_NOT_HERE = "what this one used in place of it is not known"
_NOT_KNOWN = "whether this one did is not known"
_UNTOLD = "the traced job of this kind used or looked for {} more files than its record names"
_SHOWN = 5


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
        trace: "Union[Trace, _Used]",
        step: str,
        own: Iterable[str],
        began: float,
    ) -> None:
        """Prepare; `own` are folders of the hook and of products, `began` is when the job did."""
        self._step = step
        self.scripts: Dict[str, os.stat_result] = {}
        self.inputs: Dict[str, os.stat_result] = {}
        self.named: Dict[str, str] = {}
        self.changed: List[str] = []
        self.room = 0.0
        self._calls, self._there = trace.calls, trace.there
        self._began, self._step_began = began, trace.began
        self._earlier_steps = steps.times_of_steps(draft.record)
        self._draft = draft
        outputs = draft.record.get("outputs", ())
        own_outputs = [entry for entry in outputs if entry.get("step") == step]
        earlier = [entry for entry in outputs if entry.get("step") != step]
        self._known = _files_of(draft.record, earlier)
        self._outputs = _paths_of(own_outputs)
        self._folders = _SYSTEM + tuple(folder.rstrip("/") + "/" for folder in own)
        self._checkouts = [
            entry["checkout"] for entry in draft.record.get("software", ()) if entry.get("checkout")
        ]
        self._installed = Installed()

    def sort(self, room: float) -> None:
        """Sort all paths; `room` is how many bytes may go with the record."""
        self.room = room
        for path, use in self._calls.uses.items():
            source = path if use == kinds.MADE else _source_of(path)
            if source in self._outputs:
                self._sort_output(source, use)
            elif not self._is_kept(source):
                self._sort_path(source, use)
        listed = self._calls.listed | self._calls.searched
        if "/" in listed:  # a shell that finds out where it is lists all folders above
            here = os.getcwd().split("/")
            listed -= {"/".join(here[:end]) or "/" for end in range(1, len(here))}
        for folder in sorted(listed):
            self._sort_listed(folder)
        self._drop_tracked()

    def _sort_output(self, path: str, use: int) -> None:
        """Tell of an output whose earlier content the command used."""
        was_there = use in (kinds.READ, kinds.EXECUTED) or path in self._there
        if use in (kinds.MADE, kinds.LOOKED_AT) or not was_there or path in self._known:
            return
        if not self._is_made(path):
            self.changed.append(path)

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
        elif is_code or _head(path) == _ELF:
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
        if self._is_kept(folder + "/") or self._is_searched(folder):
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
            if status is None or name.startswith(_BESIDE) or self._is_kept(path):
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
        return (
            folder in self._search_path()
            or any(
                path.startswith(folder + "/") and path.endswith(_PYTHON) for path in self.scripts
            )
            or any(path.startswith(folder + "/") and path.endswith(_PYTHON) for path in self._known)
        )

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

    def _is_kept(self, path: str) -> bool:
        return self._is_known(path) or self._is_made(path)

    def _is_known(self, path: str) -> bool:
        """Tell whether a path is in the record already, or belongs to what is installed."""
        if path in self._known or path in self._outputs or path.startswith(self._folders):
            return True
        return os.path.basename(path).startswith(_BESIDE) or self._installed.has(path)

    def _is_made(self, path: str) -> bool:
        """Tell whether the command made a path, or a folder above it."""
        parts = path.split("/")
        above = ("/".join(parts[:end]) for end in range(len(parts), 1, -1))
        return any(self._calls.uses.get(place) == kinds.MADE for place in above)

    def _absent(self) -> List[str]:
        """Return what the command looked for in vain, outside of system and software.

        As it is named there.

        Another job of its kind may have it: settings in HOME, say. The likeliest come first.
        """
        names = []
        programs = set(os.environ.get("PATH", "").split(os.pathsep))
        for path in sorted(self._calls.absent):
            if os.path.dirname(path) in programs or _PYTHON_ZIP.match(os.path.basename(path)):
                continue  # a shell looks for a program, each Python for its library
            name = _from_home(path)
            if path in self._calls.uses or os.path.lexists(path):
                continue  # it came to be there
            if name.startswith(_TEMPORARY) or self._is_known(path):
                continue
            # In its home a program makes a folder for the settings that another home may have
            if name[:1] == "~" or not self._is_made(path):
                names.append(name)
        # Settings of users first, then what lies beside the job
        names.sort(key=lambda name: (name[:1] != "~", name[:1] == "/"))
        return names

    def _add_absent(self, fields: JsonObject) -> None:
        """Name what the command looked for in vain, and count what there is no room for."""
        known: List[str] = fields.get("absent", [])
        left_out: int = fields.get("absent_left_out", 0) + self._calls.absent_left_out
        room = _ABSENT_BYTES - sum(len(os.fsencode(name)) for name in known)
        for name in self._absent():
            if name in known:
                continue
            room -= len(os.fsencode(name))
            if room < 0 or len(known) >= _MOST_ABSENT:
                left_out += 1
            else:
                known.append(name)
        if known:
            fields["absent"] = known
        if left_out:
            fields["absent_left_out"] = left_out

    def _drop_tracked(self) -> None:
        """Leave out what git keeps: files that a checkout of the record tracks, and its own."""
        for top in self._checkouts:
            start = top + "/"
            below = [
                path
                for path in [*self.scripts, *self.inputs, *self.named]
                if path.startswith(start)
            ]
            own = [path for path in below if path.startswith(start + ".git/")]
            rest = [path for path in below if path not in own]
            if rest:
                names = [os.path.relpath(path, top) for path in rest]
                tracked = git(top, "ls-files", "-z", "--", *names).split(b"\0")
                own += [os.path.join(top, os.fsdecode(name)) for name in tracked if name]
            for path in own:
                for kept in (self.scripts, self.inputs, self.named):
                    kept.pop(path, None)

    def add(self, sight: Optional[Sight], clock: Clock) -> None:
        """Add all to the record."""
        for path, status in self.scripts.items():
            self._add_script(path, status)
        for path, status in self.inputs.items():
            self._add_input(path, status, clock)
        if sight is not None:
            gone = [path for path in self.changed if not self._add_seen(path, sight)]
            self.changed = gone
        fields = self._draft.record.setdefault("trace", {})
        extend(fields, "changed", sorted(set(self.changed)))
        self._add_absent(fields)
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
        if file is None or file.content is None or file.sha256 is None:
            return False
        self._draft.blobs[file.sha256] = file.content
        entry = _input(self._step, path, file.size_bytes)
        entry.update(sha256=file.sha256, checksums=[file.checksum])
        self._draft.extend("inputs", [entry])
        return True


class _Used:
    """Stands for a trace: this job used what the traced job of its kind used."""

    def __init__(self, used: Dict[str, List[str]], began: float) -> None:
        self.calls, self.began = kinds.Calls(os.getcwd()), began
        self.there: Set[str] = set()
        self.missing: List[str] = []
        for name, use in (("files", kinds.READ), ("code", kinds.EXECUTED)):
            for given in used.get(name, ())[:MOST_KEPT]:
                path = os.path.abspath(given)
                if os.path.isfile(path):
                    self.calls.uses[path] = use
                elif not os.path.lexists(path):
                    self.missing.append(path)
        for given in used.get("absent", ())[:MOST_KEPT]:
            path = os.path.abspath(os.path.expanduser(given))
            if os.path.isfile(path):
                self.calls.uses[path] = kinds.READ
            elif given.startswith("~") and os.path.isdir(path):
                self.calls.listed.add(path)  # whoever looks for it may look at what is in it
        # Of its own files this job has others, or others under the same names
        self.own_elsewhere: List[str] = []
        for given in used.get("own", ())[:MOST_KEPT]:
            path = os.path.abspath(given)
            if not os.path.isabs(given) and os.path.isfile(path):
                self.calls.uses[path] = kinds.READ
            else:
                self.own_elsewhere.append(path)


def add_used(turn: Turn, draft: Draft, step: Any, sight: Optional[Sight], options: Options) -> None:
    """Add to the record what the traced job of the same kind used, as if this one was traced.

    What is not there for this job, or cannot be kept, is told by name.
    """
    of_earlier_steps = draft.record.pop("trace", {})
    stand_in = _Used(turn.used, step.began)
    if turn.used:
        unkept = Unkept(draft, stand_in, step.name, (), step.began)
        unkept.sort(options.number("trace-bytes", BUDGET_BYTES))
        unkept.add(sight, Clock(hash_seconds(options)))
    told = draft.record.pop("trace", {})
    if turn.is_pending:
        if turn.key not in of_earlier_steps.get("waits_for", ()):
            extend(of_earlier_steps, "waits_for", [turn.key])
        known = _files_of(draft.record, draft.record.get("outputs", ()))
        settings = home_settings.list_settings(dict(os.environ), known, step.began)
        extend(of_earlier_steps, "home_settings", settings, most=2 * home_settings.MOST_NAMES)
    if of_earlier_steps:
        draft.record["trace"] = of_earlier_steps
    _weaken_by_kind(draft, turn, told, step.began)
    if turn.left_out:
        draft.weaken("reads-unseen", _UNTOLD.format(turn.left_out), _NOT_KNOWN)
    missing = stand_in.missing
    if _count_inputs(draft) < len(stand_in.own_elsewhere):
        missing = missing + stand_in.own_elsewhere
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        draft.weaken("reads-unseen", "the traced job of this kind used " + shown, _NOT_HERE)


def _weaken_by_kind(draft: Draft, turn: Turn, told: Answer, began: float) -> None:
    """Name what a rerun lacks of what the traced job of the kind used."""
    for file in told.get("not_kept", ()):
        draft.weaken("touched-not-kept", file["path"], _BY_KIND.format(file["reason"]))
    for path in told.get("changed", ()):
        draft.weaken("changed-while-running", "input " + path, "what was there before is not kept")
    for path in turn.used.get("changed", ()):
        status = _status(path)
        if status is None or status.st_ctime >= began:
            draft.weaken("changed-while-running", "input " + path, _BY_KIND.format("changed"))
    for host in turn.used.get("hosts", ()):
        draft.weaken("network-used", host, "the traced job of this kind connected to it")


def _from_home(path: str) -> str:
    """Return a path below HOME with `~` for that: jobs of a kind have other homes."""
    home = os.path.expanduser("~")
    if home != "/" and path.startswith(home + "/"):
        return "~" + path[len(home) :]
    return from_here(path)


def _count_inputs(draft: Draft) -> int:
    """Return how many files of data the record names."""
    roles = [entry.get("role") for entry in draft.record.get("inputs", ())]
    return len(roles) - roles.count("configuration")


def extend(fields: JsonObject, name: str, more: Sequence[Any], most: int = MOST_NAMED) -> None:
    """Add entries to a list of the record's trace, each once, as long as there is room."""
    known = fields.get(name, [])
    known += [entry for entry in more if entry not in known]
    if known:
        fields[name] = known[:most]


def _input(step: str, path: str, size_bytes: int) -> Entry:
    return {
        "name": os.path.basename(path),
        "path": from_here(path),
        "step": step,
        "role": guess_role(path),
        "status": "consumed",
        "size_bytes": size_bytes,
        "evidence": "traced",
    }


def _files_of(record: Record, others: Iterable[Entry]) -> Set[str]:
    """Return the paths of the files that a record names, but for outputs, and of some others."""
    entries = [*record.get("inputs", ()), *record.get("scripts", ()), *others]
    for configuration in record.get("configurations", ()):
        entries += configuration.get("files", ())
    return _paths_of(entries)


def _paths_of(entries: Iterable[Entry]) -> Set[str]:
    """Return the absolute paths of entries, and where links of them lead."""
    absolute = {os.path.abspath(entry["path"]) for entry in entries if entry.get("path")}
    return absolute.union(real_path(path) for path in absolute)


def _source_of(path: str) -> str:
    """Return the module that a file of compiled Python stands for, where it is there."""
    cached = _CACHED.match(path)
    source = "{}/{}.py".format(*cached.groups()) if cached is not None else path
    return source if os.path.isfile(source) else path


def _size(found: Dict[str, os.stat_result]) -> int:
    return sum(status.st_size for status in found.values())


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_ELF))
    except OSError:
        return b""
