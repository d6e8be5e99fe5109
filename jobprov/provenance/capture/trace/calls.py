"""What the lines of strace tell: how a command used which path first, and whom it talked to.

The order counts: a file that the command itself made is no input when it is read later.

Sources: strace(1), `-f`, `-y` and `-o`; open(2), rename(2), connect(2).
"""

import functools
import os
import re
from typing import Dict, List, Set, Tuple

from jobprov.provenance.capture.command.arguments import is_of_machine
from jobprov.provenance.capture.files.names import normal_path
from jobprov.provenance.capture.files.private import withhold
from jobprov.provenance.capture.files.standard_input import asks_for_secret
from jobprov.provenance.capture.trace.touched import interpreters, plain

MOST_PATHS = 20000
_MOST_HOSTS = 100
# How a path was used first: made new, opened to be changed, looked at, read, executed
MADE, CHANGED, LOOKED_AT, READ, EXECUTED = range(5)

_CALL = re.compile(rb"(\w+)\((.*)", re.DOTALL)
_PATH = re.compile(rb'(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_HERE = re.compile(rb"AT_FDCWD<((?:[^>\\]|\\.)*)>")
_DESCRIPTOR = re.compile(rb"\d+<((?:[^>\\]|\\.)*)>")
_TO_STDIN = re.compile(rb"\d+<((?:[^>\\]|\\.)*)>, 0\b")
_FAILED = re.compile(rb"= -1 (E[A-Z0-9]+) \([^()]*\)\s*$")
_MADE_NEW = re.compile(rb"\bO_(?:TRUNC|EXCL)\b")
_TO_WRITE = re.compile(rb"\bO_(?:WRONLY|RDWR)\b")
_PORT = re.compile(rb"sin6?_port=htons\((\d+)\)")
_ADDRESS = re.compile(rb'(?:inet_addr\(|AF_INET6, )"([0-9A-Fa-f.:]+)"')
_SEARCH = "search "
_UNFINISHED = b"<unfinished ...>"
_OPENING = frozenset([b"open", b"openat", b"openat2"])
# Their last path is new; of a link or a new name the first one is read
_MAKING = frozenset(
    b"creat mkdir mkdirat mknod mknodat rename renameat renameat2 link linkat symlink"
    b" symlinkat".split()
)
_GOING = frozenset([b"unlink", b"unlinkat"])
_BEGINNING = frozenset(b"clone clone3 fork vfork".split())
# Those for which a rerun has a stand-in
STORAGE_CLIENT = re.compile(rb"(?:gfal-\w+|globus-url-copy|ifdh|xrdcp|xrdfs)$")
TRACED = (
    "?open ?openat ?openat2 ?creat ?execve ?execveat ?stat ?lstat ?newfstatat ?stat64 ?lstat64"
    " ?fstatat64 ?statx ?access ?faccessat ?faccessat2 ?readlink ?readlinkat ?chdir ?fchdir"
    " ?getdents ?getdents64 ?mkdir ?mkdirat ?mknod ?mknodat ?rename ?renameat ?renameat2 ?link"
    " ?linkat ?symlink ?symlinkat ?unlink ?unlinkat ?truncate ?connect ?dup2 ?dup3 ?clone"
    " ?clone3 ?fork ?vfork"
).replace(" ", ",")


class Calls:
    """Takes in the lines of strace's log, one after the other.

    Attributes:
        uses: {absolute path: how it was used first}, in the order of the first use.
        written: paths that were made or opened to be changed at any time.
        listed: folders whose entries were read.
        searched: those that Python's importer listed, as far as that can be told.
        hosts: `address:port` of what the command connected to, but for its storage clients.
        absent: paths outside of the system that were looked for and were not there.
        absent_left_out: how often one was that is not among them, since there were too many.
        is_full: whether there were more paths than are kept.
    """

    def __init__(self, folder: str) -> None:
        """Begin; `folder` is the one that the command runs in."""
        self.uses: Dict[str, int] = {}
        self.written: Set[str] = set()
        self.listed: Set[str] = set()
        self.searched: Set[str] = set()
        self.hosts: Set[str] = set()
        self.absent: Set[str] = set()
        self.absent_left_out = 0
        self.is_full = False
        self._folder = folder
        self._folders: Dict[bytes, str] = {}  # process -> the folder that it is in
        # By process: names of files, until its folder is known
        self._waiting: Dict[bytes, List[Tuple[str, int]]] = {}
        self._unfinished: Dict[bytes, bytes] = {}
        self._pythons: Set[bytes] = set()
        self._clients: Set[bytes] = set()  # storage clients, with their threads and children
        self._connections: Dict[bytes, Set[str]] = {}  # by process, until that ends
        self._last: Dict[bytes, str] = {}  # process -> the path of the call before
        self._stdin: Dict[bytes, str] = {}  # process -> the file that it has for standard input

    def take(self, line: bytes) -> None:
        """Take in a line."""
        process, _, text = line.strip().partition(b" ")
        text = text.lstrip()
        if text.endswith(_UNFINISHED):
            self._unfinished[process] = text[: -len(_UNFINISHED)]
            return
        if text.startswith(b"<... "):
            text = self._unfinished.pop(process, b"") + text.partition(b" resumed>")[2]
        elif text.startswith(b"+++"):
            self._forget(process)
            return
        call = _CALL.match(text)
        if call is None:
            return
        name, words = call.groups()
        failed = _FAILED.search(words)
        if name == b"connect":
            self._connect(process, words)
        elif name in _BEGINNING and process in self._clients:
            self._clients.update(words.rpartition(b"= ")[2].split()[:1])
        elif failed is None:
            self._note_folder(process, words)
            self._take_call(process, name, words)
        elif failed.group(1) == b"ENOENT" and name not in _GOING:
            self._note_absent(process, words)

    def finish(self) -> None:
        """Forget the processes whose end was not seen."""
        for process in [*self._waiting, *self._connections]:
            self._forget(process)

    def _take_call(self, process: bytes, name: bytes, words: bytes) -> None:
        if name in (b"dup2", b"dup3"):
            match = _TO_STDIN.match(words)
            if match is not None:
                self._stdin[process] = plain(match.group(1))
            return
        if name in (b"getdents", b"getdents64", b"fchdir"):
            match = _DESCRIPTOR.match(words)
            if match is not None:
                self._enter(process, name, plain(match.group(1)))
            return
        found = _PATH.findall(words)
        if found:
            self._take_paths(process, name, words, found)

    def _note_absent(self, process: bytes, words: bytes) -> None:
        found = _PATH.match(words)
        if found is None:
            return
        folder, name = found.groups(b"")
        if not (name.startswith(b"/") or folder or process in self._folders):
            return
        path = normal_path(self._absolute(process, folder, name))
        if is_of_machine(path) or path in self.absent:
            return
        if len(self.absent) < MOST_PATHS:
            self.absent.add(path)
        else:
            self.absent_left_out += 1

    def _take_paths(
        self, process: bytes, name: bytes, words: bytes, found: List[Tuple[bytes, bytes]]
    ) -> None:
        if name in _OPENING:
            self._use(process, found[0], _use_of_open(words))
        elif name in (b"execve", b"execveat"):
            self._use(process, found[0], EXECUTED)
            self._note_program(process, self._absolute(process, *found[0]))
            self._keep_secret(process, [plain(word) for word in _WORD.findall(words)])
        elif name in _MAKING or name in _GOING:
            self._take_change(process, name, found)
        elif name == b"truncate":
            self._use(process, found[0], CHANGED)
        elif found[0][1]:  # else `fstat` of a file that is open already
            self._use(process, found[0], LOOKED_AT)
        if name == b"chdir":
            self._place_waiting(process, self._folders.get(process, self._folder))
            folder = self._absolute(process, *found[0])
            self._folders[process] = normal_path(folder)

    def _note_program(self, process: bytes, path: str) -> None:
        if STORAGE_CLIENT.match(os.fsencode(os.path.basename(path))):
            self._clients.add(process)
        if _runs_python(path):
            self._pythons.add(process)
        else:
            self._pythons.discard(process)

    def _keep_secret(self, process: bytes, argv: List[str]) -> None:
        """Keep the file from which a program reads a secret: `kinit < FILE`.

        A shell may have redirected its own input, and no line says who began the program.
        """
        if asks_for_secret(argv):
            own = self._stdin.get(process)
            for path in self._stdin.values() if own is None else [own]:
                withhold(path)

    def _take_change(self, process: bytes, name: bytes, found: List[Tuple[bytes, bytes]]) -> None:
        if name.startswith(b"unlink"):  # what comes in its place is new
            self._use(process, found[0], MADE)
        elif name.startswith((b"rename", b"link")):  # its bytes are what the new name has
            self._use(process, found[0], READ)
        if name in _MAKING:
            self._use(process, found[-1], MADE)

    def _enter(self, process: bytes, name: bytes, folder: str) -> None:
        """Note that a process went into a folder, or read its entries."""
        if name == b"fchdir":
            self._folders[process] = folder
        elif self._last.get(process) == _SEARCH + folder:
            self.searched.add(folder)
        else:
            self.listed.add(folder)

    def _note_folder(self, process: bytes, words: bytes) -> None:
        here = _HERE.search(words)
        if here is not None:
            folder = plain(here.group(1))
            self._folders[process] = folder
            if process in self._waiting:
                self._place_waiting(process, folder)

    def _place_waiting(self, process: bytes, folder: str) -> None:
        for path, use in self._waiting.pop(process, ()):
            self._add(normal_path(os.path.join(folder, path)), use)

    def _use(self, process: bytes, found: Tuple[bytes, bytes], use: int) -> None:
        folder, name = found
        if not name.startswith(b"/") and not folder and process not in self._folders:
            self._waiting.setdefault(process, []).append((plain(name), use))
            return
        path = self._absolute(process, folder, name)
        if "/../" in path:
            self._add_ways(path)
        path = normal_path(path)
        self._add(path, use)
        if process in self._pythons:
            # Its importer looks at a folder and lists it at once, to find modules
            is_search = use == READ and self._last.get(process) == path
            self._last[process] = _SEARCH + path if is_search else path

    def _add_ways(self, path: str) -> None:
        """Take in the folders before `..`: without them the kernel finds no `$ORIGIN/../lib`."""
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part == "..":
                self._add(normal_path("/".join(parts[:place])), LOOKED_AT)

    def _absolute(self, process: bytes, folder: bytes, name: bytes) -> str:
        if name.startswith(b"/"):
            return plain(name)
        within = plain(folder) if folder else self._folders.get(process, self._folder)
        return os.path.join(within, plain(name))

    def _add(self, path: str, use: int) -> None:
        if use in (MADE, CHANGED):
            self.written.add(path)
        before = self.uses.get(path)
        if before is None:
            if len(self.uses) >= MOST_PATHS:
                self.is_full = True
                return
            self.uses[path] = use
        elif before == LOOKED_AT:
            # It was there; what is made anew in its place was not read before
            self.uses[path] = use
        elif use == EXECUTED and before == READ:
            self.uses[path] = use
        if use == EXECUTED and before != EXECUTED:
            for program in interpreters(path):
                self._add(program, EXECUTED)

    def _connect(self, process: bytes, words: bytes) -> None:
        port, address = _PORT.search(words), _ADDRESS.search(words)
        hosts = self._connections.setdefault(process, set())
        if port is not None and address is not None and len(hosts) < _MOST_HOSTS:
            text = address.group(1).decode("ascii")
            text = "[{}]".format(text) if ":" in text else text
            hosts.add("{}:{}".format(text, port.group(1).decode("ascii")))

    def _forget(self, process: bytes) -> None:
        """Forget a process that ended; another one may get its number.

        Only now it is sure whether it was a thread of a storage client.
        """
        self._place_waiting(process, self._folders.get(process, self._folder))
        hosts = self._connections.pop(process, set())
        if process not in self._clients and len(self.hosts) < _MOST_HOSTS:
            self.hosts |= hosts
        self._clients.discard(process)
        for known in (self._folders, self._unfinished, self._last, self._stdin):
            known.pop(process, None)
        self._pythons.discard(process)


@functools.lru_cache(maxsize=1024)
def _runs_python(path: str) -> bool:
    """Tell whether a program is Python, or a script that names it (`#!/usr/bin/python3 -s`)."""
    programs = [path, *interpreters(path)]
    return any(os.path.basename(program).startswith("python") for program in programs)


def _use_of_open(words: bytes) -> int:
    if _MADE_NEW.search(words) and _TO_WRITE.search(words):
        return MADE
    return CHANGED if _TO_WRITE.search(words) else READ


def split_host(host: str) -> Tuple[str, int]:
    """Return (address, port) of one of the hosts."""
    address, _, port = host.rpartition(":")
    return address.strip("[]"), int(port)
