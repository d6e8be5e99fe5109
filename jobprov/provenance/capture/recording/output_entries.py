"""Entries of outputs that were named or seen: in place, moved away, copied, or not there."""

import os
from typing import Collection, Dict, Iterable, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import entries
from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import file_name, from_here, is_url
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running.streams import is_standard
from jobprov.provenance.capture.sight.outputs import SeenOutputs
from jobprov.provenance.capture.sight.places import MadeFile


class Named:
    """An output that somebody named.

    Attributes:
        pattern: its path, or a pattern, as it was named.
        step: the step that makes it; None for the whole job.
        evidence: `told` by an option, or `argument` of a command line.
    """

    def __init__(self, pattern: str, step: Optional[str], evidence: str) -> None:
        self.pattern, self.step, self.evidence = pattern, step, evidence


def describe_named(
    draft: Draft, named: Sequence[Named], clock: Clock, seen: Optional[SeenOutputs]
) -> Tuple[List[Entry], List[Entry]]:
    """Return (entries of the outputs, entries of those that are not there)."""
    outputs: List[Entry] = []
    missing: List[Entry] = []
    known = set()
    last_steps = {one.pattern: one.step for one in named}  # that may have written it
    for one in named:
        if is_url(one.pattern):
            continue
        found = _describe_one(draft, one, clock, seen)
        for entry in found or ():
            absolute = os.path.abspath(entry["path"])
            if absolute not in known:
                known.add(absolute)
                if seen is not None and last_steps[one.pattern] != one.step:
                    entry["step"] = seen.find_maker(absolute) or last_steps[one.pattern]
                outputs.append(without_empty(dict(entry, evidence=one.evidence)))
        if found is None:
            missing.append(
                {"path": from_here(one.pattern), "step": one.step, "evidence": one.evidence}
            )
    return outputs, missing


def _describe_one(
    draft: Draft, one: Named, clock: Clock, seen: Optional[SeenOutputs]
) -> Optional[List[Entry]]:
    """Return the entries of what was named, none where it was scratch; None where it never came."""
    paths = entries.expand([one.pattern])[0][1]
    if paths or seen is None:
        return entries.describe_outputs(draft, one.step, paths, clock) or None
    pattern = os.path.abspath(one.pattern)
    moved = seen.find_renamed(pattern)  # `lar -o reco.root; mv reco.root out/`
    there = [from_here(path) for path in moved if os.path.isfile(path)]
    if there:
        return entries.describe_outputs(draft, one.step, there, clock)
    for path in [*moved, pattern]:
        gone = seen.find_gone(path)
        if gone is not None:
            return _describe_gone(draft, one.step, gone, clock)
    return None


def describe_made(
    draft: Draft, command: str, files: Iterable[MadeFile], clock: Clock, seen: SeenOutputs
) -> List[Entry]:
    """Return entries of outputs that nobody named, of the command or of a program that it ran."""
    outputs: List[Entry] = []
    for file in files:
        step = seen.find_maker(file.path) or command
        if file.place == file.path:
            found = entries.describe_outputs(draft, step, [from_here(file.path)], clock)
        else:
            found = _describe_gone(draft, step, file, clock)
        outputs += [without_empty(dict(entry, evidence="seen")) for entry in found]
    return outputs


def _describe_gone(draft: Draft, step: Optional[str], file: MadeFile, clock: Clock) -> List[Entry]:
    """Return the entry of an output that is not where it was made, as a list of one.

    Empty for one that was removed again and that no other program read: it was scratch.
    """
    entry: Entry = {"status": "written"}
    is_removed = file.place is None and not file.is_moved
    if file.file is not None and file.file.sha256 is not None:
        entry.update(size_bytes=file.file.size_bytes, sha256=file.file.sha256)
        entry["checksums"] = [file.file.checksum]
    elif is_removed:
        return []
    elif file.place is None:
        draft.note("output {} was moved away, and nobody saw where to".format(file.path))
    elif os.path.isfile(file.place):
        entry.update(*entries.describe_outputs(draft, step, [file.place], clock))
    if is_removed:
        entry["status"] = "not_kept"  # what one program handed to the next
    entry.update(path=from_here(file.path), step=step, location=file.place)
    entry["name"] = file_name(file.place or file.path)
    return [entry]


def take_moves(recorded: Dict[str, Entry], seen: SeenOutputs) -> None:
    """Give outputs of earlier steps, by absolute path, the places to which this one moved them."""
    for path, entry in recorded.items():
        place = seen.find_move(path)
        if place is not None:
            entry.update(location=place, name=file_name(place))


def join_copies(outputs: Iterable[Entry], seen: SeenOutputs, clock: Clock) -> List[Entry]:
    """Return the outputs, each with a location where the job copied it: same bytes, elsewhere.

    What was only seen there is no second output, nor is a copy in a second place, nor one of the
    same name in the job's own folders (`cp reco.root $CONDOR_DIR_HIST/`).
    """
    ordered = sorted(outputs, key=lambda entry: os.path.isabs(entry["path"]))
    # Reversed: of two with one name, the job's own counts
    written = {entry["name"]: _written_elsewhere(entry) for entry in reversed(ordered)}
    by_path: Dict[Optional[str], Entry]
    by_path = {os.path.abspath(entry["path"]): entry for entry in ordered}
    copies = set()
    first: Dict[Tuple[str, Optional[str]], Entry] = {}
    for entry in ordered:
        path = os.path.abspath(entry["path"])
        if path not in copies and entry.get("location") is None and entry.get("size_bytes"):
            candidates = seen.find_copies(path, entry["size_bytes"])
            place = _find_copy(entry, candidates, written, clock)
            if place is not None:
                entry.update(location=place, name=file_name(place))
        copies.add(entry.get("location"))
        same_name = first.setdefault((entry["name"], entry.get("sha256")), entry)
        original = by_path.get(seen.find_source(path), same_name)
        if original is not entry and _have_same_bytes(original, entry):
            copies.add(path)
    return [entry for entry in ordered if not _is_one_of(entry, copies)]


def _have_same_bytes(one: Entry, other: Entry) -> bool:
    return bool(one.get("sha256")) and one.get("sha256") == other.get("sha256")


def _find_copy(
    entry: Entry, candidates: Iterable[str], written: Dict[str, str], clock: Clock
) -> Optional[str]:
    """Return the copy of an output.

    One under another name counts only where it is the only one: outputs of other jobs, and others
    of this one, may hold the same bytes. `written` has the names of all outputs of this one, and
    when what was seen elsewhere was written: later than the output, it may be the copy itself. A
    copy in a storage that this node cannot look into has only the copier's word.
    """
    renamed = set()
    for place in candidates:
        if is_standard(place):  # `| tee hist.csv`: the batch system's file holds the same bytes
            continue
        name = file_name(place)
        is_renamed = name != entry["name"]
        if is_renamed and name in written and written[name] < entry.get("closed_at", "~"):
            continue
        try:
            is_out_of_sight = is_url(place) or not _is_mounted(place)
            if not is_out_of_sight and hash_file(place, clock)[1] != entry.get("sha256"):
                continue
        except (OSError, OutOfTimeError):
            continue
        if not is_renamed or is_out_of_sight:
            return place
        renamed.add(place)
    return renamed.pop() if len(renamed) == 1 else None


def _is_mounted(path: str) -> bool:
    """Tell whether there is anything in the top folder of an absolute path, such as /pnfs."""
    try:
        with os.scandir("/" + path.split("/")[1]) as entries:
            return any(entries)
    except OSError:
        return False


def _written_elsewhere(entry: Entry) -> str:
    """Return when an output was written that was seen outside of the job's folders, else ""."""
    is_elsewhere = entry["evidence"] == "seen" and os.path.isabs(entry["path"])
    return entry.get("closed_at", "") if is_elsewhere else ""


def _is_one_of(entry: Entry, copies: Collection[Optional[str]]) -> bool:
    return entry["evidence"] == "seen" and os.path.abspath(entry["path"]) in copies
