"""The inputs of a command that were seen and that nobody told."""

import os
from typing import Callable, Collection, Dict, Iterable, List, Optional, Set

from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.files.names import (
    file_name,
    from_here,
    guess_role,
    is_url,
    is_within,
    real_path,
)
from jobprov.provenance.capture.files.private import is_private, is_software
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import seconds_of, without_empty
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running.open_files import OpenFiles
from jobprov.provenance.capture.sight import lying_files, places
from jobprov.provenance.capture.sight.child_programs import Copy, SeenFile, is_no_input
from jobprov.provenance.capture.sight.named_folders import unpacked_folders
from jobprov.provenance.capture.sight.programs import ProgramStep
from jobprov.provenance.capture.sight.sight import Sight

_MOST_INPUTS, _MOST_OPEN = 1000, 500
_LATEST = float("inf")  # of all moments
# Files that are code, or the like, though a program names them or holds them open
_NO_INPUTS = (
    ".so",
    ".py",
    ".pyc",
    ".pth",
    ".jar",
    ".pl",
    ".pm",
    ".rb",
    ".sh",
    ".fcl",
    ".log",
    ".lock",
)


class SeenInputs:
    """Makes the record's entries of inputs that were seen.

    `staged_in` and `updated` are those of `SeenOutputs`.
    """

    def __init__(
        self,
        draft: Draft,
        sight: Sight,
        staged_in: Dict[str, List[Copy]],
        updated: Collection[str],
    ) -> None:
        self._draft, self._sight = draft, sight
        self._staged_in, self._updated = staged_in, updated

    def of_steps(self, programs: Iterable[ProgramStep]) -> List[Entry]:
        """Return what programs that are steps name as their inputs; the steps get them, too."""
        entries: List[Entry] = []
        for program in programs:
            program.step.inputs = self._of_step(program)
            entries += program.step.inputs
        return entries

    def _of_step(self, program: ProgramStep) -> List[Entry]:
        files = {file.path: file for file in program.program.inputs}
        entries = []
        for path in dict.fromkeys(program.program.sources()):
            entry: Entry = {"name": file_name(path)}
            if path in files:
                began = program.program.child.began
                entry = self._describe(files[path], "argument", self._source_of(path, began))
            elif is_url(path):
                entry["location"] = path
            elif path in self._sight.came_and_went:
                entry["path"] = from_here(path)  # it was gone before it could be read
            else:
                continue  # the program did not find it either
            entry.update(step=program.step.name, role="primary", status="consumed")
            entry["evidence"] = "argument"
            entries.append(entry)
        return entries

    def of_command(
        self,
        step: str,
        known: Collection[str],
        opened: Optional[OpenFiles],
        is_ours: Callable[[str], bool],
    ) -> List[Entry]:
        """Return the other files that programs named or held open, but for known absolute paths.

        With them, as they were before, small files that lay there and that the command changed;
        `is_ours` tells what other jobs of a folder may have changed.
        """
        files = self._find_read(opened)
        fetched = {self._source_of(path) for path in files}
        skipped = {*known, *files_of_code(self._draft), *places.files_of_own_streams()}
        for path in list(files):
            if path in skipped or path in fetched or path.endswith(_NO_INPUTS):
                del files[path]
        changed = self._lying_files(skipped, is_ours)
        entries = []
        for path in changed:
            role = role_of(path) if files.pop(path, None) is not None else "configuration"
            entries.append(dict(self._describe_lying(path), role=role, step=step))
        if len(files) > _MOST_INPUTS:
            sentence = "only {} of {} inputs that were seen are recorded"
            self._draft.weaken(
                "children-unseen", "inputs", sentence.format(_MOST_INPUTS, len(files))
            )
        for source, file in list(files.items())[:_MOST_INPUTS]:
            fetched_from = None if source == file.path else source
            entries.append(dict(self._describe(file, "seen", fetched_from), step=step))
        return entries

    def _find_read(self, opened: Optional[OpenFiles]) -> Dict[str, SeenFile]:
        """Return {absolute path or address: file} of what programs named, copied or held open."""
        files: Dict[str, SeenFile] = {}
        for program in self._sight.programs:
            if not program.is_step:
                files.update((file.path, file) for file in program.inputs)
            for copy in program.copies:  # `cp /pnfs/raw.root $(mktemp -d)/`
                is_input = not (copy.is_new or is_no_input(copy.source))
                if copy.file is not None and is_input and not self._sight.is_own(copy.target):
                    files[copy.source] = copy.file
        if opened is not None:
            files.update((file.path, file) for file in self._held_open(opened))
        return files

    def of_staged_in(self, step: str, known: Collection[str]) -> List[Entry]:
        """Return what the job fetched from elsewhere, but for known paths and addresses.

        Programs read it by a list (`hadd merged.root @files`), or by a name of their own.
        """
        code, entries = files_of_code(self._draft), []
        for path, brought in self._staged_in.items():
            if path in known or path in code or path.endswith(_NO_INPUTS) or is_private(path):
                continue
            by_name = {file_name(copy.source): copy for copy in brought}  # tried again
            for copy in by_name.values():
                source = copy.source
                if source in known or is_no_input(source) or is_private(source):
                    continue
                if self._sight.is_own(source):
                    continue
                if copy is brought[-1]:
                    file = copy.file if path in self._updated else self._find_staged(path)
                else:  # overwritten since
                    file = SeenFile(source, None) if is_url(source) else copy.file
                if file is not None:
                    entries.append(dict(self._describe(file, "seen"), step=step))
        return entries[:_MOST_INPUTS]

    def _find_staged(self, path: str) -> Optional[SeenFile]:
        """Return what the job fetched last to a path; None where none came or is to be read.

        What it removed again was read when it came.
        """
        came, reader = self._sight.came_and_went.get(path), self._sight.reader
        file = reader.read(path)
        if file is None and came is not None and not os.path.lexists(path):
            file = reader.find(path)
            if file is None or file.size_bytes != came.size_bytes:
                file = SeenFile(path, came.size_bytes)
        return file

    def _lying_files(self, skipped: Collection[str], is_ours: Callable[[str], bool]) -> List[str]:
        """Return the paths of small files in the command's folders that it changed or removed.

        What the job itself made before, in an earlier step, is made again by a rerun.
        """
        job_began = seconds_of(self._draft.record["started_at"])
        paths: List[str] = []
        for path, (status, content) in self._sight.lying.items():
            if path in skipped or is_private(path) or status.st_ctime >= job_began:
                continue
            is_kept = places.may_be_output(path) and not places.is_log(path) and is_ours(path)
            if is_kept and _is_used(path, status, content):
                paths.append(path)
        return paths

    def _describe_lying(self, path: str) -> Entry:
        """Return the entry of a small file as it lay there, and keep its bytes."""
        content = self._sight.lying[path][1]
        digest = self._draft.add_source(content, "input " + path)
        return dict(self._describe(SeenFile(path, len(content)), "seen"), sha256=digest)

    def _held_open(self, opened: OpenFiles) -> List[SeenFile]:
        files = []
        for path in list(opened.files)[:_MOST_OPEN]:
            if path in opened.written or path.endswith(_NO_INPUTS):
                continue
            if path in self._sight.copied_for_others:
                continue
            file = self._sight.reader.read_input(path)
            if is_url(path):  # of a container: nobody can read it here
                file = SeenFile(path, 0)
            if file is not None:
                files.append(file)
        return files

    def _source_of(self, path: str, moment: float = _LATEST) -> Optional[str]:
        """Return where that was copied from which lay at a path at a moment; None where nobody saw.

        A loop may fetch one file after the other to one path.
        """
        brought = self._staged_in.get(path, [])
        earlier = [copy.source for copy in brought if copy.began <= moment]
        return earlier[-1] if earlier else None

    def _describe(self, file: SeenFile, evidence: str, source: Optional[str] = None) -> Entry:
        path = from_here(file.path)
        source = source or self._source_of(file.path)
        if is_url(file.path):
            source, path = file.path, ""
        entry: Entry = {
            # `cp /pnfs/gen_7.root in.root`: others know the file by its first name
            "name": file_name(source or file.path),
            "path": path,
            "role": role_of(file.path, source),
            "status": "consumed",
            "size_bytes": file.size_bytes if path else None,
            "evidence": evidence,
            "location": address_of(source),
        }
        if file.sha256 is not None:
            entry.update(sha256=file.sha256, checksums=[file.checksum])
            if file.content is not None:
                self._draft.blobs[file.sha256] = file.content
            elif file.may_leave:
                self._draft.add_file(file.sha256, file.path)
        return without_empty(entry)


def _is_used(path: str, status: os.stat_result, content: bytes) -> bool:
    """Tell whether a file that lay there was touched, replaced, lengthened or removed.

    What is written anew where it lay (`> old.txt`) needs nothing of what was in it.
    """
    try:
        now = os.lstat(path)
        found = regular.read(path, lying_files.LARGEST) or b""
    except OSError:
        return True  # gone, or larger
    is_another = now.st_ino != status.st_ino
    return now.st_ctime != status.st_ctime and (is_another or found.startswith(content))


def address_of(source: Optional[str]) -> Optional[str]:
    """Return where a file was copied from; None where only its name is known, as of Rucio's."""
    return source if source is not None and "/" in source else None


def role_of(path: str, source: Optional[str] = None) -> str:
    """Return the role of an input that nobody named; `source` is where it was copied from.

    What belongs to installed software, such as tables of Pythia in a venv, is no parent, nor is
    what came with the submission.
    """
    is_brought = any(is_within(source or path, folder) for folder in unpacked_folders())
    return "configuration" if is_brought or is_software(path) else guess_role(path)


def files_of_code(draft: Draft) -> Set[str]:
    """Return the real paths of the record's scripts and fcl files."""
    paths = [entry.get("path") for entry in draft.record.get("scripts", ())]
    for configuration in draft.record.get("configurations", ()):
        paths += [file.get("path") for file in configuration.get("files", ())]
    return {real_path(path) for path in paths if path}
