"""Gaps of code: repositories, products and checkouts that are not held, programs of unknown origin.

Source: docs/reference/gaps.md, docs/reference/record.md (`software`, `left_out`).
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from jobprov.provenance.records.gaps.codes import Message
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.job_record import JobRecord, LeftOut, Software

UNREAD = frozenset({"ignored", "data", "private"})
"""Reasons for leaving out files that the job, as far as anything shows, did not read."""

_LEFT_OUT_SENTENCES = {
    "untracked-left-out": "{name} held files that are not here: {files}.",
    "secret-removed": "{name}: secrets were taken out of {files}.",
    "ignored-left-out": "{name} held files that git does not keep: {files}.",
}
_MOST_NAMES = 5
_PLAIN_REASONS = frozenset({"secret", "ignored", "data"})
"""Reasons to leave out a file that the code of the gap already gives."""

_INTERPRETERS = re.compile(
    r"(?:python|pypy|perl|ruby|node|php|lua|tclsh|R(?:script)?|(?:ba|da|z|k|c|tc)?sh"
    r"|root(?:\.exe)?)[\d.]*"
)
_STARTERS = frozenset({"env", "nice", "time", "timeout", "stdbuf", "nohup", "setarch", "taskset"})
"""Programs that only start another one, which their arguments name."""
_SETTING_OF_STARTER = re.compile(r"-.*|[^/]*=.*|[\d.]+[smhd]?")
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/cvmfs/", "/nix/")
_INLINE_CODE = frozenset({"-c", "-e", "-m", "-n", "-q"})
"""Options after which the code is in the arguments; ROOT's macros may follow the last two."""


def software_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield which code is not named, or not held."""
    for sentence in _unplaced_programs(record):
        yield "software-missing", sentence
    for position, software in enumerate(record.software or ()):
        name = software.name or software.repository or f"software[{position}]"
        if position in findings.unresolved:
            yield from _unresolved_gaps(name, software, findings.unresolved[position], findings)
        if position in findings.inferred:
            # The installed product is what ran, so gaps of its inferred source cost no level
            source = "its source is held, inferred from its version"
            yield "software-installed", f"{name} is installed software; {source}."
        else:
            yield from _commit_gaps(name, position, software, findings)


def _unresolved_gaps(
    name: str, software: Software, reason: str, findings: Findings
) -> Iterator[Message]:
    if software.tarball is not None:
        is_held = findings.holds_blob(software.tarball.sha256)
    else:
        # An installed product is part of the environment, which is kept otherwise
        is_held = not (software.repository or software.revision)
    if not is_held:
        yield "software-unresolved", f"{name}: {reason}."
    elif software.tarball is None:
        yield "software-installed", f"{name} is installed software {reason}."


def _commit_gaps(
    name: str, position: int, software: Software, findings: Findings
) -> Iterator[Message]:
    if position in findings.ambiguous:
        yield "software-ambiguous", f"{name}: {findings.ambiguous[position]}."
    if position in findings.submodules:
        yield "submodule-missing", f"{name}: files of its submodules are not here."
    if position in findings.unreferenced:
        revision = (software.revision or "")[:12]
        yield "commit-unreferenced", f"{name}: no branch or tag led to commit {revision}."
    if is_changed(software) and not findings.holds_blob(software.objects_sha256):
        yield (
            "dirty-tree-missing",
            f"{name} held other files than its commit; these files are not here.",
        )


def is_changed(software: Software) -> bool:
    """Return whether other files ran than those of the commit."""
    return bool(software.is_dirty or software.worktree_tree)


def left_out_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield which files lay in checkouts and were not kept."""
    recorded = _recorded_places(record)
    for software in record.software or ():
        name = software.name or software.checkout or "a checkout"
        files_of_gap = _left_out_by_gap(software, recorded)
        for code, sentence in _LEFT_OUT_SENTENCES.items():
            files = files_of_gap.get(code)
            if files:
                yield code, sentence.format(name=name, files=_names(files))


def _left_out_by_gap(software: Software, recorded: set[str]) -> dict[str, list[LeftOut]]:
    """Return the files left out of a checkout by the code of their gap.

    Files that the record describes by themselves, at the `recorded` paths, are no gap.
    """
    files_of_gap: dict[str, list[LeftOut]] = {}
    for file in software.left_out or ():
        if posixpath.join(software.checkout or "", file.path) not in recorded:
            files_of_gap.setdefault(_gap_of_left_out(file), []).append(file)
    return files_of_gap


def _gap_of_left_out(file: LeftOut) -> str:
    if file.why == "secret":
        return "secret-removed"
    if file.why in UNREAD:
        return "ignored-left-out"
    return "untracked-left-out"


def _recorded_places(record: JobRecord) -> set[str]:
    """Return the absolute paths of the files that the record describes by themselves."""
    folder = record.command.working_directory if record.command else None
    files = [*(record.inputs or ()), *(record.outputs or ()), *(record.scripts or ())]
    places = set()
    for file in files:
        if file.path:
            places.add(posixpath.normpath(posixpath.join(folder or "", file.path)))
    return places


def _names(files: list[LeftOut]) -> str:
    names = []
    for file in files[:_MOST_NAMES]:
        name = file.path or "others"
        if file.why and file.why not in _PLAIN_REASONS:
            name += f" ({file.why})"
        names.append(name)
    listing = ", ".join(names)
    # One entry may stand for a folder of many files
    count = sum(file.files or 1 for file in files)
    if count > len(names):
        listing += f" and {count - len(names)} more"
    return listing


def _unplaced_programs(record: JobRecord) -> Iterator[str]:
    """Yield a sentence for each payload command whose code the record does not name.

    One script or repository in the record does not answer for all that ran, so each payload command
    is judged by itself: it is the system's, or lies in a checkout or product, or is a script of the
    record. The hook judges the programs that such a command starts (`unknown_programs`).
    """
    commands = _payload_commands(record)
    if not record.software and not record.scripts and not (record.hook and commands):
        # Of a hook, no software means that it looked and found only what the system has
        yield "The record names no repository, product, tarball or script."
        return
    places: _CodePlaces | None = None
    for command in commands:
        argv = _without_starters(command)
        program = argv[0] if argv else ""
        if "/" not in program and not _INTERPRETERS.fullmatch(program):
            continue  # found on PATH: by the system, a product, or by the hook, which keeps it
        places = places or _CodePlaces(record)
        path = _code_file(argv)
        if path and not places.hold(path):
            yield f"{path} ran, which is in no repository, product or script of the record."


def _payload_commands(record: JobRecord) -> list[Sequence[str]]:
    """Return the argument lists of the payload steps, else that of the job as a whole."""
    command = record.command
    if command is None:
        return []
    payload: list[Sequence[str]] = []
    for step in command.steps or ():
        if step.role == "payload" and step.argv:
            payload.append(step.argv)
    if not payload and command.argv:
        payload.append(command.argv)
    return payload


def _without_starters(argv: Sequence[str]) -> Sequence[str]:
    """Return a command without the programs that only start another one (`env`, `timeout 9`)."""
    while argv and posixpath.basename(argv[0]) in _STARTERS:
        rest = list(argv[1:])
        while rest and _SETTING_OF_STARTER.fullmatch(rest[0]):
            del rest[0]
        argv = rest
    return argv


def _code_file(argv: Sequence[str]) -> str:
    """Return the file of code that a command names: its program, or what an interpreter runs.

    Empty if the code is in the arguments, or comes from standard input.
    """
    if not _INTERPRETERS.fullmatch(posixpath.basename(argv[0])):
        return argv[0]
    for argument in argv[1:]:
        if argument in _INLINE_CODE:
            return ""
        if not argument.startswith("-"):
            is_file = "/" in argument or "." in argument
            return argument if is_file else ""
    return ""


def _folder_of(software: Software) -> str | None:
    """Return the folder of a checkout or of an installed product; None if it may be anywhere."""
    if software.checkout:
        return software.checkout
    if software.product and software.product.prefix:
        return software.product.prefix
    return None


def _unknown_programs(record: JobRecord) -> Sequence[str]:
    """Return the programs that the hook could not place, which have a gap of their own."""
    if record.command is None or record.command.processes is None:
        return ()
    return record.command.processes.unknown_programs or ()


class _CodePlaces:
    """Where the code of a record lies."""

    def __init__(self, record: JobRecord) -> None:
        self._working_directory = "/"
        if record.command is not None and record.command.working_directory:
            self._working_directory = record.command.working_directory

        self._is_any_unplaced = False  # some software may be anywhere
        self._folders: list[str] = list(_SYSTEM)
        for software in record.software or ():
            folder = _folder_of(software)
            if folder is None:
                self._is_any_unplaced = True
            else:
                self._folders.append(folder.rstrip("/") + "/")
        for link in record.folder_links or ():
            if link.path:
                self._folders.append(link.path.rstrip("/") + "/")

        self._files: set[str] = set()
        for script in record.scripts or ():
            self._files.add(self._absolute(script.path or script.name))
        self._files.update(_unknown_programs(record))

    def hold(self, path: str) -> bool:
        """Return whether a file is the system's, a script, or in a checkout or product.

        If some software of the record has no place, the file may be part of it.
        """
        if self._is_any_unplaced:
            return True
        absolute = self._absolute(path)
        return absolute in self._files or absolute.startswith(tuple(self._folders))

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._working_directory, path))
