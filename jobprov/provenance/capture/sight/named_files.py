"""Files that the text of a script names and that were there before the command.

A program that is over in an instant is seen by nobody, and what a shell reads by `.` is no program.
So words of scripts that are names of files count: code goes with the record as a script, all else
as an input, though no parent of what was made.
"""

import itertools
import os
import re
from typing import Iterator, List, Optional, Set

from jobprov.provenance.capture.command.arguments import is_of_machine
from jobprov.provenance.capture.files import leaving
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.files.private import withhold
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running.mounts import ELSEWHERE
from jobprov.provenance.capture.secrets.programs import secret_files
from jobprov.provenance.capture.sight.inputs import files_of_code
from jobprov.provenance.capture.sight.named_folders import (
    LONGEST_WORD,
    expanded,
    lines_of_script,
    unpacked_folders,
    words_of_script,
)
from jobprov.provenance.capture.sight.seen_code import SeenCode

_MOST_BYTES, _MOST_SCRIPTS, _MOST_WORDS, _MOST_INPUTS = 1 << 20, 100, 2000, 100
_WORD = re.compile(rb"(?<![\w.+@/-])[\w.+@/-]*[./][\w.+@/-]+")
_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)
_PROGRAM_HEADS = (b"#!", b"\x7fELF")
_CODE_ENDS = (".py", ".sh", ".pl", ".pm", ".r", ".c", ".so", ".awk", ".sed", ".jl", ".rb")


class NamedFiles:
    """Files that somebody named: code goes with the record, all else becomes an input.

    Attributes:
        inputs: the entries of new ones.
    """

    def __init__(self, draft: Draft, code: SeenCode, inputs: List[Entry]) -> None:
        self.inputs: List[Entry] = []
        self._draft, self._code = draft, code
        # of earlier steps, too
        every = [*inputs, *draft.record.get("inputs", ()), *draft.record.get("outputs", ())]
        self._known = {os.path.realpath(entry["path"]) for entry in every if entry.get("path")}
        self._known |= files_of_code(draft)
        self._digests = {entry.get("sha256") for entry in every}  # what a copy of it has
        for entry in every:  # which a container has under the same path
            self._known.add(entry.get("location", "").replace(ELSEWHERE, "", 1))

    def add_from_scripts(self) -> None:
        """Keep what the text of scripts names."""
        place = 0
        while place < _MOST_SCRIPTS and self._code.clock.left():
            scripts = self._draft.record.get("scripts", ())  # one that is found may name more
            if place >= len(scripts):
                break
            for path in _named_by(scripts[place], self._draft):
                self._keep(path)
            place += 1

    def add_unpacked(self) -> None:
        """Keep what jobsub unpacked for the submission, or name the folder.

        It is gone some weeks later, and a script copies it whole: `cp -r $INPUT_TAR_DIR_LOCAL .`
        """
        for folder in unpacked_folders():
            files = list(itertools.islice(_files_below(folder), _MOST_WORDS + 1))
            left_out = [path for path in files[:_MOST_WORDS] if not self._keep(path)]
            if left_out or len(files) > _MOST_WORDS:
                why = "jobsub unpacked it, and not all of its files are kept: {} of {}"
                counts = len(left_out), len(files)
                self._draft.weaken("code-unknown", folder, why.format(*counts))

    def _keep(self, path: str) -> bool:
        """Keep a file that was there before the command; tell whether somebody has it."""
        code = self._code
        if path in self._known or is_of_machine(path) or not code.was_there(path):
            return True
        if code.is_known(path) or code.is_tracked(path):
            return True
        self._known.add(path)
        if _is_code(path):
            return code.keep(path)
        entry = _describe(path, self._draft, code) if len(self.inputs) < _MOST_INPUTS else None
        if entry is not None and entry["sha256"] not in self._digests:
            self.inputs.append(entry)
        return entry is not None


def _is_code(path: str) -> bool:
    """Tell whether a file is a program; jobsub makes each file executable that it brings."""
    if path.lower().endswith(_CODE_ENDS):
        return True
    if not os.access(path, os.X_OK | os.R_OK):
        return False
    with open(path, "rb") as stream:
        is_program = stream.read(4).startswith(_PROGRAM_HEADS)
    return is_program or "." not in os.path.basename(path)


def _files_below(folder: str) -> Iterator[str]:
    """Yield the real paths of the files below a folder, in one order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.realpath(os.path.join(parent, name))
            if os.path.isfile(path):
                yield path


def _named_by(script: Entry, draft: Draft) -> Iterator[str]:
    """Yield the real paths of files that a script names."""
    blob = draft.blobs.get(script.get("sha256", ""), b"")
    if isinstance(blob, str):
        with open(blob, "rb") as stream:
            blob = stream.read(_MOST_BYTES)
    if b"\0" in blob[:1024]:
        return
    text = blob[:_MOST_BYTES].replace(b"\\\n", b" ")
    folders = [os.getcwd(), os.path.dirname(os.path.abspath(script["path"]))]
    for line, known in lines_of_script(text, os.environ):
        for name in secret_files(os.fsencode(line)):
            for path in _paths_of(expanded(os.fsdecode(name), known), folders):
                withhold(path)
    words = set(_WORD.findall(text))
    words.update(name + b".py" for name in _IMPORT.findall(text))
    # `tar xzf $INPUT_TAR_DIR/code_$VERSION.tgz`
    words.update(os.fsencode(word) for word in words_of_script(text, os.environ))
    seen: Set[str] = set()
    for word in sorted(words)[:_MOST_WORDS]:
        for path in _paths_of(os.fsdecode(word), folders):
            if path not in seen and os.path.isfile(path):
                seen.add(path)
                yield path


def _paths_of(word: str, folders: List[str]) -> List[str]:
    """Return what a word may name in these folders, with no links in it."""
    if len(word) > LONGEST_WORD:  # each of its parts would be looked up
        return []
    return [os.path.realpath(os.path.join(folder, word)) for folder in folders]


def _describe(path: str, draft: Draft, code: SeenCode) -> Optional[Entry]:
    """Return the entry of a small file, and keep its bytes; None for others."""
    try:
        status = os.stat(path)
        if status.st_size > SMALL_BYTES or not leaving.may_leave(path, status, os.getcwd()):
            return None
        size, digest, checksum = hash_file(path, code.clock)
    except (OSError, OutOfTimeError):
        return None
    draft.add_file(digest, path)
    entry: Entry = {"name": os.path.basename(path), "path": from_here(path)}
    entry.update(role="configuration", status="consumed", evidence="seen", size_bytes=size)
    entry.update(sha256=digest, checksums=[checksum])
    return entry
