"""Which programs of a job ran from a place that nobody can tell, so that their code is missing.

One script or repository in the record does not answer for all that ran. Judged is each payload
command by itself: it is the system's, or lies in a checkout or product, or is a script of the
record. What such a command starts in its turn, the hook judges (`unknown_programs`).

Source: docs/reference/gaps.md (`software-missing`).
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from jobprov.provenance.records.job_record import JobRecord

_INTERPRETERS = re.compile(
    r"(?:python|pypy|perl|ruby|node|php|lua|tclsh|R(?:script)?|(?:ba|da|z|k|c|tc)?sh"
    r"|root(?:\.exe)?)[\d.]*"
)
_PREFIXES = frozenset({"env", "nice", "time", "timeout", "stdbuf", "nohup", "setarch", "taskset"})
_SETTING = re.compile(r"-.*|[^/]*=.*|[\d.]+[smhd]?")
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/cvmfs/", "/nix/")
_INLINE = frozenset({"-c", "-e", "-m", "-n", "-q"})
"""Options after which the code stands in the arguments; ROOT's macros may follow the last two."""


def unplaced_programs(record: JobRecord) -> Iterator[str]:
    """Yield a sentence for each payload command whose code the record does not name."""
    if not record.software and not record.scripts and not _was_looked_at(record):
        yield "The record names no repository, product, tarball or script."
        return
    places: _Places | None = None
    for argv in _payload_commands(record):
        words = _without_prefix(argv)
        if not words or "/" not in words[0]:
            name = words[0] if words else ""
            if not _INTERPRETERS.fullmatch(name):
                continue  # found on PATH: by the system, a product, or by the hook, which keeps it
        places = places or _Places(record)
        path = _code_of(words)
        if path and not places.hold(path):
            yield f"{path} ran, which is in no repository, product or script of the record."


def _was_looked_at(record: JobRecord) -> bool:
    """Return whether a hook looked for what the system does not have, and found nothing."""
    return record.hook is not None and bool(_payload_commands(record))


def _payload_commands(record: JobRecord) -> list[Sequence[str]]:
    command = record.command
    if command is None:
        return []
    payload: list[Sequence[str]] = []
    for step in command.steps or ():
        if step.role == "payload" and step.argv:
            payload.append(step.argv)
    return payload or ([command.argv] if command.argv else [])


def _without_prefix(argv: Sequence[str]) -> Sequence[str]:
    """Return a command without the programs that only start another one (`env`, `timeout 9`)."""
    while argv and posixpath.basename(argv[0]) in _PREFIXES:
        rest = list(argv[1:])
        while rest and _SETTING.fullmatch(rest[0]):
            del rest[0]
        argv = rest
    return argv


def _code_of(words: Sequence[str]) -> str:
    """Return the file of code that a command names: its program, or what an interpreter runs.

    Empty if the code stands in the arguments, or comes from standard input.
    """
    if not _INTERPRETERS.fullmatch(posixpath.basename(words[0])):
        return words[0]
    for word in words[1:]:
        if word in _INLINE:
            return ""
        if not word.startswith("-"):
            return word if "/" in word or "." in word else ""
    return ""


class _Places:
    """Where the code of a record lies."""

    def __init__(self, record: JobRecord) -> None:
        command = record.command
        self._folder = (command.working_directory if command else None) or "/"
        self._scripts = {self._absolute(file.path or file.name) for file in record.scripts or ()}
        self._folders: tuple[str, ...] = _SYSTEM
        self._is_known = True
        for software in record.software or ():
            place = software.checkout or (software.product.prefix if software.product else None)
            if place:
                self._folders += (place.rstrip("/") + "/",)
            else:
                self._is_known = False  # it may be anywhere
        for link in record.folder_links or ():
            self._folders += ((link.path or "").rstrip("/") + "/",) if link.path else ()
        processes = command.processes if command else None
        self._scripts.update((processes.unknown_programs if processes else None) or ())

    def hold(self, path: str) -> bool:
        """Return whether a file is the system's, a script, or in a checkout or product.

        So it is, as far as anybody can tell, if some software of the record has no place.
        """
        absolute = self._absolute(path)
        return not self._is_known or absolute in self._scripts or absolute.startswith(self._folders)

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._folder, path))
