"""What changed while a command ran: a rerun gets scripts, fcl and inputs as they were before.

Nobody can tell which of the two the command read, unless it made the change itself.
"""

import hashlib
import os
from typing import Iterator, List, Optional, Tuple

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.files.stamps import GRANULE_SECONDS
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry, Record
from jobprov.provenance.capture.secrets.texts import redact

_KEPT = "the record has what was there before"
_LOST = "what was there before is not kept"


def settle_inputs(draft: Draft, step: Step) -> List[Tuple[str, bool]]:
    """Put the inputs of a step into the record as they were before it, where their bytes are held.

    A file that the command line names and that was written anew is an output, and may have been
    read before: it stays an input where that can be told, but no parent of what the job made.

    Return [(path, whether its bytes of before are kept)] of those that changed.
    """
    written, kept, signatures = set(step.found_outputs()), [], dict(step.candidates)
    changed: List[Tuple[str, bool]] = []
    for entry in step.inputs:
        path = entry.get("path")
        if path is None or not _is_touched(path, step.began):
            kept.append(entry)
            continue
        content = step.contents.get(path)
        is_changed = path not in step.absent and _has_changed(entry, step.began)
        is_held = content is not None and _digest(content) == entry.get("sha256")
        if content is not None and is_held:
            draft.blobs[entry["sha256"]] = content
        before = signatures.get(path)
        if path in written and before is not None and before[1] > SMALL_BYTES:
            is_changed = True  # it was hashed too late to tell
        if is_changed:
            changed.append((path, is_held))
        if path in written and is_changed and is_held:
            entry.update(role="configuration", evidence="seen")
        if path not in written or (is_changed and is_held):
            kept.append(entry)
    step.inputs = kept
    return changed


def weaken(draft: Draft, step: Step, changed: List[Tuple[str, bool]]) -> None:
    """Name in the record what changed, but for inputs that are outputs of the job as well."""
    outputs = {os.path.abspath(entry["path"]) for entry in draft.record.get("outputs", ())}
    for path, is_kept in changed:
        if not is_kept or os.path.abspath(path) not in outputs:
            draft.weaken("changed-while-running", "input " + path, _KEPT if is_kept else _LOST)
    for what, entry in _sources(draft.record, step):
        path = entry["path"]
        if _is_touched(path, step.began) and os.path.exists(path) and _differs(entry):
            draft.weaken("changed-while-running", "{} {}".format(what, path), _KEPT)


def weaken_folders(draft: Draft, step: Step) -> None:
    """Name folders that a step was given, unless the record tells what was read or written in them.

    Only a trace tells which of their files a command read.
    """
    if step.role != "payload":
        return
    record = draft.record
    told = []
    for software in record.get("software", ()):
        for folder in (software.get("checkout"), (software.get("product") or {}).get("prefix")):
            if folder:
                told.append(folder.rstrip("/") + "/")
    entries = [*record.get("outputs", ()), *record.get("inputs", ()), *record.get("scripts", ())]
    for configuration in record.get("configurations", ()):
        entries += configuration.get("files", ())
    files = [entry["path"] for entry in entries if entry.get("path")]
    for folder in step.folders:
        real = os.path.realpath(folder) + "/"
        is_used = any(os.path.realpath(path).startswith(real) for path in files)
        if not is_used and not real.startswith(tuple(told)):
            draft.weaken(
                "input-missing", "folder " + folder, "nobody saw which of its files were read"
            )


def _sources(record: Record, step: Step) -> Iterator[Tuple[str, Entry]]:
    """Yield (what it is, entry) of scripts and fcl files that were there before the step."""
    for entry in record.get("scripts", ()):
        if entry.get("evidence") != "seen" and entry.get("sha256"):
            yield "script", entry
    for configuration in record.get("configurations", ()):
        if configuration.get("step") == step.name:
            for entry in configuration.get("files", ()):
                yield "fcl file", entry


def _is_touched(path: str, began: float) -> bool:
    """Tell whether a file was written, moved or removed since a moment."""
    try:
        return os.stat(path).st_ctime >= began - GRANULE_SECONDS
    except (OSError, ValueError):
        return True


def _has_changed(entry: Entry, began: float) -> bool:
    """Tell whether an input is there and is another one than before.

    A large one is not read again.
    """
    try:
        status = os.stat(entry["path"])
    except OSError:
        return False
    if status.st_size != entry.get("size_bytes", status.st_size):
        return True
    if status.st_mtime < began or status.st_size > SMALL_BYTES:
        return status.st_mtime >= began
    content = _read(entry["path"])
    return content is not None and _digest(content) != entry.get("sha256")


def _differs(entry: Entry) -> bool:
    content = _read(entry["path"])
    return content is not None and _digest(redact(content)[0]) != entry["sha256"]


def _read(path: str) -> Optional[bytes]:
    try:
        return regular.read(path)
    except OSError:
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
