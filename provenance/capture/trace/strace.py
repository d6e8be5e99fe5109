"""strace beside a command (`--trace`): how it is put in front, held to a size, let go, and what paths its log names.

The command stays our own child, so that its end and its signals are as without (`-DD`: the tracer
is a grandchild in a group of its own). Where strace is missing, too old or not allowed, and where
the command could not be started, the command runs plain. Not used: `--seccomp-bpf`, which costs
less, since calls of a job whose strace is gone would fail.

Source: strace(1), 5.2 or newer.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from typing import Dict, List, Optional, Sequence, Set

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.trace.touched import interpreters, touched_path

LARGEST_LOG = 64 * 1024 * 1024  # bytes; a command with more is let go
MOST_PATHS = 20000
_OPTIONS = (
    "-DD",
    "-f",
    "-q",
    "-z",
    "-y",
    "-s",
    "1",
    "-e",
    "trace=%file",
    "-e",
    "signal=none",
    "-I2",
)
_START = ("/bin/sh", "-c", "exec env true")  # what a rerun inside a capsule starts a step with
_PROBE_SECONDS, _END_SECONDS, _LOOK_SECONDS, _PAUSE_SECONDS = 5.0, 2.0, 1.0, 0.02
_MOST_INTERPRETERS = 5
_LOG_END_BYTES = 1 << 20
_WRITES = re.compile(rb"\bO_(?:WRONLY|RDWR|CREAT|TRUNC)\b")


class Trace:
    """strace for one command.

    Attributes:
        words: what is put before the command; none where it runs plain.
        notes: sentences about what was not traced, and why.
        process: number of the command's process, once it runs.
        began: seconds since 1970, before the command.
        written: paths that the command opened to write; known after `end`.
    """

    def __init__(self, argv: Sequence[str], spool: Optional[str]) -> None:
        self.words: List[str] = []
        self.notes: List[str] = []
        self.process: Optional[int] = None
        self.written: Set[str] = set()
        self.began = time.time()
        self._folder = ""  # none yet
        self._is_cut = False
        program, strace = arguments.which(argv[0]), arguments.which("strace")
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
        words = [strace, *_OPTIONS, "-o"]
        try:
            process = subprocess.Popen(
                [*words, self._log("start"), "--", *_START],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._forget()
            raise
        try:
            code = process.wait(_PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code == 0 and self._has_ended("start", process.pid):
            self.words = [*words, self._log("command"), "--"]
        else:
            self.notes.append(
                "trace: strace is too old or may not trace here, the command ran without"
            )

    def follow(self, ended: threading.Event) -> None:
        """Let the command go on alone once the log is large; returns when it ended."""
        while self.words and not ended.wait(_LOOK_SECONDS):
            try:
                is_large = os.stat(self._log("command")).st_size > LARGEST_LOG
            except OSError:
                continue
            if is_large:
                self._is_cut = True
                self._let_go()
                return

    def end(self) -> Optional[List[str]]:
        """Return the paths that the command touched, each once, in their order.

        None where it was not traced.
        """
        if not self.words or self.process is None:
            self._forget()
            return None
        if not self._is_cut and not self._has_ended("command", self.process):
            self.notes.append("trace: strace did not see the end of the command")
        self._let_go()  # of what the command left behind
        try:
            return self._read()
        finally:
            self._forget()

    def _read(self) -> List[str]:
        """Return the paths that were only read, and note those that were written."""
        paths: Dict[str, None] = {}
        for name in ("start", "command"):
            with open(self._log(name), "rb") as lines:
                for line in lines:
                    self._add(line, paths)
                    if len(paths) > MOST_PATHS:
                        self.notes.append(
                            "trace: cut, the command touched more than {} paths".format(MOST_PATHS)
                        )
                        return list(paths)
        if self._is_cut:
            self.notes.append("trace: cut, the command's calls filled {} bytes".format(LARGEST_LOG))
        return list(paths)

    def _add(self, line: bytes, paths: Dict[str, None]) -> None:
        path = touched_path(line)
        if path is None:
            return
        if _WRITES.search(line):
            self.written.add(os.path.normpath(path))
        elif path not in paths:
            paths[path] = None
            paths.update(dict.fromkeys(interpreters(path)))

    def _log(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _has_ended(self, name: str, process: int) -> bool:
        """Wait a moment for strace to note the end of a process; tell whether it did."""
        mark, end = (
            re.compile(rb"^%d +\+\+\+ " % process, re.MULTILINE),
            time.monotonic() + _END_SECONDS,
        )
        while True:
            try:
                with open(self._log(name), "rb") as stream:
                    stream.seek(max(0, os.fstat(stream.fileno()).st_size - _LOG_END_BYTES))
                    if mark.search(stream.read()):
                        return True
            except OSError:
                pass
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)

    def _let_go(self) -> None:
        """End the tracer; it lets its processes go on.

        It is known by its log, which no other program is given.
        """
        log = os.fsencode(self._log("command"))
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/{}/cmdline".format(number), "rb") as stream:
                    words = stream.read(65536).split(b"\0")
                if log in words and os.path.basename(words[0]) == b"strace":
                    os.kill(int(number), signal.SIGTERM)
            except OSError:
                continue  # gone, or not ours

    def _forget(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def can_start(path: str, depth: int = 0) -> bool:
    """Tell whether the kernel would surely start a file.

    Only then the end of strace is the end of the command.
    """
    if depth > _MOST_INTERPRETERS or not os.path.isfile(path) or not os.access(path, os.X_OK):
        return False
    head = _head(path)
    if head.startswith(b"#!"):
        programs = interpreters(path)
        return bool(programs) and can_start(programs[0], depth + 1)
    own = _head("/proc/self/exe")
    # class and byte order, kind and machine: as this Python has them
    return head[:4] == b"\x7fELF" and (head[4:6], head[18:20]) == (own[4:6], own[18:20])


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(32)
    except OSError:
        return b""
