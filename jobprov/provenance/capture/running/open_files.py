"""Which files a process tree has open, and what it tells SAM and the data dispatcher of files.

As seen from outside at each look. Between two looks nothing is seen: a time is late by the pause
before it at most.

Sources: proc(5), `PID/fd` and `PID/cmdline`; `ifdh updateFileStatus URI PROCESS FILE STATUS`,
`samweb release-file` and `samweb set-process-file-status`, as their help texts have them;
`ddisp worker done` and `failed` of datadispatcher_client 2.0; the lists that a jobscript of justIN
leaves, as justin(1) and its wrapper job have them.
"""

import os
from typing import Dict, Iterable, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.private import withhold
from jobprov.provenance.capture.files.standard_input import asks_for_secret
from jobprov.provenance.capture.running import mounts
from jobprov.provenance.capture.running.written_files import key_of

_MOST_FILES, _MOST_DESCRIPTORS, _MOST_CALLS = 5000, 256, 2000
_MOST_LIST_BYTES = 1 << 20
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_DELETED = " (deleted)"
_DELIVERED = frozenset(["transferred", "delivered"])
# By justin-get-file, then by the jobscript, in its working folder
_JUSTIN_LISTS = (
    ("all-input-dids.txt", "delivered"),
    ("justin-processed-dids.txt", "consumed"),
    ("justin-processed-pfns.txt", "consumed"),
)


class Sighting:
    """One file: when it was seen open first and no longer, None if it still was.

    And how late both may be.
    """

    def __init__(self, moment: float, late: float) -> None:
        self.opened, self.late = moment, late
        self.closed: Optional[float] = None


class FileCall:
    """What a job tells of one of its input files, and when, in seconds since 1970.

    Attributes:
        namespace: None where the file is SAM's, or is told by its place.
        status: SAM's word.
        moment: 0 where nobody can tell.
    """

    def __init__(self, name: str, status: str, namespace: Optional[str] = None) -> None:
        self.name, self.status, self.namespace = name, status, namespace
        self.moment = 0.0


class OpenFiles:
    """What the looks at a process tree showed.

    Attributes:
        files: absolute path -> Sighting.
        calls: those of SAM and the data dispatcher, in the order seen.
        written: {path that was open for writing: key of the file, or None}; see `written_files`.
        late: longest pause before a look, in seconds.
    """

    def __init__(self, moment: float) -> None:
        self.files: Dict[str, Sighting] = {}
        self.calls: List[FileCall] = []
        self.late = 0.0
        self.written: Dict[str, Optional[Tuple[int, bytes]]] = {}
        self._last_look = moment
        self._modes_read: Set[Tuple[int, str]] = set()

    def look(self, processes: Iterable[int], moment: float) -> None:
        """Look at these processes."""
        pause, self._last_look = moment - self._last_look, moment
        self.late = max(self.late, pause)
        now_open: Set[str] = set()
        for process in processes:
            now_open.update(self.look_at(process))
        self._note_open(now_open, moment, pause)
        for path, sighting in self.files.items():
            if sighting.closed is None and path not in now_open:
                sighting.closed, sighting.late = moment, max(sighting.late, pause)

    def glimpse(self, process: int, moment: float, pause: float) -> None:
        """Look at one process at once: before the next look it may be over, or its file closed."""
        self._note_open(set(self.look_at(process)), moment, pause)

    def look_at(self, process: int) -> List[str]:
        """Return the files that one process has open now, and note which of them for writing."""
        descriptors = _open_files(process)
        for path, descriptor in descriptors:
            # each time: the process may have been a shell that was about to run the command
            if descriptor == "0" and asks_for_secret(_words(process)):
                withhold(path)
            key = (process, path)
            if key not in self._modes_read and len(self._modes_read) < _MOST_FILES:
                self._modes_read.add(key)
                if _is_writing(process, descriptor):
                    self.written[path] = key_of(path)
        return [path for path, _ in descriptors]

    def _note_open(self, now_open: Set[str], moment: float, pause: float) -> None:
        for path in now_open:
            sighting = self.files.get(path)
            if sighting is not None:
                sighting.closed = None  # open again: the last closing counts
            elif len(self.files) < _MOST_FILES:
                self.files[path] = Sighting(moment, pause)

    def add_call(self, words: List[str], moment: float) -> None:
        """Take in the command line of a program, which may tell of a file."""
        call = file_call(words)
        if call is not None and len(self.calls) < _MOST_CALLS:
            call.moment = moment
            self.calls.append(call)


def file_call(words: List[str]) -> Optional[FileCall]:
    """Return what a command line tells of a file, or None."""
    for place, word in enumerate(words[:2]):  # the second where an interpreter runs the program
        program, rest = os.path.basename(word), words[place + 1 :]
        call = None
        if program == "ifdh":
            call = _ifdh_call(rest)
        elif program == "samweb":
            call = _samweb_call(rest)
        elif program == "ddisp":
            call = _dispatcher_call(rest)
        if call is not None:
            return call
    return None


def _ifdh_call(words: List[str]) -> Optional[FileCall]:
    """Read `updateFileStatus URI PROCESS FILE STATUS`."""
    if words[:1] == ["updateFileStatus"] and len(words) >= 5:  # noqa: PLR2004
        return FileCall(os.path.basename(words[3]), words[4])
    return None


def _samweb_call(words: List[str]) -> Optional[FileCall]:
    """Read what a job reports of its files, after options such as `-e nova`.

    As `set-process-file-status (PROCESS | PROJECT ID) FILE STATUS` and `release-file
    [--status=STATUS] (PROCESS | PROJECT ID) FILE`, where all but `ok` means skipped.
    """
    text = " ".join(words).replace("--status ", "--status=")
    words = text.split()
    plain = [word for word in words if not word.startswith("-")]
    if "set-process-file-status" in plain[:-3]:
        return FileCall(os.path.basename(plain[-2]), plain[-1])
    if "release-file" in plain[:-2]:
        is_consumed = "--status=" not in text or "--status=ok" in words
        return FileCall(os.path.basename(plain[-1]), "consumed" if is_consumed else "skipped")
    return None


def _dispatcher_call(words: List[str]) -> Optional[FileCall]:
    """Read `worker (done | failed) [OPTIONS] PROJECT NAMESPACE:NAME`."""
    namespace, _, name = words[-1].partition(":") if words else ("", "", "")
    if name and words[:2] == ["worker", "done"]:
        return FileCall(name, "consumed", namespace)
    if name and words[:2] == ["worker", "failed"]:
        return FileCall(name, "failed", namespace)
    return None


def justin_calls() -> List[FileCall]:
    """Return which files justIN gave to the jobscript, and which this lists as processed."""
    calls: List[FileCall] = []
    for name, status in _JUSTIN_LISTS if "JUSTIN_PATH" in os.environ else ():
        try:
            with open(name, encoding="utf-8") as stream:
                lines = stream.read(_MOST_LIST_BYTES).split()
        except (OSError, ValueError):
            continue
        for line in lines[:_MOST_CALLS]:
            if "/" in line:  # a PFN
                calls.append(FileCall(os.path.basename(line), status))
            elif ":" in line:  # else it stands for no file: monte-carlo-1234-000001
                namespace, _, did_name = line.partition(":")
                calls.append(FileCall(did_name, status, namespace))
    return calls


def is_delivery(status: str) -> bool:
    """Tell whether SAM's word for a file means that it was delivered.

    Any other that it was given back.
    """
    return status in _DELIVERED


def _open_files(process: int) -> List[Tuple[str, str]]:
    """Return [(path, descriptor)] of the files that a process has open."""
    folder = "/proc/{}/fd".format(process)
    try:
        names = os.listdir(folder)[:_MOST_DESCRIPTORS]
    except OSError:
        return []  # gone, or not ours to read
    found = []
    is_elsewhere = mounts.has_own_mounts(process)
    for name in names:
        try:
            path = os.readlink("{}/{}".format(folder, name))
        except OSError:
            continue
        if path.startswith("/") and not path.startswith(_NO_FILES):
            path = path[: -len(_DELETED)] if path.endswith(_DELETED) else path
            if is_elsewhere:
                path = mounts.seen_here(process, path)
            found.append((path, name))
    return found


def _is_writing(process: int, descriptor: str) -> bool:
    """Tell whether a file is open for writing.

    Source: proc(5), `flags` of fdinfo are octal, as open(2) has them.
    """
    try:
        with open("/proc/{}/fdinfo/{}".format(process, descriptor), "rb") as stream:
            for line in stream:
                if line.startswith(b"flags:"):
                    return bool(int(line.split()[1], 8) & os.O_ACCMODE)
    except (OSError, ValueError, IndexError):
        pass
    return False


def _words(process: int) -> List[str]:
    try:
        with open("/proc/{}/cmdline".format(process), "rb") as stream:
            words = stream.read(65536).split(b"\0")[:-1]
    except OSError:
        return []
    return [os.fsdecode(word) for word in words]
