"""What can only be seen while a command runs.

The memory of its process tree together, the libraries that it maps, open files.

A look costs some file reads below /proc; the pauses between looks are as long as keeps them under a
quarter of a percent of one CPU, and a second at least. Source: proc(5), `task/TID/children`,
`statm` and `maps`.
"""

import os
import threading
import time

from jobprov.provenance.capture.hashing import Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.opened import OpenFiles

_FIRST_SECONDS, _SHORTEST_SECONDS, _SHARE = 0.2, 1.0, 0.0025
_MAPS_SECONDS = (0.2, 5.0, 60.0)  # when libraries are looked for; later every ten minutes
_MAPS_AGAIN = 600.0
_MOST_PROCESSES, _MOST_TASKS, _MOST_LIBRARIES = 500, 16, 5000
_HASH_SHARE, _HASH_SECONDS = 0.02, 5.0  # of the time that the command took; seconds at most


class Watch:
    """Looks at a process and all below it until `stop`.

    Attributes:
        peak_rss_bytes: the largest sum over the tree of a look, or None; pages that processes share
            count in each.
        libraries: paths of mapped libraries and programs.
        files: OpenFiles that it has open.
    """

    def __init__(self, process):
        self.peak_rss_bytes, self.libraries = None, set()
        self.files = OpenFiles(time.time())
        self._process, self._stopped, self._began = process, threading.Event(), time.monotonic()
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._maps_due = list(_MAPS_SECONDS)

    def run(self):
        """Look again and again; returns after `stop`, or when the process is gone."""
        pause = _FIRST_SECONDS
        while not self._stopped.wait(pause):
            begun = time.thread_time() if hasattr(time, "thread_time") else time.monotonic()
            if not self._look():
                return
            ended = time.thread_time() if hasattr(time, "thread_time") else time.monotonic()
            pause = max(_SHORTEST_SECONDS, (ended - begun) / _SHARE)

    def stop(self):
        """Look no more."""
        self._stopped.set()

    def list_libraries(self):
        """Return lines `path, size in bytes, SHA-256`, parted by tabs, sorted.

        Without digests where they would take long.

        All have a digest or none has, so that jobs of one release give the same bytes.
        """
        found = {}
        clock = Clock(min(_HASH_SECONDS, _HASH_SHARE * (time.monotonic() - self._began)))
        for path in sorted(self.libraries):
            try:
                found[path] = [str(os.stat(path).st_size), "-"]
            except OSError:
                continue  # removed since
        try:
            digests = {path: hash_file(path, clock)[1] for path in found}
        except (OSError, OutOfTimeError):
            digests = {}
        return [
            "\t".join([path, size, digests.get(path, none)]) for path, (size, none) in found.items()
        ]

    def _look(self):
        tree = list_tree(self._process)
        pages = [_resident_pages(process) for process in tree]
        if not any(pages):
            return False
        self.peak_rss_bytes = max(self.peak_rss_bytes or 0, sum(pages) * self._page)
        self.files.look(tree, time.time())
        if time.monotonic() - self._began >= self._maps_due[0]:
            due = self._maps_due.pop(0)
            if not self._maps_due:
                self._maps_due.append(due + _MAPS_AGAIN)
            for process in tree:
                self._read_maps(process)
        return True

    def _read_maps(self, process):
        try:
            with open("/proc/{}/maps".format(process), "rb") as stream:
                for line in stream:
                    fields = line.rstrip(b"\n").split(None, 5)
                    is_code = len(fields) == 6 and b"x" in fields[1] and fields[5].startswith(b"/")  # noqa: PLR2004 - proc(5)
                    is_there = is_code and not fields[5].endswith(b" (deleted)")
                    if is_there and len(self.libraries) < _MOST_LIBRARIES:
                        self.libraries.add(os.fsdecode(fields[5]))
        except OSError:
            pass  # gone, or not ours to read


def list_tree(process):
    """Return the numbers of a process and of those that it and its children started, 500 at most."""
    found, waiting = [], [process]
    while waiting and len(found) < _MOST_PROCESSES:
        process = waiting.pop()
        found.append(process)
        folder = "/proc/{}/task".format(process)
        try:
            for task in os.listdir(folder)[:_MOST_TASKS]:
                with open("{}/{}/children".format(folder, task), "rb") as stream:
                    waiting.extend(int(child) for child in stream.read().split())
        except (OSError, ValueError):
            continue
    return found


def _resident_pages(process):
    try:
        with open("/proc/{}/statm".format(process), "rb") as stream:
            return int(stream.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
