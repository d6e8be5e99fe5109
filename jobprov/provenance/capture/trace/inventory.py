"""The inventory of what a traced command touched.

A listing that jobs of one release share, and which files may go.

One line a path, its cells parted by tabs, in the order of their bytes:

    PATH  dir
    PATH  link  TARGET
    PATH  file  MODE  SIZE  SHA-256     (mode in octal; `-` for a digest: it is not to leave the worker node)

Backslash, tab and line ends in a name are escaped as in C. Left out is what is the job's own: its
working directory, scratch and temporary folders, inputs, outputs, and every file that changed after
it began.
"""

import os
import re
import stat
from typing import Collection, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.files import credentials, leaving, packaged
from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import seconds_of
from jobprov.provenance.capture.record.json_objects import JsonObject, Record
from jobprov.provenance.capture.running.background import hash_seconds
from jobprov.provenance.capture.sending import delivery
from jobprov.provenance.capture.sending.service import token_path
from jobprov.provenance.capture.sight.places import files_of_own_streams
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.trace import hosts
from jobprov.provenance.capture.trace.strace import Trace
from jobprov.provenance.capture.trace.unkept import BUDGET_BYTES, Touched, Unkept, extend

_KERNEL = ("/proc", "/sys", "/dev")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - named to be left out
_SCRATCH = ("_CONDOR_SCRATCH_DIR", "TMPDIR", "CONDOR_DIR_INPUT")
_MOST_LINKS = 40
_MOST_ASKED = 100  # files of which the package is looked up, about 40 ms each
_ASKED = 5000  # digests in one question
_ASKING_SECONDS = 10.0
_NO_DIGEST = "-"
_SHOWN = 10  # paths in a note
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class Inventory:
    """What was found at the paths that a command touched.

    Attributes:
        entries: {path: its cells}.
        files: {digest: (size, path)} of those that may leave the worker node.
        packaged: which package brought one of these in which a rule found a secret, by digest.
        withheld: paths of those that may not.
    """

    def __init__(
        self, own: Iterable[str], written: Collection[str], began: float, clock: Clock
    ) -> None:
        self.entries: Dict[str, Tuple[str, ...]] = {}
        self.files: Dict[str, Tuple[int, str]] = {}
        self.packaged: Dict[str, str] = {}
        self.withheld: List[str] = []
        self._asked = 0
        self._own = tuple(folder + "/" for folder in own)
        self._written, self._began, self._clock = written, began, clock

    def add(self, path: str) -> None:
        """Take in a path, with the folders and links that lead there; raises OutOfTimeError."""
        waiting, folder, links = _parts(path), "/", 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                folder = os.path.dirname(folder)
                continue
            place = os.path.join(folder, part)
            status = None if (place + "/").startswith(self._own) else _status(place)
            if status is None:
                return
            if stat.S_ISLNK(status.st_mode):
                target, links = os.readlink(place), links + 1
                self.entries[place] = ("link", target)
                if links > _MOST_LINKS:
                    return
                waiting += _parts(target)
                folder = "/" if target.startswith("/") else folder
            elif stat.S_ISDIR(status.st_mode):
                self.entries[place] = ("dir",)
                folder = place
            else:
                self._add_file(place, status)
                return

    def _add_file(self, path: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or path in self.entries:
            return
        if path in self._written or status.st_ctime >= self._began:
            return
        size, digest = status.st_size, _NO_DIGEST
        try:
            may_leave = leaving.may_leave(path, status)
            package = None if may_leave else self._find_package(path)
            if may_leave or package:
                size, digest, _ = hash_file(path, self._clock)
                self.files[digest] = (size, path)
            if package:
                self.packaged[digest] = package
        except OSError:
            pass
        if digest == _NO_DIGEST:
            self.withheld.append(path)
        self.entries[path] = (
            "file",
            "{:04o}".format(stat.S_IMODE(status.st_mode)),
            str(size),
            digest,
        )

    def _find_package(self, path: str) -> Optional[str]:
        """Return which package brought a file, or None.

        Raises OSError. Of many, the first are asked.
        """
        self._asked += 1
        return packaged.owner_of(path) if self._asked <= _MOST_ASKED else None

    def lines(self) -> List[str]:
        """Return the listing's lines."""
        return ["\t".join(map(_escape, (path, *cells))) for path, cells in self.entries.items()]


def take(  # noqa: PLR0917 - what a moment of the recording has
    draft: Draft,
    trace: Trace,
    sight: Optional[Sight],
    step: str,
    spool: Optional[str],
    options: Options,
    environment: Dict[str, str],
) -> None:
    """Add what a traced command touched to the record.

    The bytes that nobody else keeps go with it, and then those of the release that the service
    lacks, as far as `--trace-bytes` goes.
    """
    calls = trace.end()
    for note in trace.notes:
        draft.note(note)
    if calls is None:
        return
    fields: JsonObject = draft.record.setdefault("trace", {})
    if trace.why_incomplete:
        fields["why_incomplete"] = trace.why_incomplete
    began = _began(draft.record, trace.began)
    room = options.number("trace-bytes", BUDGET_BYTES)
    clock = Clock(hash_seconds(options))
    kept_elsewhere = [spool, *_prefixes(draft.record), token_path(options, environment)]
    own = _with_real([*kept_elsewhere, *credentials.places(environment), *files_of_own_streams()])
    touched = Touched(calls, trace.there, trace.began)
    others = Unkept(draft, touched, step, own, began)

    def keep_others() -> None:
        others.sort(room)
        others.add(sight, clock)

    draft.attempt("trace: what nobody keeps", keep_others)
    if not trace.why_incomplete:
        draft.attempt("trace: what others changed", _note_changed, draft, step, calls.written)
    talked = draft.attempt("trace: hosts", hosts.elsewhere, calls.hosts, draft.record, options.url)
    if talked:
        fields["network"] = sorted({*fields.get("network", ()), *talked})
    own_places = _own_places(draft.record, spool, environment)
    inventory = Inventory(own_places, calls.written, began, clock)
    try:
        for path in calls.uses:
            inventory.add(path)
    except OutOfTimeError as error:
        fields.setdefault("why_incomplete", str(error))
    draft.add_listing("touched_sha256", inventory.lines(), "touched files")
    if not fields:
        del draft.record["trace"]
    _note_private(draft, inventory)
    _add_files(draft, inventory.files, others.room, options, environment)


def _note_private(draft: Draft, inventory: Inventory) -> None:
    """Say what may not leave, and which packages brought what only seems to hold a secret."""
    if inventory.packaged:
        extra = draft.record.setdefault("extra", {})
        extra.setdefault("packaged", {}).update(inventory.packaged)
    if inventory.withheld:
        shown = ", ".join(sorted(inventory.withheld)[:_SHOWN])
        draft.note(
            "trace: {} files are not to leave this machine: {}".format(
                len(inventory.withheld), shown
            )
        )


def _add_files(
    draft: Draft,
    files: Dict[str, Tuple[int, str]],
    room: float,
    options: Options,
    environment: Dict[str, str],
) -> None:
    """Keep the bytes of files that the service lacks, small ones first, while the budget lasts.

    Where the service cannot be asked, none goes: else each job would carry them all, and a later
    one brings them.
    """
    what = "trace: which files the service lacks"
    wanted = draft.attempt(what, _missing, sorted(files), options, environment) or []
    left_out = 0
    for size, path, digest in sorted((*files[digest], digest) for digest in wanted):
        if size > room:
            left_out += 1
            continue
        room -= size
        draft.add_file(digest, path)
    if left_out:
        what = "file is" if left_out == 1 else "files are"
        draft.note("trace: {} {} larger than --trace-bytes allows".format(left_out, what))


def _missing(
    digests: Sequence[str], options: Options, environment: Dict[str, str]
) -> Sequence[str]:
    """Return which of the digests the service lacks; all of them where no service is named.

    Raises OSError and what `delivery` raises.
    """
    if not options.url:
        return digests
    missing: List[str] = []
    with delivery.opened(options, environment, _ASKING_SECONDS) as service:
        for start in range(0, len(digests), _ASKED):
            missing += delivery.ask_missing(service, digests[start : start + _ASKED])
    return missing


def _own_places(record: Record, spool: Optional[str], environment: Dict[str, str]) -> List[str]:
    """Return the folders and files that are the job's own, or the kernel's."""
    places = [environment.get(name) for name in _SCRATCH]
    places += [record["command"].get("working_directory"), spool]
    for entry in record.get("inputs", []) + record.get("outputs", []):
        if entry.get("evidence") != "traced":  # it may be a file of the release
            places.append(entry.get("path"))
    return sorted(_with_real(places).union(_KERNEL, _TEMPORARY) - {"/"})


def _note_changed(draft: Draft, step: str, written: Set[str]) -> None:
    """Tell which files the step read and left alone, though another process changed them.

    They look like outputs of the step, and a rerun reads what was there before it.
    """
    outputs = [entry for entry in draft.record.get("outputs", ()) if entry.get("step") == step]
    places = [
        {os.path.abspath(entry["path"]) for entry in entries if entry.get("path")}
        for entries in (draft.record.get("inputs", ()), outputs)
    ]
    changed = sorted(places[0] & places[1] - written)
    extend(draft.record.setdefault("trace", {}), "changed", changed)


def _prefixes(record: Record) -> List[Optional[str]]:
    """Return the folders of installed products."""
    products = [entry.get("product") or {} for entry in record.get("software", ())]
    return [product.get("prefix") for product in products]


def _began(record: Record, began: float) -> float:
    """Return when the job began: earlier steps of it may have made what this one reads."""
    try:
        return min(began, seconds_of(record["started_at"]))
    except (KeyError, ValueError):
        return began


def _with_real(places: Iterable[Optional[str]]) -> Set[str]:
    """Return the paths of places, absolute, and what they really are where links lead there."""
    absolute = {os.path.abspath(place) for place in places if place}
    return absolute.union(os.path.realpath(place) for place in absolute)


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def _parts(path: str) -> List[str]:
    """Return the parts of a path, the last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _escape(cell: str) -> str:
    return re.sub("[\\\\\t\n\r]", lambda letter: _ESCAPES[letter.group()], cell)
