"""What takes long to find out and is never waited for.

The operating system's packages, the digest of an image file.

It is done while the command runs, by a thread that nobody waits for; where the command is faster,
it stays unknown.

Sources: dpkg's `status` file (deb-control(5)); `rpm -qa --queryformat`.
"""

import os
import subprocess
import threading
from typing import Any, Dict, List, Optional

from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError
from jobprov.provenance.capture.surroundings.container import image_file_digest

_DPKG, _RPM = "/var/lib/dpkg/status", ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_FORMAT = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"
_FIELDS = frozenset(["Package", "Status", "Version", "Architecture"])
_STEP_SECONDS, _MOST_STEPS, _MOST_LINES = 0.1, 600, 20000


class Look:
    """One such look.

    Attributes:
        packages: lines of `list_packages`; empty where the command was faster.
        image_digest: of the container's image, or None.
    """

    def __init__(self, container: Optional[Dict[str, Any]], ended: threading.Event) -> None:
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


def list_packages(clock: Clock) -> List[str]:
    """Return lines `deb` or `rpm`, name, version and architecture, parted by tabs.

    Raises OutOfTimeError.
    """
    lines = _list_deb(clock) if os.path.isfile(_DPKG) else []
    if not lines and any(os.path.isdir(folder) for folder in _RPM):
        lines = _list_rpm(clock)
    return lines


def _list_deb(clock: Clock) -> List[str]:
    """Read dpkg's status a line at a time: it has some MB."""
    lines: List[str] = []
    fields: Dict[str, str] = {}
    with open(_DPKG, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            name, _, value = line.rstrip("\n").partition(": ")
            if name in _FIELDS:
                fields[name] = value
            elif not name:  # the blank line behind a package
                clock.check()
                _add_deb(lines, fields)
                fields = {}
    _add_deb(lines, fields)
    return lines


def _add_deb(lines: List[str], fields: Dict[str, str]) -> None:
    if fields.get("Status", "").endswith(" installed") and len(lines) < _MOST_LINES:
        cells = [fields.get(name, "") for name in ("Package", "Version", "Architecture")]
        lines.append("\t".join(["deb", *cells]))


def _list_rpm(clock: Clock) -> List[str]:
    """Ask rpm, at the lowest priority; it is stopped when the command ends."""
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
            lines = out.decode("utf-8", "replace").splitlines()
            return ["rpm\t" + line for line in lines[:_MOST_LINES]]
        return []
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
