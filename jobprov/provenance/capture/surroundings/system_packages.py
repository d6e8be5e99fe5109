"""The operating system's packages, and the digest of an image file.

dpkg's status file and rpm's SQLite database are read in some milliseconds, so that every record has
the listing, however short its job. Asking `rpm` (for its older databases) and hashing an image may
take long: a thread does so while the command runs, and nobody waits for it longer than 2 s.

Sources: dpkg's `status` file (deb-control(5)); `rpm -qa --queryformat`; rpm's header format
("lib/header", `rpmtag.h`) and its table `Packages(hnum, blob)`.
"""

import os
import re
import struct
import subprocess
import threading
from typing import List, Optional

from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.surroundings.container import image_file_digest

_DPKG, _RPM = "/var/lib/dpkg/status", ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_FIELD = re.compile(rb"^(Package|Status|Version|Architecture): (.*)$", re.MULTILINE)
_FORMAT = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"
_NAME, _VERSION, _RELEASE, _ARCHITECTURE = 1000, 1001, 1002, 1022  # tags of rpm
_HEAD_BYTES = 65536  # of an rpm header: its names come first, its thousands of files behind them
_ASK = "SELECT substr(blob, 1, ?) FROM Packages"
_LARGEST_STATUS = 64 << 20
_STEP_SECONDS, _MOST_STEPS, _MOST_LINES = 0.1, 600, 20000
_LATE_SECONDS = 2.0


class Look:
    """One look at what takes long.

    Attributes:
        packages: lines of `list_packages`; empty where the command was faster.
        image_digest: of the container's image, or None.
    """

    def __init__(self, container: Optional[Entry], ended: threading.Event) -> None:
        self.packages: List[str] = []
        self.image_digest: Optional[str] = None
        self._container, self._clock = container or {}, _UntilEnd(ended)

    def run(self) -> None:
        """Look; what is found is set at once and whole."""
        try:
            self.packages = list_packages(self._clock)
        except OutOfTimeError:
            return
        self.image_digest = image_file_digest(self._container, self._clock)


class _UntilEnd(Clock):
    """A clock that has run down once the command ended."""

    def __init__(self, ended: threading.Event) -> None:
        Clock.__init__(self, float("inf"))
        self._ended = ended

    def check(self) -> None:
        if self._ended.is_set():
            raise OutOfTimeError("the command was faster")


def list_late() -> List[str]:
    """Return the lines after a command that was faster than a look; none after 2 s."""
    try:
        return list_packages(Clock(_LATE_SECONDS))
    except OutOfTimeError:
        return []


def list_packages(clock: Clock) -> List[str]:
    """Return lines `deb` or `rpm`, name, version and architecture, parted by tabs.

    Raises OutOfTimeError.
    """
    lines = _list_deb() if os.path.isfile(_DPKG) else []
    folders = [] if lines else [folder for folder in _RPM if os.path.isdir(folder)]
    for folder in folders:
        lines = lines or _list_rpm_database(os.path.join(folder, "rpmdb.sqlite"))
    if folders and not lines:
        lines = _ask_rpm(clock)
    return lines[:_MOST_LINES]


def _list_deb() -> List[str]:
    with open(_DPKG, "rb") as stream:
        content = stream.read(_LARGEST_STATUS)
    lines = []
    for package in content.split(b"\n\n"):
        fields = dict(_FIELD.findall(package))
        if fields.get(b"Status", b"").endswith(b" installed"):
            cells = [fields.get(name, b"") for name in (b"Package", b"Version", b"Architecture")]
            lines.append(b"\t".join([b"deb", *cells]).decode("utf-8", "replace"))
    return lines


def _list_rpm_database(path: str) -> List[str]:
    """Read the database of rpm 4.16 and newer.

    Nothing where it is none, or Python cannot read it.
    """
    if not os.path.isfile(path):
        return []
    try:
        import sqlite3  # noqa: PLC0415 - some builds of Python lack it
    except ImportError:
        return []
    # immutable: no lock, no journal; the folder belongs to root
    connection = sqlite3.connect("file:{}?immutable=1".format(path), uri=True)
    try:
        rows = connection.execute(_ASK, [_HEAD_BYTES])
        return ["rpm\t" + _read_header(head) for (head,) in rows]
    except (sqlite3.Error, struct.error, ValueError, KeyError):
        return []
    finally:
        connection.close()


def _read_header(head: bytes) -> str:
    """Return name, version and architecture of an rpm header."""
    (count,) = struct.unpack_from(">I", head)
    texts = {}
    for place in range(8, 8 + 16 * count, 16):
        tag, _, offset, _ = struct.unpack_from(">IIII", head, place)
        if tag in (_NAME, _VERSION, _RELEASE, _ARCHITECTURE):
            start = 8 + 16 * count + offset
            texts[tag] = head[start : head.index(b"\0", start)].decode("utf-8", "replace")
    version = "{}-{}".format(texts[_VERSION], texts[_RELEASE])
    return "\t".join([texts[_NAME], version, texts.get(_ARCHITECTURE, "(none)")])


def _ask_rpm(clock: Clock) -> List[str]:
    """Ask rpm, at the lowest priority; it is stopped when the time is over."""
    process = subprocess.Popen(
        ["nice", "-n", "19", "rpm", "-qa", "--queryformat", _FORMAT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(_MOST_STEPS):
            clock.check()
            try:
                out = process.communicate(timeout=_STEP_SECONDS)[0]
            except subprocess.TimeoutExpired:
                continue
            if process.returncode:
                return []
            return ["rpm\t" + line for line in out.decode("utf-8", "replace").splitlines()]
        return []
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
