"""The files of a retry on its worker node: inputs are staged in, outputs are brought home.

`retry-job.sh` carries this module with it, so it is Python 3.6 and the standard library alone.

    stage-in DATA FOLDER     put the inputs that the bundle lacks into FOLDER
    look LIST FOLDER...      note what lies in the folders before the job runs
    bring-home               copy each file that the job made or changed to where it belongs
    bring-sidecars           copy the sidecars that the hook wrote last beside those files

A file is written under another name, and gets its own only after its SHA-256 was compared. A file
with other bytes is never replaced: the new one gets the job's id after its name. Whatever goes
wrong, the work folder still has everything.
"""

import argparse
import contextlib
import errno
import hashlib
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import urllib.parse
import urllib.request
import zlib
from typing import (
    Any,
    Container,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

MOST_FILES = 10000
NOTHING_MADE, INPUT_MISSING, NOT_HOME = 70, 66, 73  # exit codes, as sysexits.h has them
PLACES = "retry-places.tsv"
"""Beside the script: JOB, `input` or `output`, NAME (`*` for all) and PLACE, parted by tabs."""

DESTINATIONS = ".destinations.json"
"""In the folder that a batch system brings back: where its files belong."""

_PIECE = 1 << 20
_NAMED = 100  # missing inputs
_WAY_OUT = (
    ". Nothing was run. Put it back, or give its folder (jobprov retry JOB --input-dir FOLDER), "
    "and retry."
)
_FETCH_SECONDS = 600
_LARGEST_SIDECAR = 1 << 20
_SKIPPED_FOLDERS = frozenset([".git", "__pycache__"])
_NODE_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - what lies there stays on the node
_NODE_VARIABLES = ("TMPDIR", "_CONDOR_SCRATCH_DIR", "CONDOR_DIR_INPUT")
_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)

Seen = Dict[str, List[int]]
"""Size, time of change in nanoseconds and inode of each file, by path."""


class Trouble(Exception):  # noqa: N818 - not an error of the program
    """What cannot be done, in a sentence."""


# --- what the job made ---------------------------------------------------------------------------


def look(folders: Sequence[str]) -> Seen:
    """Return the regular files below the folders, without those of git and Python's caches."""
    seen: Seen = {}
    for folder in folders:
        for path in _paths_below(folder):
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode):
                    seen[path] = [status.st_size, status.st_mtime_ns, status.st_ino]
    return seen


def _paths_below(folder: str) -> Iterator[str]:
    for above, below, names in os.walk(folder):
        # os.walk goes on into what is left here
        below[:] = sorted(name for name in below if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            yield os.path.join(above, name)


def made_files(before: Seen, after: Seen) -> List[str]:
    """Return the files that are new, or are not what they were."""
    return [path for path, what in after.items() if before.get(path) != what]


def is_sidecar(path: str, made: Container[str]) -> bool:
    """Tell whether a file is the hook's sidecar of another one that was made."""
    if not path.endswith(".json") or path[: -len(".json")] not in made:
        return False
    try:
        if os.path.getsize(path) > _LARGEST_SIDECAR:
            return False
        with open(path, "rb") as stream:
            return b'"prov.job_id"' in stream.read()
    except OSError:
        return False


# --- where it belongs ----------------------------------------------------------------------------


class Folders(NamedTuple):
    """The folders of a retry.

    Attributes:
        work: what stands for the recorded working folder.
        elsewhere: what stands for the root folder, for files that were used by absolute path.
        output_dir: for outputs of which nothing says where the job's own stage-out put them.
        rescue: here, for what cannot be put where it belongs.
    """

    work: str
    elsewhere: str
    output_dir: str
    rescue: str


def relative_name(path: str, folders: Folders) -> str:
    """Return the path of a file below the recorded working folder, or below the root folder."""
    for folder in (os.path.realpath(folders.work), folders.work, folders.elsewhere):
        if path.startswith(folder + "/"):
            return path[len(folder) + 1 :]
    return os.path.basename(path)


def stage_out_places(record: Dict[str, Any], told: Dict[str, str]) -> Dict[str, str]:
    """Return where the job's own stage-out put its outputs, by recorded path.

    An output that lay in the working folder was copied where another output has the same SHA-256,
    or the same name, and an absolute path: a step of the job copied it there.
    """
    node_folders = _node_folders(record)
    places: Dict[str, str] = {}
    copies = _Copies()
    outputs = [output for output in record.get("outputs") or [] if output.get("name")]
    for output in outputs:
        place = _lasting_place(output, node_folders)
        if place is not None:
            places[_recorded_path(output)] = place
            copies.add(output, place)
    for output in outputs:
        place = told.get(output["name"]) or copies.place_of(output)
        if place is not None:
            places.setdefault(_recorded_path(output), place)
    working = _working_of(record)
    return {_below(path, working): place for path, place in places.items()}


class _Copies:
    """Where a job copied its outputs to: the first place for each SHA-256, and for each name."""

    def __init__(self) -> None:
        self._by_bytes: Dict[str, str] = {}
        self._by_name: Dict[str, str] = {}

    def add(self, output: Dict[str, Any], place: str) -> None:
        """Note the place of an output."""
        if output.get("sha256"):
            self._by_bytes.setdefault(output["sha256"], place)
        self._by_name.setdefault(output["name"], place)

    def place_of(self, output: Dict[str, Any]) -> Optional[str]:
        """Return where a copy of an output is; None where no other output is one."""
        same_bytes = self._by_bytes.get(output.get("sha256") or "")
        return same_bytes or self._by_name.get(output["name"])


def _node_folders(record: Dict[str, Any]) -> List[str]:
    """Return the folders of a job that lay on its worker node."""
    variables = (record.get("environment") or {}).get("variables") or {}
    folders = [_working_of(record), *_NODE_FOLDERS]
    for name in _NODE_VARIABLES:
        if variables.get(name):
            folders.append(variables[name])
    return folders


def _recorded_path(output: Dict[str, Any]) -> str:
    return output.get("path") or output.get("name") or ""


def _working_of(record: Dict[str, Any]) -> str:
    """Return the recorded working folder, or one that does not exist if none was recorded."""
    return _normal((record.get("command") or {}).get("working_directory") or "/nonexistent")


def _output_paths(record: Dict[str, Any]) -> List[str]:
    return [_recorded_path(output) for output in record.get("outputs") or []]


def _lasting_place(output: Dict[str, Any], node_folders: Sequence[str]) -> Optional[str]:
    """Return where an output lies that outlives its worker node; None where nothing says so."""
    for place in (output.get("location") or "", output.get("path") or ""):
        if place.startswith("rucio://"):
            continue  # an RSE of Rucio: nothing here can store there
        path = local_path(place)
        if path is None and "://" in place:
            return place
        if path is not None and not any(_is_below(path, folder) for folder in node_folders):
            return path
    return None


def local_path(place: str) -> Optional[str]:
    """Return the path that a place is on this machine; None for an address."""
    if place.startswith("file:"):
        place = "/" + place[len("file:") :].lstrip("/")
    return _normal(place) if place.startswith("/") else None


def _normal(path: str) -> str:
    return "/" + os.path.normpath(path).lstrip("/")


def _is_below(path: str, folder: str) -> bool:
    return path == _normal(folder) or path.startswith(_normal(folder).rstrip("/") + "/")


def _below(path: str, working: str) -> str:
    """Return a recorded path as `relative_name` gives that of the file in a retry."""
    absolute = _normal(os.path.join(working, path))
    return absolute[len(working) + 1 :] if _is_below(absolute, working) else absolute[1:]


def can_hold(path: str) -> bool:
    """Tell whether we can make a file here: the nearest folder above that exists is open to us.

    A worker node that does not have the file system would else get a folder of that name.
    """
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return above != "/" and os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)


# --- bringing home -------------------------------------------------------------------------------


class Bringing:
    """Brings the files of one job home, one after the other, and tells where each is.

    Attributes:
        brought: where each file is now.
        problems: what could not be done.
    """

    def __init__(self, folders: Folders, job_id: str) -> None:
        self.folders, self.job_id = folders, job_id
        self.brought: Dict[str, str] = {}
        self.problems: List[str] = []

    def bring(self, path: str, places: Sequence[str]) -> None:
        """Copy a file to the first of its places that is within reach; else keep it here.

        A place that is within reach and cannot be written is a problem, and no other is tried.
        """
        name = relative_name(path, self.folders)
        try:
            place = self._reachable(places)
            end = put(path, place, self.job_id)
        except (OSError, Trouble) as error:
            self.problems.append("{} cannot be brought home: {}".format(name, _words(error)))
            self._rescue(path, name)
            return
        self.brought[path] = end
        words = "" if end == place else "; {} has other bytes and was kept".format(place)
        if place != places[0]:
            words += "; {} is out of reach here".format(places[0])
        say("brought {} to {}{}".format(name, end, words))

    def _reachable(self, places: Sequence[str]) -> str:
        for place in places:
            path = local_path(place)
            if (path is not None and can_hold(path)) or can_store(place):
                return place
        raise Trouble("out of reach here: {}".format(", ".join(places)))

    def _rescue(self, path: str, name: str) -> None:
        """Keep a file here: a batch system takes it along, and leaves the work folder behind."""
        place = os.path.join(self.folders.rescue, name)
        try:
            end = copy_to(path, place, self.job_id)
        except OSError as error:
            self.problems.append("{} cannot be kept in {}: {}".format(name, place, _words(error)))
        else:
            self.problems.append("{} is in {} instead".format(name, end))


def put(source: str, place: str, job_id: str) -> str:
    """Return where a file was put: at the place, or with the job's id behind its name.

    Raises OSError and Trouble.
    """
    path = local_path(place)
    if path is not None and can_hold(path):
        return copy_to(source, path, job_id)
    return store(source, place, job_id)


def copy_to(source: str, place: str, job_id: str) -> str:
    """Return where a file was put: at the place, or with the job's id behind its name.

    Raises OSError.
    """
    os.makedirs(os.path.dirname(place), exist_ok=True)
    for target in (place, "{}.{}".format(place, job_id)):
        if not os.path.lexists(target):
            return _new_file(source, target, job_id)
        if _has_same_bytes(source, target):
            return target
    raise FileExistsError(errno.EEXIST, "both names are taken", place)


def _has_same_bytes(one: str, other: str) -> bool:
    if not os.path.isfile(other) or os.path.getsize(one) != os.path.getsize(other):
        return False
    return os.path.samefile(one, other) or sha256_of(one) == sha256_of(other)


def _new_file(source: str, target: str, job_id: str) -> str:
    """Write a file that is not there yet; whoever looks sees it whole or not at all."""
    folder, name = os.path.split(target)
    if os.stat(source).st_dev == os.stat(folder).st_dev:
        # A second name for the same bytes: nothing to compare, and a full disk does no harm
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return target
    part = os.path.join(folder, ".{}.{}.part".format(name[:100], job_id))
    with contextlib.suppress(OSError):
        os.unlink(part)  # of a try that was killed
    try:
        _copy(source, part)
        _give_name(part, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)
    _sync(folder)
    return target


def _copy(source: str, part: str) -> None:
    """Write the copy, and compare what was written with what was read."""
    digest = hashlib.sha256()
    with open(source, "rb") as reading, open(part, "wb") as writing:
        for piece in iter(lambda: reading.read(_PIECE), b""):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    with contextlib.suppress(OSError):  # some storage keeps times and modes of its own
        shutil.copystat(source, part)
    written = sha256_of(part)
    if written != digest.hexdigest():
        message = "the copy has another SHA-256, {} for {}".format(written, digest.hexdigest())
        raise OSError(errno.EIO, message)


def _give_name(part: str, target: str) -> None:
    """Name a whole file; a file that came there meanwhile is not replaced."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # such as dCache over NFS, which has no links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it came there meanwhile", target) from None
        os.rename(part, target)


def _sync(folder: str) -> None:
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(_PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def can_store(place: str) -> bool:
    """Tell whether something here can store a file at an address, and fetch it back."""
    has_command = os.environ.get("JOBPROV_STORE_COMMAND") and os.environ.get(
        "JOBPROV_FETCH_COMMAND"
    )
    return bool(has_command) or (_is_xrootd(place) and shutil.which("xrdcp") is not None)


def store(source: str, address: str, job_id: str) -> str:
    """Return the address that a file was stored at, fetched back and compared.

    Raises OSError and Trouble.
    """
    digest = sha256_of(source)
    for target in (address, "{}.{}".format(address, job_id)):
        there = _stored_sha256(source, target)
        if there == digest:
            return target
        if there is None:
            _store(source, target)
            written = _stored_sha256(source, target)
            if written != digest:
                raise Trouble("{} has the SHA-256 {}, not {}".format(target, written, digest))
            return target
    raise Trouble("{} and the name with the job's id are taken".format(address))


def _store(source: str, address: str) -> None:
    command = os.environ.get("JOBPROV_STORE_COMMAND")
    if command:
        _run(_filled(command, address, source))
    else:
        _run(["xrdcp", "--nopbar", "--silent", source, address])


def _stored_sha256(source: str, address: str) -> Optional[str]:
    """Return the SHA-256 of what is at an address; None where nothing can be fetched from there."""
    copy = source + ".fetched-back"
    fetchers = list(_fetchers(address))
    try:
        for fetch in fetchers:
            with contextlib.suppress(Trouble):
                fetch(address, copy)
                return sha256_of(copy)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(copy)
    return None


def bring_home(given: argparse.Namespace) -> int:
    """Bring every file home that the job made or changed; return the exit code."""
    folders = Folders(given.work, given.elsewhere, given.output_dir, given.rescue)
    with open(given.before, encoding="utf-8") as stream:
        noted = json.load(stream)
    record = read_record(given.data)
    recorded = _places_of_outputs(record, given.places)
    files = _made_by_job(noted, record, folders)
    retry = own_record(given.hook)
    bringing = Bringing(folders, retry["job_id"])
    for path in files[:MOST_FILES]:
        name = relative_name(path, folders)
        bringing.bring(path, _places_of(name, recorded, given, bringing.job_id))
    if len(files) > MOST_FILES:
        sentence = "{} files were made; {} of them were brought home, the rest is in {}"
        bringing.problems.append(sentence.format(len(files), MOST_FILES, folders.work))
    with open(given.brought, "w", encoding="utf-8") as stream:
        json.dump({"job_id": bringing.job_id, "files": bringing.brought}, stream)
    note_destinations(folders, bringing, recorded, is_success=given.code == 0)
    _list_for_hook(given.made, files[:MOST_FILES], retry, given.work)
    past_us = written_in_place(record, noted["began"]) + stored_by_the_job(retry)
    return _result(bringing, [*files, *past_us], given.code)


def _places_of_outputs(record: Dict[str, Any], places_file: str) -> Dict[str, str]:
    """Return where files belong, by name, as recorded or as told beside the script."""
    told = told_outputs(record["job_id"], places_file)
    places = stage_out_places(record, told)
    for name, place in told.items():
        places.setdefault(name, place)
    return places


def _made_by_job(noted: Dict[str, Any], record: Dict[str, Any], folders: Folders) -> List[str]:
    """Return the files that the job made or changed, without sidecars.

    Those that the record names come first, should there be too many.
    """
    made = made_files(noted["files"], look(noted["folders"]))
    all_made = set(made)
    files = [path for path in made if not is_sidecar(path, all_made)]
    named = {_below(path, _working_of(record)) for path in _output_paths(record)}
    return sorted(files, key=lambda path: relative_name(path, folders) not in named)


def note_destinations(
    folders: Folders, bringing: Bringing, recorded: Dict[str, str], *, is_success: bool
) -> None:
    """Note in the rescue folder where its files belong: others may be able to write there."""
    below = {}
    for path, place in bringing.brought.items():
        name = relative_name(path, folders)
        belongs = recorded.get(name)
        if belongs is None and "/" not in name and "*" in recorded:
            belongs = "{}/{}".format(recorded["*"], name)
        if _is_below(place, folders.rescue) and belongs is not None and is_success:
            below[os.path.relpath(place, folders.rescue)] = belongs
    try:
        file = os.path.join(folders.rescue, DESTINATIONS)
        with open(file, "w", encoding="utf-8") as stream:
            json.dump({"job_id": bringing.job_id, "files": below}, stream)
    except OSError as error:
        complain("where its files belong is not noted: {}".format(_words(error)))


def _list_for_hook(file: str, made: Iterable[str], retry: Dict[str, Any], work: str) -> None:
    """Write the names of files that the hook does not know of yet, as it takes them.

    Those that it saw by itself are named all the same: only named files get a sidecar.
    """
    work = os.path.realpath(work)
    known = set()
    for output in retry.get("outputs") or []:
        if output.get("evidence") != "seen":
            known.add(os.path.realpath(os.path.join(work, output["path"])))
    with open(file, "wb") as stream:
        for path in made:
            if path not in known and "\n" not in path:
                name = path[len(work) + 1 :] if path.startswith(work + "/") else path
                stream.write(os.fsencode(name) + b"\n")


def _places_of(
    name: str, recorded: Dict[str, str], given: argparse.Namespace, job_id: str
) -> List[str]:
    """Return where a file belongs, the best place first.

    What a run made that failed is kept apart: it may be half of what the name promises.
    """
    if given.code != 0:
        return ["{}/failed-{}/{}".format(given.output_dir, job_id, name)]
    usual = "{}/{}".format(given.output_dir, name)
    if name in recorded:
        return [recorded[name], usual]
    if "/" not in name and "*" in recorded:
        # HTCondor brought back what lay in the working folder itself
        return ["{}/{}".format(recorded["*"], name), usual]
    return [usual]


def written_in_place(record: Dict[str, Any], began: float) -> List[str]:
    """Return the recorded outputs that the job itself wrote by their absolute path."""
    written = []
    for output in record.get("outputs") or []:
        path = local_path(output.get("path") or "")
        if path is not None and _was_changed_since(began, path):
            written.append(path)
    return written


def _was_changed_since(moment: float, path: str) -> bool:
    """Tell whether a file is there and was changed at this time or later."""
    try:
        return os.stat(path).st_mtime >= moment
    except OSError:
        return False


def stored_by_the_job(retry: Dict[str, Any]) -> List[str]:
    """Return the outputs that the retried job moved or copied to a storage place by itself.

    The hook saw where they went.
    """
    places = [output.get("location") for output in retry.get("outputs") or []]
    return [place for place in places if place]


def _result(bringing: Bringing, made: Sequence[str], code: int) -> int:
    """Print what went wrong, the sentence that sums it up last, and return the exit code."""
    for problem in bringing.problems:
        complain(problem)
    if bringing.problems:
        sentence = "not all outputs could be brought home; all are still in {} on this machine"
        complain(sentence.format(bringing.folders.work))
        return NOT_HOME
    if not made and code == 0:
        complain("the retry made nothing: no file is new or changed, so it is no success")
        return NOTHING_MADE
    return 0


def bring_sidecars(given: argparse.Namespace) -> int:
    """Copy the sidecars of files that were brought home beside them; return the exit code."""
    with open(given.brought, encoding="utf-8") as stream:
        noted = json.load(stream)
    code = 0
    for source, place in sorted(noted["files"].items()):
        if is_sidecar(source + ".json", noted["files"]):
            try:
                put(source + ".json", place + ".json", noted["job_id"])
            except (OSError, Trouble) as error:
                complain("{}.json cannot be brought there: {}".format(place, _words(error)))
                code = NOT_HOME
    return code


def own_record(hook: str) -> Dict[str, Any]:
    """Return what the hook has recorded of this retry so far; `job_id` is always there."""
    sys.path.insert(0, hook)
    try:
        from jobprov.provenance.capture.options import Options  # noqa: PLC0415
        from jobprov.provenance.capture.recording import session  # noqa: PLC0415
        from jobprov.provenance.capture.sending import spool  # noqa: PLC0415

        environment = dict(os.environ)
        options = Options([], environment)
        for folder in spool.there(options, environment):
            found = session.find(folder, options.job_id)
            if found is not None:
                return dict(found.draft.record)
    except Exception as error:  # noqa: BLE001 - outputs come home whatever the hook does
        complain("the retry's own record is not found: {}".format(error))
    finally:
        sys.path.remove(hook)
    return {"job_id": "retry-{}".format(os.getpid())}


# --- staging in ----------------------------------------------------------------------------------


class Need(NamedTuple):
    """An input that the bundle lacks.

    Attributes:
        checksums: `sha256:…` and others, as far as they were recorded.
        places: where it may be: paths and addresses, the recorded ones first.
    """

    name: str
    size: Optional[int]
    checksums: List[str]
    places: List[str]

    def words(self) -> str:
        """Return the input with what identifies it."""
        size = "size unknown" if self.size is None else "{} bytes".format(self.size)
        return "{} ({})".format(self.name, ", ".join([*self.checksums[:1], size]))


def stage_in(given: argparse.Namespace) -> int:
    """Put the inputs that the bundle lacks into a folder; return the exit code."""
    missing = 0
    for number, need in enumerate(needs_of(given.data, given.places)):
        try:
            _stage_in(need, os.path.join(given.folder, str(number)), given.beside)
        except Trouble as trouble:
            missing += 1
            if missing <= _NAMED:
                # In one line with the way out: a record keeps one line for what happened
                complain(str(trouble) + _WAY_OUT)
    if missing > _NAMED:
        complain("{} more inputs are missing".format(missing - _NAMED))
    return INPUT_MISSING if missing else 0


def needs_of(data: str, places_file: str) -> Iterator[Need]:
    """Yield the inputs that a bundle lacks."""
    record = read_record(data)
    told_places: Dict[str, List[str]] = {}
    for name, place in told_lines("input", record["job_id"], places_file):
        told_places.setdefault(name, []).append(place)
    for cells in _table(os.path.join(data, "NEEDS.tsv")):
        # run.sh itself looks for standard input, by its digest: it has no name of a file
        if cells["kind"] != "input" or cells["name"] == "standard input":
            continue
        entries = _entries_of(record, cells)
        size = int(cells["size"]) if cells["size"].isdigit() else None
        checksums = _checksums_of_need(cells["sha256"])
        for entry in entries:
            for checksum in entry.get("checksums") or []:
                if ":" in checksum:
                    checksums.append(checksum)
        places = _recorded_places(cells, entries, _working_of(record))
        places += told_places.get(cells["name"], [])
        yield Need(cells["name"], size, checksums, _once(places))


def _recorded_places(
    cells: Dict[str, str], entries: Iterable[Dict[str, Any]], working: str
) -> List[str]:
    """Return where a need and the entries of its input say that it is."""
    places = []
    last_known = cells["last_known_place"]
    if last_known.startswith("/") or "://" in last_known:
        places.append(last_known)
    for entry in entries:
        if entry.get("location"):
            places.append(entry["location"])
        if entry.get("path"):
            places.append(os.path.join(working, entry["path"]))
    return places


def _entries_of(record: Dict[str, Any], cells: Dict[str, str]) -> List[Dict[str, Any]]:
    """Return the inputs of a record that have the name and the digest or checksums of a need."""
    entries = []
    for entry in record.get("inputs") or []:
        checksums = ",".join(entry.get("checksums") or [])
        is_same = cells["sha256"] in (entry.get("sha256") or "", checksums)
        if entry.get("name") == cells["name"] and is_same:
            entries.append(entry)
    return entries


def _checksums_of_need(digest: str) -> List[str]:
    """Return the checksums of a need, whose column has a SHA-256, or checksums with their kinds."""
    if ":" in digest:
        return digest.split(",")
    return ["sha256:" + digest] if digest else []


def _once(words: Iterable[str]) -> List[str]:
    once: Dict[str, None] = {}
    for word in words:
        once[word] = None
    return list(once)


def _table(path: str) -> Iterator[Dict[str, str]]:
    """Yield the lines of a bundle's table, by column."""
    with open(path, encoding="utf-8") as stream:
        columns = stream.readline().rstrip("\n").split("\t")
        for line in stream:
            cells = line.rstrip("\n").split("\t")
            cells = ["" if cell == "-" else urllib.parse.unquote(cell) for cell in cells]
            yield dict(zip(columns, cells))  # noqa: B905 - not in Python 3.6


def _stage_in(need: Need, folder: str, beside: str) -> None:
    """Put one input into a folder of its own, or find it where run.sh will look.

    Raises Trouble with each place that was tried.
    """
    places, tried = list(need.places), []
    delivered = os.path.join(beside, os.path.basename(need.name))
    if os.path.isfile(delivered):
        places.insert(0, delivered)
    for place in places:
        try:
            _stage_from(place, need, folder)
        except (OSError, Trouble) as problem:
            tried.append("{}: {}".format(place, _words(problem)))
        else:
            return
    looked = "; ".join(tried) or "the record names no place"
    raise Trouble("input {} is missing: {}".format(need.words(), looked))


def _stage_from(place: str, need: Need, folder: str) -> None:
    """Put an input from one place into a folder; raises OSError and Trouble."""
    path = local_path(place)
    if path is None or (not os.path.exists(path) and os.environ.get("JOBPROV_FETCH_COMMAND")):
        _fetch(need, place, folder)
    else:
        _link(need, path, folder)


def _link(need: Need, path: str, folder: str) -> None:
    if not os.path.isfile(path):
        raise Trouble("no such file")
    _check(need, path)
    os.makedirs(folder, exist_ok=True)
    os.symlink(path, os.path.join(folder, os.path.basename(need.name)))


def _fetch(need: Need, address: str, folder: str) -> None:
    """Fetch an input and compare it; raises OSError, or Trouble if no program here can fetch it."""
    os.makedirs(folder, exist_ok=True)
    file = os.path.join(folder, os.path.basename(need.name))
    problems = []
    for fetch in _fetchers(address):
        with contextlib.suppress(OSError):
            os.unlink(file)
        try:
            fetch(address, file)
            _check(need, file)
        except (OSError, Trouble, subprocess.SubprocessError) as problem:
            problems.append(str(problem))
        else:
            say("fetched input {} from {}".format(need.name, address))
            return
    shutil.rmtree(folder, ignore_errors=True)
    raise Trouble("; ".join(problems) or "nothing here fetches that; JOBPROV_FETCH_COMMAND could")


def _fetchers(address: str) -> Iterator[Any]:
    """Yield what can fetch an address here, the command of the settings first."""
    if os.environ.get("JOBPROV_FETCH_COMMAND"):
        yield _fetch_by_command
    if _is_xrootd(address) and shutil.which("xrdcp"):
        yield _fetch_by_xrdcp
    if address.lower().startswith(("http://", "https://")):
        yield _fetch_by_http


def _is_xrootd(address: str) -> bool:
    return address.lower().startswith(("root://", "roots://", "xroot://", "xroots://"))


def _fetch_by_command(address: str, file: str) -> None:
    _run(_filled(os.environ["JOBPROV_FETCH_COMMAND"], address, file))


def _filled(command: str, address: str, file: str) -> List[str]:
    """Return the words of a command of the settings; no shell reads them."""
    words = shlex.split(command)
    return [word.replace("{url}", address).replace("{file}", file) for word in words]


def _fetch_by_xrdcp(address: str, file: str) -> None:
    _run(["xrdcp", "--nopbar", "--silent", address, file])


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise Trouble("{} ended with {}: {}".format(words[0], done.returncode, lines[-1][:300]))


def _fetch_by_http(address: str, file: str) -> None:
    answer = urllib.request.urlopen(address, timeout=_FETCH_SECONDS)  # noqa: S310 - http(s)
    with answer, open(file, "wb") as stream:
        shutil.copyfileobj(answer, stream, _PIECE)


def _check(need: Need, file: str) -> None:
    """Compare a file with what was recorded of the input; raises Trouble where it is another."""
    size = os.path.getsize(file)
    if need.size is not None and size != need.size:
        raise Trouble("it has {} bytes, not {}".format(size, need.size))
    for checksum in need.checksums:
        algorithm, _, value = checksum.partition(":")
        seen = _checksum(algorithm, file)
        if seen is not None:
            if seen != value.lower():
                raise Trouble("its {} is {}, not {}".format(algorithm, seen, value))
            return


def _checksum(algorithm: str, file: str) -> Optional[str]:
    """Return a checksum of a file; None for an algorithm that this does not know."""
    if algorithm == "adler32":
        value = 1
        with open(file, "rb") as stream:
            for piece in iter(lambda: stream.read(_PIECE), b""):
                value = zlib.adler32(piece, value)
        return "{:08x}".format(value & 0xFFFFFFFF)
    if algorithm in ("sha256", "md5"):
        digest = hashlib.new(algorithm)
        with open(file, "rb") as stream:
            for piece in iter(lambda: stream.read(_PIECE), b""):
                digest.update(piece)
        return digest.hexdigest()
    return None


# --- the command line ----------------------------------------------------------------------------


def read_record(data: str) -> Dict[str, Any]:
    """Return the recorded job of a bundle."""
    with open(os.path.join(data, "JOB.json"), encoding="utf-8") as stream:
        record = json.load(stream)
    return dict(record)


def told_lines(kind: str, job_id: str, places_file: str) -> Iterator[Tuple[str, str]]:
    """Yield (name, place) of the files of a job that were told beside the script."""
    if not os.path.isfile(places_file):
        return
    with open(places_file, encoding="utf-8") as stream:
        for line in stream:
            job, what, name, place = (line.rstrip("\n").split("\t") + [""] * 4)[:4]
            if (job, what) == (job_id, kind) and place:
                yield name, place


def told_outputs(job_id: str, places_file: str) -> Dict[str, str]:
    """Return the first place of each output of a job that was told beside the script."""
    places: Dict[str, str] = {}
    for name, place in told_lines("output", job_id, places_file):
        places.setdefault(name, place)
    return places


def note_before(given: argparse.Namespace) -> int:
    """Note what lies in the folders, and when; return the exit code."""
    folders = _once(os.path.realpath(folder) for folder in given.folders if os.path.isdir(folder))
    # What lies in another one of them is looked at once
    above = tuple(folder + "/" for folder in folders)
    tops = [folder for folder in folders if not folder.startswith(above)]
    with open(given.list, "w", encoding="utf-8") as stream:
        files = look(tops)
        began = os.stat(given.list).st_mtime
        json.dump({"folders": tops, "files": files, "began": began}, stream)
    return 0


def say(sentence: str) -> None:
    """Print a sentence."""
    sys.stdout.write(_printable(sentence) + "\n")
    sys.stdout.flush()


def complain(sentence: str) -> None:
    """Print a sentence about a problem."""
    sys.stderr.write("retry-job.sh: " + _printable(sentence) + "\n")
    sys.stderr.flush()


def _printable(sentence: str) -> str:
    return sentence.encode("ascii", "backslashreplace").decode("ascii")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="retry_files.py")
    commands = parser.add_subparsers(dest="command")
    stage = commands.add_parser("stage-in")
    stage.set_defaults(run=stage_in)
    for word in ("data", "folder"):
        stage.add_argument(word)
    stage.add_argument("--beside", default=".")
    stage.add_argument("--places", default=PLACES)
    before = commands.add_parser("look")
    before.set_defaults(run=note_before)
    before.add_argument("list")
    before.add_argument("folders", nargs="+")
    home = commands.add_parser("bring-home")
    home.set_defaults(run=bring_home)
    needed = (
        "before",
        "data",
        "work",
        "elsewhere",
        "output-dir",
        "rescue",
        "brought",
        "made",
        "hook",
    )
    for option in needed:
        home.add_argument("--" + option, required=True)
    home.add_argument("--places", default=PLACES)
    home.add_argument("--code", type=int, required=True)
    sidecars = commands.add_parser("bring-sidecars")
    sidecars.set_defaults(run=bring_sidecars)
    sidecars.add_argument("--brought", required=True)
    return parser


def _stop(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


def main(words: Sequence[str]) -> int:
    """Obey a command line; return the exit code."""
    # An exception, so that a half copy is taken away
    signal.signal(signal.SIGTERM, _stop)
    given = _parser().parse_args(words)
    code: int = given.run(given)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
