"""strace beside a command (`--trace`): how it is put in front, followed and held to a size.

The command stays our own child, so that its end and its signals are as without (`-DD`: the tracer
is a grandchild in a group of its own). Where strace is missing, too old or not allowed, and where
the command could not be started, the command runs plain.

With `--seccomp-bpf` only the calls stop that are of interest. Then strace is never ended before its
processes: without it these calls would fail. Where a limit may end it, it runs without. Its log is
read while it grows, and what was read is given back to the disk.

Source: strace(1), 5.4 or newer; fallocate(2).
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from typing import BinaryIO, List, Optional, Sequence, Set

from jobprov.provenance.capture.command.arguments import which
from jobprov.provenance.capture.files import folders, stamps
from jobprov.provenance.capture.trace.calls import TRACED, Calls
from jobprov.provenance.capture.trace.limits import find_strace, is_limited
from jobprov.provenance.capture.trace.touched import head_of, interpreters

LARGEST_LOG = 64 * 1024 * 1024  # bytes that wait on a disk that takes nothing back
_FAST = "--seccomp-bpf"
_OPTIONS = (  # so many words of a command line, and characters of each: for `calls`
    *("-DD", "-f", "-q", "-y", "-s", "32", "-I2"),
    *("-e", "trace=" + TRACED, "-e", "signal=none"),
    "-A",  # what is cut off stays cut off
)
_START = ("/bin/sh", "-c", "exec env true")  # what a rerun inside a capsule starts a step with
_PROBE_SECONDS, _END_SECONDS, _LOOK_SECONDS, _PAUSE_SECONDS = 5.0, 2.0, 1.0, 0.02
_LEFT_SECONDS = 0.2
_MOST_INTERPRETERS = 5
_MOST_THERE, _THERE_SECONDS = 5000, 0.2  # of the files that were in the job's folder
_MOST_ENDED = 100000  # processes whose end is remembered
_PIECE = 1 << 20
_PUNCH_HOLE = 0x1 | 0x2  # FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE
# Holds the log of processes that were left behind to a size, and removes it with the last of them
_SWEEP = 'while kill -0 "$1" 2>/dev/null; do sleep 20; : >"$2/command"; done; rm -rf "$2"'


class Trace:
    """strace for one command.

    Attributes:
        words: what is put before the command; none where it runs plain.
        notes: sentences about what was not traced, and why.
        why_incomplete: why something that was touched may be missing, else None.
        process: number of the command's process, once it runs.
        calls: what the command was seen to do; whole after `end`.
        began: seconds since 1970, before the command.
        there: files that were in its folder then, as far as they could be looked at.
    """

    def __init__(self, argv: Sequence[str], spool: Optional[str]) -> None:
        self.words: List[str] = []
        self.notes: List[str] = []
        self.why_incomplete: Optional[str] = None
        self.process: Optional[int] = None
        self.calls = Calls(os.getcwd())
        self.began = stamps.now()
        self.there: Set[str] = set()
        self._folder = ""  # none yet
        self._log: Optional[_Log] = None
        self._is_over = False
        program, strace = which(argv[0]), find_strace()
        if strace is None:
            self.notes.append("trace: there is no strace on PATH, the command ran without")
        elif program is None or not can_start(program):
            self.notes.append(
                "trace: {} is no program that strace can start, it ran without".format(argv[0])
            )
        else:
            self._prepare(strace, spool)

    def _prepare(self, strace: str, spool: Optional[str]) -> None:
        """Try strace with the first thing that a rerun starts; that log counts too."""
        self._folder = tempfile.mkdtemp(prefix="trace-", dir=spool)
        ways = [[strace, *_OPTIONS, "-o"]]
        if not is_limited():
            ways.insert(0, [strace, _FAST, *_OPTIONS, "-o"])
        for words in ways:
            if self._try([*words, self._path("start"), "--", *_START]):
                self.words = [*words, self._path("command"), "--"]
                self._log = _Log(self._path("command"), self.calls)
                self.there = _files_below(os.getcwd())
                return
        self.notes.append("trace: strace is too old or may not trace here, the command ran without")

    def _try(self, words: Sequence[str]) -> bool:
        """Tell whether strace follows a command to its end, and says nothing of its own."""
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError:
            self._forget()
            raise
        try:
            said = process.communicate(timeout=_PROBE_SECONDS)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False
        log = _Log(self._path("start"), self.calls)
        return process.returncode == 0 and not said and log.wait_for_end(process.pid)

    def follow(self, ended: threading.Event) -> None:
        """Read the log while the command runs; returns when it ended."""
        while self._log is not None and not ended.wait(_LOOK_SECONDS):
            self._log.read()

    def end(self) -> Optional[Calls]:
        """Return what the command did; None where it was not traced."""
        if self._log is None or self.process is None:
            self._forget()
            return None
        if not self._is_over:
            self._is_over = True
            if not self._log.wait_for_end(self.process):
                self.why_incomplete = "strace did not see the end of the command"
            self.calls.finish()
            if self.calls.is_full:
                self.why_incomplete = "the command touched more paths than are kept"
            elif self._log.is_cut:
                self.why_incomplete = "the log of the command's calls was too large"
            self._leave_behind()
        return self.calls

    def _leave_behind(self) -> None:
        """Let the tracer go on with processes that the command left, where they need it."""
        end = time.monotonic() + _LEFT_SECONDS
        while self._tracers() and time.monotonic() < end:
            time.sleep(_PAUSE_SECONDS)
        for tracer in self._tracers():
            if _FAST in self.words:
                subprocess.Popen(
                    ["/bin/sh", "-c", _SWEEP, "sh", str(tracer), self._folder],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                return
            os.kill(tracer, signal.SIGTERM)
        self._forget()

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _tracers(self) -> List[int]:
        """Return the number of the tracer, where it still runs.

        It is known by its log, which no other program is given.
        """
        tracers = []
        log = os.fsencode(self._path("command"))
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/{}/cmdline".format(number), "rb") as stream:
                    words = stream.read(65536).split(b"\0")
            except OSError:
                continue  # gone, or not ours
            if log in words and os.path.basename(words[0]) == b"strace":
                tracers.append(int(number))
        return tracers

    def _forget(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Log:
    """A log of strace, read while it grows. Each line is read once.

    Attributes:
        is_cut: whether a part was lost, since the disk takes nothing back.
    """

    def __init__(self, path: str, calls: Calls) -> None:
        self.is_cut = False
        self._path, self._calls = path, calls
        self._place, self._rest = 0, b""
        self._ended: List[bytes] = []
        self._lock = threading.Lock()

    def read(self) -> None:
        """Take in what is new."""
        with self._lock:
            try:
                with open(self._path, "r+b") as stream:
                    self._read(stream)
            except OSError:
                pass  # not there yet

    def _read(self, stream: BinaryIO) -> None:
        stream.seek(self._place)
        while True:
            piece = stream.read(_PIECE)
            if not piece:
                break
            self._place += len(piece)
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            for line in lines:
                self._take(line)
            if not _give_back(stream.fileno(), self._place) and self._place > LARGEST_LOG:
                stream.truncate(0)
                stream.seek(0)
                self._place, self._rest, self.is_cut = 0, b"", True

    def _take(self, line: bytes) -> None:
        if b" +++ " in line:
            self._ended.append(line.split(None, 1)[0])
            del self._ended[:-_MOST_ENDED]
        if not self._calls.is_full:
            self._calls.take(line)

    def wait_for_end(self, process: int) -> bool:
        """Wait a moment for strace to note the end of a process; tell whether it did."""
        number, end = str(process).encode("ascii"), time.monotonic() + _END_SECONDS
        while True:
            self.read()
            if number in self._ended:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)


def _give_back(descriptor: int, size: int) -> bool:
    """Give the first bytes of a file back to the disk; its size stays. Tell whether that worked."""
    try:
        fallocate = ctypes.CDLL(None).fallocate
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        return bool(fallocate(descriptor, _PUNCH_HOLE, 0, size) == 0)
    except (OSError, AttributeError):
        return False


def _files_below(folder: str) -> Set[str]:
    """Return the files in a job's own folder and below it, as many as can be listed in a moment."""
    found: Set[str] = set()
    end = time.monotonic() + _THERE_SECONDS
    for parent, _, names in os.walk(folder) if folders.is_own_start(folder) else ():
        found.update(os.path.join(parent, name) for name in names)
        if len(found) > _MOST_THERE or time.monotonic() > end:
            break
    return found


def can_start(path: str, depth: int = 0) -> bool:
    """Tell whether the kernel would surely start a file.

    Only then the end of strace is the end of the command.
    """
    if depth > _MOST_INTERPRETERS or not os.path.isfile(path) or not os.access(path, os.X_OK):
        return False
    head = head_of(path)
    if head.startswith(b"#!"):
        programs = interpreters(path)
        return bool(programs) and can_start(programs[0], depth + 1)
    own = head_of("/proc/self/exe")
    # class and byte order, kind and machine: as this Python has them
    return head[:4] == b"\x7fELF" and (head[4:6], head[18:20]) == (own[4:6], own[18:20])
