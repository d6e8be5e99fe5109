"""Code and configuration that a command uses.

Script files and fcl, each tied to the repository that it lies in.
"""

import os
import re
from typing import Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.command.closure import Closure, included_names, shown
from jobprov.provenance.capture.command.glance import Script
from jobprov.provenance.capture.command.randomness import find_run_specific, find_unseeded
from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.capture.secrets.variables import withhold_assigned

_SOURCE_ENDS = (".c", ".cc", ".cpp", ".cxx", ".C", ".h", ".hh", ".hpp", ".f", ".F", ".f90", ".F90")
_NO_FILES = ("STDOUT", "STDERR", "cout", "cerr")  # art's `--config-out` prints there
_PROCESS_NAME = re.compile(rb"^process_name[ \t]*:[ \t]*[\"']?([\w-]+)")
_USED_NAME = re.compile(rb"(?<!unset )(?<!\w)(\w+)(?!\w|=(?!=))")
_LARGEST_TEXT = 1 << 20
_OF_DISTRIBUTIONS = ("dpkg ", "rpm ")


def keep_scripts(
    draft: Draft,
    scripts: Iterable[Script],
    repositories: Repositories,
    evidence: Optional[str] = None,
) -> None:
    """Record script files as a glance has them; `evidence` is `seen` for those nobody named."""
    known = {os.path.abspath(entry["path"]) for entry in draft.record.get("scripts", ())}
    for script in scripts:
        path = script.path
        if os.path.abspath(path) in known:
            continue
        known.add(os.path.abspath(path))
        what = "script " + path
        entry = {"name": os.path.basename(path), "path": path}
        if script.content is None:
            draft.note(script.why_not)  # the gap `script-missing` follows
        else:
            withhold_assigned(script.content)
            entry.update(mode=script.mode, sha256=_keep_script(draft, path, script.content))
        entry.update(draft.attempt(what, repositories.place, path) or {})
        if evidence is not None:
            entry["evidence"] = evidence
        draft.extend("scripts", [entry])


def _keep_script(draft: Draft, path: str, content: bytes) -> str:
    """Keep the text of a script and return its digest.

    What a package brought is public, and holds no secret whatever a rule finds there. A program of
    the distribution (GNU parallel) is no code of the job, whatever numbers it draws.
    """
    if not (redact(content)[1] or find_unseeded(content) or find_run_specific(content)):
        return draft.add_bytes(content)
    from jobprov.provenance.capture.files import packaged  # noqa: PLC0415 - for few

    what = "script " + path
    owner = draft.attempt(what, packaged.owner_of, os.path.realpath(path))
    if owner is None or not owner.startswith(_OF_DISTRIBUTIONS):
        weaken_by_text(draft, what, content)
    if owner is None:
        return draft.add_source(content, what)
    digest = draft.add_bytes(content)
    draft.record.setdefault("extra", {}).setdefault("packaged", {})[digest] = owner
    return digest


def weaken_by_text(draft: Draft, what: str, content: bytes) -> None:
    """Name in the record a text that draws unseeded numbers, or writes what differs each run."""
    drawn = find_unseeded(content)
    if drawn is not None:
        draft.weaken("random-unseeded", what, drawn)
    written = find_run_specific(content)
    if written is not None:
        draft.weaken("run-specific", what, written)


def weaken_by_sources(draft: Draft) -> None:
    """Look likewise into modules and sources that the command was seen or traced to use."""
    entries = [entry for entry in draft.record.get("scripts", ()) if entry.get("evidence")]
    for entry in draft.record.get("inputs", ()):
        if entry["name"].endswith(_SOURCE_ENDS):
            entries.append(entry)
    for entry in entries:
        path = entry.get("path") or entry["name"]
        weaken_by_text(draft, "script " + path, draft.read(entry.get("sha256")))


def keep_configurations(
    draft: Draft, step: Step, closures: Iterable[Tuple[str, Closure]], repositories: Repositories
) -> None:
    """Record include closures as a glance has them."""
    for main, closure in closures:
        for problem in closure.problems:
            draft.note(problem)
            step.problems.append((main, problem))
        if not closure.files:
            continue
        for file in closure.files:
            path = file["path"]
            file["sha256"] = draft.add_source(closure.contents[path], "fcl " + path)
            file.update(draft.attempt("fcl " + path, repositories.place, path) or {})
        entry: Entry = {
            "main": main,
            "process_name": process_name(closure),
            "search_path": closure.search_path,
        }
        if main == step.line.config:
            entry["overrides"] = step.line.overrides
            entry["process_name"] = step.line.process_name or entry["process_name"]
        entry.update(step=step.name, files=closure.files)
        draft.extend("configurations", [without_empty(entry)])


def keep_final_configuration(draft: Draft, step: Step) -> None:
    """Record what art wrote with --config-out: the configuration as run."""
    path = step.line.final
    if not path or path in _NO_FILES or not os.path.isfile(path):
        return
    if os.path.getsize(path) > SMALL_BYTES:
        draft.note("{} is too large to be kept".format(path))
        return
    with open(path, "rb") as stream:
        content = stream.read()
    for entry in draft.record.get("configurations", ()):
        if entry.get("step") == step.name and entry["main"] == step.line.config:
            entry["final_sha256"] = draft.add_text(content, path)


def process_name(closure: Closure) -> Optional[str]:
    """Return the name that the last assignment at column 0 gives, includes followed.

    Prologs are left out.

    None where there is none.
    """
    if closure.main is None:
        return None
    entered = {closure.main}
    stack = [_marks_backwards(closure, closure.main)]
    while stack:
        is_include, word = next(stack[-1], (None, ""))
        if is_include is None:
            stack.pop()
        elif not is_include:
            return word
        else:
            path, _ = closure.find(word)
            if path is not None and path not in entered:
                entered.add(path)
                stack.append(_marks_backwards(closure, path))
    return None


def _marks_backwards(closure: Closure, path: str) -> Iterator[Tuple[Optional[bool], str]]:
    """Yield (True, included name) or (False, process name) of a file, the last first.

    Prologs are left out.
    """
    content = closure.contents.get(shown(path), b"")
    if b"process_name" not in content and b"#include" not in content:
        return
    marks: List[Tuple[bool, str]] = []
    is_prolog = False
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        if line.startswith((b"BEGIN_PROLOG", b"END_PROLOG")):
            is_prolog = line.startswith(b"BEGIN")
            continue
        if is_prolog:
            continue
        assignment = _PROCESS_NAME.match(line)
        if assignment:
            marks.append((False, assignment.group(1).decode()))
        marks += [(True, name) for name in included_names(line)]
    yield from reversed(marks)


def named_in_code(draft: Draft, names: Sequence[str]) -> List[str]:
    """Return the variables that a script or fcl file names, other than to set or unset them.

    Of those that are withheld, a rerun lacks these.
    """
    if not names:
        return []
    found: Set[str] = set()
    for text in _texts(draft):
        found.update(name.decode("utf-8") for name in _USED_NAME.findall(text))
    return sorted(found.intersection(names))


def _texts(draft: Draft) -> Iterator[bytes]:
    files = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        files += configuration.get("files", ())
    for file in files:
        blob = draft.blobs.get(file.get("sha256"))
        if isinstance(blob, str):
            try:
                with open(blob, "rb") as stream:
                    blob = stream.read(_LARGEST_TEXT + 1)
            except OSError:
                continue
        if blob and len(blob) <= _LARGEST_TEXT:
            yield blob
