"""What can only be seen while a command runs.

The memory of its process tree, the libraries that it maps, open files.

A look costs some file reads below /proc; the pauses between looks are so long that looks take under
a quarter of a percent of one CPU, and a second at least. Programs that the process starts are
looked for more often, within one percent.

Source: proc(5), `task/TID/children`, `statm` and `maps`.
"""

import os
import threading
import time
from typing import Callable, Dict, List, Optional, Set

from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.running import mounts
from jobprov.provenance.capture.running.children import LOOK_SECONDS, Child, Children
from jobprov.provenance.capture.running.open_files import OpenFiles

_FIRST_SECONDS, _SHORTEST_SECONDS, _SHARE = 0.2, 1.0, 0.0025
_SHARE_FOR_PROGRAMS = 0.01
_MAPS_SECONDS = (0.2, 5.0, 60.0)  # when libraries are looked for; later every ten minutes
_MAPS_AGAIN = 600.0
_MAPS_FIELDS = 6  # proc(5): the last one is the path
_MOST_PROCESSES, _MOST_TASKS, _MOST_LIBRARIES = 500, 16, 5000
_HASH_SHARE, _HASH_SECONDS = 0.02, 5.0  # of the time that the command took; seconds at most


class Watch:
    """Looks at a process and all below it until `stop`.

    Attributes:
        peak_rss_bytes: the largest sum over the tree of a look, or None; pages that processes share
            count in each.
        libraries: paths of mapped libraries and programs.
        files: OpenFiles that it has open.
        children: what it started; None where nobody asked.
    """

    def __init__(
        self,
        process: int,
        meet: Optional[Callable[[Child], None]] = None,
        has_come_elsewhere: Optional[threading.Event] = None,
    ) -> None:
        """Watch a process.

        `meet` is told of each program that it starts. `has_come_elsewhere` is set when a file came
        outside of the job's own folders: who holds it open made it, maybe for a moment only.
        """
        self.peak_rss_bytes: Optional[int] = None
        self.libraries: Set[str] = set()
        self.files = OpenFiles(time.time())
        self.children = None if meet is None else Children(process)
        self._meet, self._has_come_elsewhere = meet, has_come_elsewhere
        self._process, self._stopped, self._began = process, threading.Event(), time.monotonic()
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._maps_due = list(_MAPS_SECONDS)

    def run(self) -> None:
        """Look again and again; returns after `stop`, or when the process is gone."""
        due = self._began + _FIRST_SECONDS
        # to load what looks has taken a moment already
        pause = _FIRST_SECONDS if self.children is None else 0.0
        while not self._stopped.wait(pause):
            begun = _cpu_seconds()
            if self.children is not None:
                self._look_for_programs(self.children)
                pause = self.children.pause(_cpu_seconds() - begun, _SHARE_FOR_PROGRAMS)
            if time.monotonic() >= due or self.children is None:
                begun = _cpu_seconds()
                if not self._look():
                    return
                rest = max(_SHORTEST_SECONDS, (_cpu_seconds() - begun) / _SHARE)
                due = time.monotonic() + rest
                pause = rest if self.children is None else pause

    def _look_for_programs(self, children: Children) -> None:
        moment = time.time()
        for child in children.look(moment):
            self.files.glimpse(child.process, moment, LOOK_SECONDS)
            self.files.add_call(child.argv, moment)
            if self._meet is not None:
                self._meet(child)
        if self._has_come_elsewhere is not None and self._has_come_elsewhere.is_set():
            self._has_come_elsewhere.clear()
            for process in children.alive:
                self.files.glimpse(process, moment, LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def list_libraries(self) -> List[str]:
        """Return lines `path, size in bytes, SHA-256`, parted by tabs, sorted.

        All have a digest or none has (`-`, where digests would take long), so that jobs of one
        release give the same bytes.
        """
        sizes: Dict[str, int] = {}
        for path in sorted(self.libraries):
            try:
                sizes[path] = os.stat(path).st_size
            except OSError:
                continue  # removed since
        clock = Clock(min(_HASH_SECONDS, _HASH_SHARE * (time.monotonic() - self._began)))
        try:
            digests = {path: hash_file(path, clock)[1] for path in sizes}
        except (OSError, OutOfTimeError):
            digests = {}
        return [
            "{}\t{}\t{}".format(path, size, digests.get(path, "-")) for path, size in sizes.items()
        ]

    def _look(self) -> bool:
        """Look once; tell whether there was something to see."""
        tree = list_tree(self._process) if self.children is None else self.children.alive
        pages = sum(_resident_pages(process) for process in tree)
        if not pages:
            return False
        self.peak_rss_bytes = max(self.peak_rss_bytes or 0, pages * self._page)
        self.files.look(tree, time.time())
        if time.monotonic() - self._began >= self._maps_due[0]:
            due = self._maps_due.pop(0)
            if not self._maps_due:
                self._maps_due.append(due + _MAPS_AGAIN)
            for process in tree:
                self._read_maps(process)
        return True

    def _read_maps(self, process: int) -> None:
        if mounts.has_own_mounts(process):
            return  # by these paths, other files lie outside
        try:
            with open("/proc/{}/maps".format(process), "rb") as stream:
                for line in stream:
                    library = _mapped_library(line)
                    if library is not None and len(self.libraries) < _MOST_LIBRARIES:
                        self.libraries.add(library)
        except OSError:
            pass  # gone, or not ours to read


def _mapped_library(line: bytes) -> Optional[str]:
    """Return the file of code that a line of `maps` is about, or None."""
    fields = line.rstrip(b"\n").split(None, _MAPS_FIELDS - 1)
    if len(fields) < _MAPS_FIELDS:
        return None
    permissions, path = fields[1], fields[5]
    is_file = path.startswith(b"/") and not path.endswith(b" (deleted)")
    return os.fsdecode(path) if b"x" in permissions and is_file else None


def _cpu_seconds() -> float:
    """Return the CPU time of this thread; Python 3.6 has no time.thread_time."""
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def list_tree(process: int) -> List[int]:
    """Return the numbers of a process and of those that it or they started, at most 500."""
    tree: List[int] = []
    waiting = [process]
    while waiting and len(tree) < _MOST_PROCESSES:
        process = waiting.pop()
        tree.append(process)
        folder = "/proc/{}/task".format(process)
        try:
            for task in os.listdir(folder)[:_MOST_TASKS]:
                with open("{}/{}/children".format(folder, task), "rb") as stream:
                    waiting.extend(int(child) for child in stream.read().split())
        except (OSError, ValueError):
            continue
    return tree


def _resident_pages(process: int) -> int:
    try:
        with open("/proc/{}/statm".format(process), "rb") as stream:
            return int(stream.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
