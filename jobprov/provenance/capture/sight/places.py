"""Which of the files that appeared while a job ran are its outputs, and where they went.

A job's own folder holds outputs, and also logs, copies of inputs, and files that only helped. What
a job moved away is the same file at a further location. A file that vanished again is no output.
"""

import os
import re
import time
from typing import (
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.files.names import is_url, is_within
from jobprov.provenance.capture.files.stamps import GRANULE_SECONDS
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.running.written_files import key_of
from jobprov.provenance.capture.sight.child_programs import Copy, SeenFile

_MOST_PLACES, _MOST_ENTRIES, _SECONDS = 100, 2000, 2.0
_MOST_LEVELS, _MOST_FOLDERS = 3, 1000
_LOG_ENDS = (".log", ".out", ".err", ".stdout", ".stderr")
# Files that HTCondor, art, shells, `rucio upload`, justIN and Matplotlib leave beside what a job
# makes
_BESIDE = (
    "_condor_",
    "condor_exec",
    "core.",
    "jobprov-",
    "rucio_upload.json",
    "all-input-dids.txt",
    "justin-processed-",
    "fontlist-v",
)
_BESIDE_ENDS = (".pyc", ".tmp", ".lock", ".swp", ".jobprov")
_OF_MKTEMP = re.compile(r"tmp\.[A-Za-z0-9]{10}$")  # a name that it makes up without a template
# Of a macro that ROOT compiles (ACLiC): it has a date, and the library has the paths of this job
_DICTIONARY = "_ACLiC_dict_rdict.pcm"


class MadeFile:
    """A file that the job made.

    Attributes:
        path: absolute, where the job made it.
        place: where it is now; an address is never opened. None where nobody can tell.
        file: what it held when it was copied there; None where that was not seen.
        is_moved: whether it left its folder by a move, and so is still somewhere.
    """

    def __init__(
        self,
        path: str,
        place: Optional[str],
        file: Optional[SeenFile] = None,
        *,
        is_moved: bool = False,
    ) -> None:
        self.path, self.place, self.file, self.is_moved = path, place, file, is_moved


def files_of_own_streams() -> Set[str]:
    """Return where standard output and error lead: files of the batch system, or of who calls."""
    return {os.path.realpath("/proc/self/fd/1"), os.path.realpath("/proc/self/fd/2")}


def is_log(path: str) -> bool:
    """Tell whether a file that a program prints to is a log, by its name."""
    return path.endswith(_LOG_ENDS)


def may_be_output(path: str) -> bool:
    """Tell whether a file that appeared in the job's folder may be an output, by its name."""
    folder, name = os.path.split(path)
    stem, end = os.path.splitext(path)
    if "_ACLiC_" in name or (end in (".so", ".d") and os.path.exists(stem + _DICTIONARY)):
        return False
    if os.path.basename(folder) == "__pycache__":  # also of Numba: machine code of this one CPU
        return False
    if _OF_MKTEMP.match(name) and folder in ("/tmp", "/var/tmp", os.environ.get("TMPDIR")):  # noqa: S108
        return False
    return not (name == "core" or name.startswith(_BESIDE) or name.endswith(_BESIDE_ENDS))


class Places:
    """Finds where files went that are no longer where the job made them.

    Attributes:
        staged_in: {path in the job's folders: the copies that brought what lay there, in turn}.
        sent: {path elsewhere: where the job, which made it there, copied it} (`W=$(mktemp -d)`).
    """

    def __init__(
        self,
        copies: Iterable[Copy],
        renames: Sequence[Tuple[str, str]],
        made: Dict[str, Made],
        own_folders: Collection[str],
        further: Iterable[str],
        *,
        began: float,
        written: Mapping[Tuple[int, bytes], str],
    ) -> None:
        """`renames` are those in a storage, in turn, of files or folders: (source, target).

        `written` has the keys of files and where they were written; see `written_files`.
        """
        self._written = written
        self._stored: Optional[Dict[str, List[str]]] = None
        self._known: Optional[Set[Optional[str]]] = None  # where files of the job are
        self._made, self._own, self._began = made, tuple(own_folders), began
        self._further = list(dict.fromkeys(further))[:_MOST_PLACES]
        self._spent = 0.0  # seconds for looking into folders
        self._deeper: Optional[List[str]] = None
        self._copied: Dict[str, Tuple[str, Optional[SeenFile]]] = {}
        self.staged_in: Dict[str, List[Copy]] = {}
        self.sent: Dict[str, str] = {}
        self._sources: Dict[str, str] = {}  # {target of what was sent: its source}
        self._renames = renames
        for copy in copies:
            self._take(copy)

    def _take(self, copy: Copy) -> None:
        """Sort a copy into what comes in and what goes out."""
        target = copy.target
        was_gone = copy.file is None  # of a move that was seen late
        is_new = copy.is_new or was_gone or self._is_new(copy.source)
        is_from_job = self._is_own(copy.source) and is_new
        if is_from_job and not self._is_own(target):
            self._copied[copy.source] = (target, copy.file)
            self._sources[target] = copy.source
        elif not is_from_job and self._is_own(target):
            self.staged_in.setdefault(target, []).append(copy)
        elif copy.is_new and not (self._is_own(target) or is_log(target)):
            if copy.source not in self._sources:
                self.sent[copy.source] = target
            self._sources[target] = copy.source
            self._copied[copy.source] = (target, copy.file)

    def find(self, path: str) -> MadeFile:
        """Return where a file is that the job made at a path and that is no longer there."""
        came = self._made.get(path)
        if came is not None and self._is_at_place(came):
            return MadeFile(path, came.place, is_moved=True)
        if path in self._copied:
            place = self._place_of_copy(path)
            if not is_url(place) and not os.path.exists(place):  # renamed after the copy
                place = self._find_further(path) or self._find_written(path) or place
            return MadeFile(path, place, self._copied[path][1])
        is_moved = came is not None and came.is_moved
        return MadeFile(path, self._find_further(path), is_moved=is_moved)

    def _place_of_copy(self, path: str) -> str:
        """Return where the copy of a file is, as far as words of programs tell.

        It may have been copied on, or renamed where nobody can look.
        """
        place = self._copied[path][0]
        for _ in self._copied:  # names may go in a circle
            if place not in self._copied or os.path.exists(place):
                break
            place = self._copied[place][0]
        if not os.path.exists(place):
            for source, target in self._renames:
                if is_within(place, source):
                    place = target + place[len(source) :]
        return place

    def _is_at_place(self, file: Made) -> bool:
        """Tell whether a file lies where the kernel reported that it was moved."""
        status = None if file.place is None else self._status(file.place)
        return status is not None and (status.st_dev, status.st_ino) == file.identity

    def find_copies(self, path: str, size_bytes: int) -> Iterator[str]:
        """Yield what may be copies, elsewhere, of a file that is still there.

        They are to be compared.

        Small ones may have another name, if they came later than the file.
        """
        if path in self._copied:
            yield self._place_of_copy(path)
        for folder in self._further:
            place = os.path.join(folder, os.path.basename(path))
            if place != path and self._has_size(place, size_bytes):
                yield place
        before = self._status(path) if size_bytes <= SMALL_BYTES else None
        if before is not None and self._is_own(path):
            earliest = before.st_mtime - GRANULE_SECONDS
            for folder in self._further:
                for entry in self._entries(folder):
                    status = self._status(entry.path) if may_be_output(entry.path) else None
                    if status and status.st_size == size_bytes and status.st_ctime >= earliest:
                        yield entry.path

    def find_source(self, place: str) -> Optional[str]:
        """Return the first path of what the job copied, or copied on, to a place; else None."""
        source = None
        for _ in self._sources:  # names may go in a circle
            if place not in self._sources:
                break
            source = place = self._sources[place]
        return source

    def _has_size(self, place: str, size_bytes: int) -> bool:
        status = self._status(place)
        return status is not None and status.st_size == size_bytes

    def _find_further(self, path: str) -> Optional[str]:
        """Return where a file went by itself: a folder that the job was told of, or one below."""
        file = self._made.get(path)
        if file is None:
            return None
        place = self._find_in(self._further, path, file)
        if place is None and file.is_moved:
            if file.identity is not None:
                place = self._find_in(self._find_deeper(), path, file)
            else:  # deeper, a file of this name may be another job's
                place = self._find_written(path)
        return place

    def _find_written(self, path: str) -> Optional[str]:
        """Return where a file is that was written at a path, but for those whose place is known."""
        if self._known is None:
            self._known = {made.place for made in self._made.values()}
        for place in self.find_stored().get(path, ()):
            if place not in self._known:
                return place
        return None

    def find_stored(self) -> Dict[str, List[str]]:
        """Return {path: places of files that were written there}, found by their handles."""
        if self._stored is None:
            self._stored = {}
            folders = [*self._further, *self._find_deeper()] if self._written else []
            left = dict(self._written)  # each file once, whatever leads to it
            for entry in (entry for folder in folders for entry in self._entries(folder)):
                if self._status(entry.path) is None or self._is_own(entry.path):
                    continue
                path = left.pop(key_of(entry.path) or (0, b""), None)
                if path is not None and path != entry.path:
                    self._stored.setdefault(path, []).append(entry.path)
        return self._stored

    def _find_in(self, folders: Iterable[str], path: str, file: Made) -> Optional[str]:
        """Return where a file is in one of these folders: by its name, or by its inode."""
        for folder in folders:
            place = os.path.join(folder, os.path.basename(path))
            status = self._status(place)
            if status is not None and _may_be(file, status):
                return place
        if file.identity is None or not file.is_moved:
            return None
        for folder in folders:
            place_of_inode = self._find_inode(folder, file.identity)
            if place_of_inode is not None:
                return place_of_inode
        return None

    def _find_deeper(self) -> List[str]:
        """Return folders some levels below those that the job was told of, where something came."""
        if self._deeper is None:
            self._deeper = []
            level = list(self._further)
            for _ in range(_MOST_LEVELS):
                level = [below for folder in level for below in self._folders_in(folder)]
                for folder in level[:_MOST_FOLDERS]:
                    if folder not in self._further and self._is_changed(folder):
                        self._deeper.append(folder)
        return self._deeper

    def _folders_in(self, folder: str) -> List[str]:
        return [
            entry.path for entry in self._entries(folder) if entry.is_dir(follow_symlinks=False)
        ][:_MOST_FOLDERS]

    def _is_changed(self, folder: str) -> bool:
        try:
            return os.stat(folder).st_mtime >= self._began
        except OSError:
            return False

    def _find_inode(self, folder: str, identity: Tuple[int, int]) -> Optional[str]:
        """Return the file of a folder that is the same under another name."""
        try:
            if os.stat(folder).st_dev != identity[0]:
                return None
        except OSError:
            return None
        for entry in self._entries(folder):
            if entry.inode() == identity[1]:
                return entry.path
        return None

    def _entries(self, folder: str) -> "Iterator[os.DirEntry[str]]":
        """Yield what is in a folder, as far as there is time."""
        try:
            begun = time.monotonic()
            with os.scandir(folder) as entries:
                for number, entry in enumerate(entries):
                    self._spent += time.monotonic() - begun
                    if number >= _MOST_ENTRIES or self._spent > _SECONDS:
                        return
                    yield entry
                    begun = time.monotonic()
        except OSError:
            pass

    def _status(self, place: str) -> Optional[os.stat_result]:
        """Return the status of a file of ours that has changed since the job began, or None."""
        if self._spent > _SECONDS:
            return None
        begun = time.monotonic()
        try:
            status = os.stat(place)
        except (OSError, ValueError):
            return None
        finally:
            self._spent += time.monotonic() - begun
        is_ours = status.st_uid == os.getuid() and status.st_ctime >= self._began
        return status if is_ours and os.path.isfile(place) else None

    def _is_own(self, path: str) -> bool:
        return any(path.startswith(folder + os.sep) for folder in self._own)

    def _is_new(self, path: str) -> bool:
        return path in self._made or self._status(path) is not None


def _may_be(file: Made, status: os.stat_result) -> bool:
    """Tell whether a file of the same name elsewhere is the one that was made here.

    On one device a move keeps the inode. Across devices a move is a copy and a removal.
    """
    if not file.is_moved:
        return status.st_size > 0 and file.size_bytes in (None, status.st_size)
    if file.identity is None:  # it was gone before anybody could look
        return True
    return (status.st_dev, status.st_ino) == file.identity
