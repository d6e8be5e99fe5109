"""The inventory of what a traced command touched.

A listing that jobs of one release share, and which of its files may go.

One line a path, its cells parted by tabs, in the order of their bytes:

    PATH  dir
    PATH  link  TARGET
    PATH  file  MODE  SIZE  SHA-256     (mode in octal; `-` for a digest: it is not to leave the worker node)

Backslash, tab and line ends in a name are escaped as in C. Left out is what is the job's own: its
working directory, scratch and temporary folders, inputs, outputs, and every file that changed after
it began.
"""

import os
import pwd
import re
import stat

from jobprov.provenance.capture import delivery, redaction
from jobprov.provenance.capture.hashing import Clock, OutOfTimeError, hash_file

_KERNEL = ("/proc", "/sys", "/dev")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - named to be left out
_SCRATCH = ("_CONDOR_SCRATCH_DIR", "TMPDIR", "CONDOR_DIR_INPUT")
_MOST_LINKS = 40
_READABLE = 0o004
_SEARCHED_BYTES = 8 * 1024 * 1024  # of text; the service searches as much
_ASKED = 5000  # digests in one question
_BUDGET_BYTES = 64 * 1024 * 1024  # what does not fit, the next traced job of the release brings
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class Inventory:
    """What was found at the paths that a command touched.

    Attributes:
        entries: {path: its cells}.
        files: {digest: (size, path)} of those that may leave the worker node.
        withheld: paths of those that may not.
    """

    def __init__(self, own, written, began, clock):
        self.entries, self.files, self.withheld = {}, {}, []
        self._own = tuple(folder + "/" for folder in own)
        self._written, self._began, self._clock = written, began, clock
        self._hidden = tuple(home + "/." for home in _homes())

    def add(self, path):
        """Take in a path, with the folders and links that lead there; raises OutOfTimeError."""
        waiting, here, links = _parts(path), "/", 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                here = os.path.dirname(here)
                continue
            place = os.path.join(here, part)
            if (place + "/").startswith(self._own):
                return
            try:
                status = os.lstat(place)
            except (OSError, ValueError):
                return
            if stat.S_ISLNK(status.st_mode):
                aim, links = os.readlink(place), links + 1
                self.entries[place] = ("link", aim)
                if links > _MOST_LINKS:
                    return
                waiting += _parts(aim)
                here = "/" if aim.startswith("/") else here
            elif stat.S_ISDIR(status.st_mode):
                self.entries[place] = ("dir",)
                here = place
            else:
                if stat.S_ISREG(status.st_mode) and place not in self.entries:
                    self._add_file(place, status)
                return

    def _add_file(self, path, status):
        if path in self._written or status.st_ctime >= self._began:
            return
        size, digest = status.st_size, "-"
        try:
            if self._may_leave(path, status):
                size, digest, _ = hash_file(path, self._clock)
                self.files[digest] = (size, path)
        except OSError:
            pass
        if digest == "-":
            self.withheld.append(path)
        self.entries[path] = (
            "file",
            "{:04o}".format(stat.S_IMODE(status.st_mode)),
            str(size),
            digest,
        )

    def _may_leave(self, path, status):
        """Tell whether everybody may read a file, it lies in no hidden folder of a home, and it holds no secret by name or rule."""
        if (
            not status.st_mode & _READABLE
            or path.startswith(self._hidden)
            or redaction.names_secret(path)
        ):
            return False
        with open(path, "rb") as stream:
            head = stream.read(8192)
            if b"\0" in head:
                return True
            return (
                status.st_size <= _SEARCHED_BYTES and not redaction.redact(head + stream.read())[1]
            )

    def lines(self):
        """Return the listing's lines."""
        return ["\t".join(map(_escape, (path, *cells))) for path, cells in self.entries.items()]


def read_line(line):
    """Return the cells of a line of the listing, without its end."""
    plain = {escape: letter for letter, escape in _ESCAPES.items()}
    return [
        re.sub(r"\\[\\tnr]", lambda found: plain[found.group()], cell) for cell in line.split("\t")
    ]


def take(job, trace):
    """Add what a traced command touched to the job's record.

    The bytes that the service lacks go with it.
    """
    draft, options = job.draft, job.options
    paths = trace.end()
    for note in trace.notes:
        draft.note(note)
    if paths is None:
        return
    found = Inventory(
        _own_places(job), trace.written, trace.began, Clock(options.number("hash-seconds", 120))
    )
    try:
        for path in paths:
            found.add(path)
    except OutOfTimeError as error:
        draft.note("trace: cut, {}".format(error))
    job.add_listing("touched_sha256", found.lines(), "touched files")
    if found.withheld:
        shown = ", ".join(sorted(found.withheld)[:10])
        draft.note(
            "trace: {} files are not to leave this machine: {}".format(len(found.withheld), shown)
        )
    _add_files(job, found.files, options.number("trace-bytes", _BUDGET_BYTES))


def _add_files(job, files, budget):
    """Keep the bytes of files, the small ones first, as far as the service lacks them and the budget goes."""
    wanted = (
        job.draft.attempt("trace: which files the service lacks", _missing, job, sorted(files))
        or []
    )
    left_out = 0  # where it cannot be asked, each job would carry them all: a later one brings them
    for size, path, digest in sorted((*files[digest], digest) for digest in wanted):
        if size > budget:
            left_out += 1
            continue
        budget -= size
        job.draft.add_file(digest, path)
    if left_out:
        job.draft.note("trace: {} files are more than --trace-bytes lets go".format(left_out))


def _missing(job, digests):
    """Return which of the digests the service lacks; all of them where no service is named.

    Raises OSError and what `delivery` raises.
    """
    options = job.options
    if not options.url:
        return digests
    service = delivery.Service(
        options.url, delivery.read_token(options, job.environment), Clock(10.0)
    )
    try:
        parts = [digests[start : start + _ASKED] for start in range(0, len(digests), _ASKED)]
        return [digest for part in parts for digest in delivery.ask_missing(service, part)]
    finally:
        service.close()


def _own_places(job):
    """Return the folders and files that are the job's own, or the kernel's."""
    record, environment = job.draft.record, job.environment
    places = [environment.get(name) for name in _SCRATCH] + [
        record["command"].get("working_directory"),
        job.spool,
    ]
    files = record.get("inputs", []) + record.get("outputs", [])
    places += [entry.get("path") for entry in files]
    absolute = {os.path.abspath(place) for place in places if place}
    return sorted(
        (absolute | {os.path.realpath(place) for place in absolute}).union(_KERNEL, _TEMPORARY)
        - {"/"}
    )


def _homes():
    homes = {os.environ.get("HOME")}
    try:
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        pass
    homes = {os.path.abspath(home) for home in homes if home}
    return sorted((homes | {os.path.realpath(home) for home in homes}) - {"/"})


def _parts(path):
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _escape(cell):
    return re.sub("[\\\\\t\n\r]", lambda found: _ESCAPES[found.group()], cell)
