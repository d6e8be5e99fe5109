"""What takes long to find out and is never waited for.

The packages of the operating system, the digest of an image file.

It is done while the command runs, by a thread that nobody waits for; where the command is faster,
it stays unknown. Sources: dpkg's `status` file (deb-control(5)); `rpm -qa --queryformat`.
"""

import os
import subprocess

from jobprov.provenance.capture.container import image_file_digest
from jobprov.provenance.capture.hashing import OutOfTimeError

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

    def __init__(self, container, ended):
        self.packages, self.image_digest = [], None
        self._container, self._clock = container or {}, _Until(ended)

    def run(self):
        """Look; what is found is set at once and whole."""
        try:
            self.packages = list_packages(self._clock)
        except OutOfTimeError:
            return
        self.image_digest = image_file_digest(self._container, self._clock)


class _Until:
    """A clock that has run down once the command ended."""

    def __init__(self, ended):
        self._ended = ended

    def check(self):
        if self._ended.is_set():
            raise OutOfTimeError("the command was faster")


def list_packages(clock):
    """Return lines `deb` or `rpm`, name, version and architecture, parted by tabs.

    Raises OutOfTimeError.
    """
    lines = _list_deb(clock) if os.path.isfile(_DPKG) else []
    return lines or (_list_rpm(clock) if any(map(os.path.isdir, _RPM)) else [])


def _list_deb(clock):
    """Read dpkg's status a line at a time: it has some MB."""
    lines, fields = [], {}
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


def _add_deb(lines, fields):
    if fields.get("Status", "").endswith(" installed") and len(lines) < _MOST_LINES:
        lines.append(
            "\t".join(
                ["deb"] + [fields.get(name, "") for name in ("Package", "Version", "Architecture")]
            )
        )


def _list_rpm(clock):
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
                told = process.communicate(timeout=_STEP_SECONDS)[0].decode("utf-8", "replace")
            except subprocess.TimeoutExpired:
                continue
            return (
                []
                if process.returncode
                else ["rpm\t" + line for line in told.splitlines()[:_MOST_LINES]]
            )
        return []
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
