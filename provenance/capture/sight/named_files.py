"""Files that the text of a script names and that were there before the command.

A program that is over in an instant is seen by nobody, and what a shell reads by `.` is no program.
So words of scripts that are names of files count: code goes with the record as a script, all else
as an input, though no parent of what was made.
"""

import os
import re
from typing import Iterator, List, Set, Tuple

from jobprov.provenance.capture.command.arguments import MACHINE_FOLDERS
from jobprov.provenance.capture.files import leaving
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running.mounts import ELSEWHERE
from jobprov.provenance.capture.sight.inputs import files_of_code
from jobprov.provenance.capture.sight.named_folders import words_of_script
from jobprov.provenance.capture.sight.seen_code import SeenCode

_MOST_BYTES, _MOST_SCRIPTS, _MOST_WORDS, _MOST_INPUTS = 1 << 20, 100, 2000, 100
_WORD = re.compile(rb"[\w.+@/-]*[./][\w.+@/-]+")
_IMPORT = re.compile(rb"^\s*(?:import|from)[ \t]+(\w+)", re.MULTILINE)
_CODE_ENDS = (".py", ".sh", ".pl", ".pm", ".r", ".c", ".so", ".awk", ".sed", ".jl", ".rb")


def add_named_files(draft: Draft, code: SeenCode, inputs: List[Entry]) -> List[Entry]:
    """Keep what scripts name; return the entries of inputs beside those that are known."""
    scripts = draft.record.get("scripts", [])
    # of earlier steps, too
    every = [*inputs, *draft.record.get("inputs", ()), *draft.record.get("outputs", ())]
    known = {os.path.realpath(entry["path"]) for entry in every if entry.get("path")}
    known |= files_of_code(draft)
    digests = {entry.get("sha256") for entry in every}  # what a copy of it has
    for entry in every:  # which a container has under the same path
        known.add(entry.get("location", "").replace(ELSEWHERE, "", 1))
    found: List[Entry] = []
    place = 0
    while (
        place < min(len(scripts), _MOST_SCRIPTS) and code.clock.left()
    ):  # what is found may name more
        for path in _named_by(scripts[place], draft):
            if path in known or path.startswith(MACHINE_FOLDERS) or not code.was_there(path):
                continue
            if code.is_known(path) or code.is_tracked(path):
                continue
            known.add(path)
            if os.access(path, os.X_OK) or path.lower().endswith(_CODE_ENDS):
                code.keep(path)
            elif len(found) < _MOST_INPUTS:
                described = _describe(path, draft, code)
                found += [entry for entry in described if entry["sha256"] not in digests]
        scripts = draft.record.get("scripts", [])
        place += 1
    return found


def _named_by(script: Entry, draft: Draft) -> Iterator[str]:
    """Yield the real paths of files that a script names."""
    blob = draft.blobs.get(script.get("sha256", ""), b"")
    if isinstance(blob, str):
        with open(blob, "rb") as stream:
            blob = stream.read(_MOST_BYTES)
    if b"\0" in blob[:1024]:
        return
    text = blob[:_MOST_BYTES]
    words = set(_WORD.findall(text))
    words.update(name + b".py" for name in _IMPORT.findall(text))
    # `tar xzf $INPUT_TAR_DIR/code_$VERSION.tgz`
    words.update(os.fsencode(word) for word in words_of_script(text, os.environ))
    folders = [os.getcwd(), os.path.dirname(os.path.abspath(script["path"]))]
    seen: Set[str] = set()
    for word in sorted(words)[:_MOST_WORDS]:
        for folder in folders:
            path = os.path.realpath(os.path.join(folder, os.fsdecode(word)))
            if path not in seen and os.path.isfile(path):
                seen.add(path)
                yield path


def _describe(path: str, draft: Draft, code: SeenCode) -> List[Entry]:
    """Return the entry of a small file, as a list of one, and keep its bytes; empty for others."""
    try:
        status = os.stat(path)
        if status.st_size > SMALL_BYTES or not leaving.may_leave(path, status, os.getcwd()):
            return []
        hashed: Tuple[int, str, str] = hash_file(path, code.clock)
    except (OSError, OutOfTimeError):
        return []
    draft.add_file(hashed[1], path)
    entry: Entry = {"name": os.path.basename(path), "path": from_here(path)}
    entry.update(role="configuration", status="consumed", evidence="seen", size_bytes=hashed[0])
    entry.update(sha256=hashed[1], checksums=[hashed[2]])
    return [entry]
