"""Which files a process tree has open, and its calls to SAM, as seen from outside at each look.

Between two looks nothing is seen: a time is late by the pause before it at most, and a call that
was over sooner is missed. Sources: proc(5), `PID/fd` and `PID/cmdline`; `ifdh updateFileStatus URI
PROCESS FILE STATUS`, `samweb release-file` and `samweb set-process-file-status`, as their help
texts have them.
"""

import os

_MOST_FILES, _MOST_DESCRIPTORS, _MOST_CALLS = 5000, 256, 2000
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_DELETED = " (deleted)"
_DELIVERED = frozenset(["transferred", "delivered"])


class Sighting:
    """One file: when it was first seen open, when it was no longer (None: it still was), and how late both may be."""

    def __init__(self, moment, late):
        self.opened, self.closed, self.late = moment, None, late


class OpenFiles:
    """What the looks at a process tree showed.

    Attributes:
        files: absolute path -> Sighting.
        calls: [(file name, status, seconds since 1970)] of SAM, in the order seen.
        late: longest pause before a look, in seconds.
    """

    def __init__(self, moment):
        self.files, self.calls, self.late = {}, [], 0.0
        self._last, self._known = moment, set()

    def look(self, processes, moment):
        """Look at these processes."""
        pause, self._last = moment - self._last, moment
        self.late = max(self.late, pause)
        now_open = set()
        for process in processes:
            now_open.update(_open_files(process))
            if process not in self._known:
                self._known.add(process)
                self._add_call(_words(process), moment)
        for path in now_open:
            seen = self.files.get(path)
            if seen is not None:
                seen.closed = None  # open again: the last closing counts
            elif len(self.files) < _MOST_FILES:
                self.files[path] = Sighting(moment, pause)
        for path, seen in self.files.items():
            if seen.closed is None and path not in now_open:
                seen.closed, seen.late = moment, max(seen.late, pause)

    def _add_call(self, words, moment):
        call = sam_call(words)
        if call is not None and len(self.calls) < _MOST_CALLS:
            self.calls.append((*call, moment))


def sam_call(words):
    """Return (file name, status) of a command line that tells SAM of a file, or None."""
    programs = [
        os.path.basename(word) for word in words[:2]
    ]  # the second where an interpreter runs it
    for place, program in enumerate(programs):
        rest = words[place + 1 :]
        if program == "ifdh" and len(rest) >= 5 and rest[0] == "updateFileStatus":  # noqa: PLR2004
            return os.path.basename(rest[3]), rest[4]
        if program == "samweb":
            plain = [word for word in rest if not word.startswith("-")]
            if len(plain) >= 4 and plain[0] == "set-process-file-status":  # noqa: PLR2004
                return os.path.basename(plain[2]), plain[3]
            if len(plain) >= 3 and plain[0] == "release-file":  # noqa: PLR2004
                status = [word[9:] for word in rest if word.startswith("--status=")]
                return os.path.basename(plain[2]), status[0] if status else "consumed"
    return None


def is_delivery(status):
    """Tell whether SAM's word for a file says that it was delivered.

    Any other says that it was given back.
    """
    return status in _DELIVERED


def _open_files(process):
    folder, found = "/proc/{}/fd".format(process), []
    try:
        names = os.listdir(folder)[:_MOST_DESCRIPTORS]
    except OSError:
        return found  # gone, or not ours to read
    for name in names:
        try:
            path = os.readlink("{}/{}".format(folder, name))
        except OSError:
            continue
        if path.startswith("/") and not path.startswith(_NO_FILES):
            found.append(path[: -len(_DELETED)] if path.endswith(_DELETED) else path)
    return found


def _words(process):
    try:
        with open("/proc/{}/cmdline".format(process), "rb") as stream:
            return [os.fsdecode(word) for word in stream.read(65536).split(b"\0")[:-1]]
    except OSError:
        return []
