"""The outputs of a job, as they come into its record, and their sidecars."""

import os
from typing import Collection, Dict, Iterable, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import entries, sidecar
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject
from jobprov.provenance.capture.recording import declared
from jobprov.provenance.capture.recording.output_entries import (
    Named,
    describe_named,
    join_copies,
    take_moves,
)
from jobprov.provenance.capture.recording.seen import Seen
from jobprov.provenance.capture.running.background import budget


class Outputs:
    """Takes the outputs of a job into its record, and writes their sidecars."""

    def __init__(self, draft: Draft, options: Options) -> None:
        self._draft, self._options = draft, options

    def add(
        self,
        named: Sequence[Named],
        inputs: Iterable[Entry],
        clock: Clock,
        *,
        step: Optional[str] = None,
        seen: Optional[Seen] = None,
        failed: Collection[str] = (),
        is_success: bool,
    ) -> List[Entry]:
        """Describe outputs, and write the sidecars of named ones where their step succeeded.

        `failed` are steps that did not, although the command did.

        Return entries of those that were named and are not there.
        """
        draft, options = self._draft, self._options
        found, missing = self._find(named, seen, clock)
        draft.extend("outputs_not_there", [without_empty(entry) for entry in missing])
        metadata = entries.pairs(draft, options.metadata, options.metadata_type)
        declared.take_settings(draft, options, metadata, step)
        parents = options.declared_parents()
        made_from = sidecar.MadeFrom(draft.record, inputs, found, parents)
        late = Clock(max(clock.left(), budget(options) / 2))
        for entry in found:
            entries.apply_metadata(entry, metadata)
            has_sidecar = entry["evidence"] != "seen" and os.path.isfile(entry["path"])
            content = self._read_sidecar(entry) if has_sidecar else None
            entries.name_spaces([entry], options.namespace_of)
            if parents:
                entry["parents"] = _names_of_others(parents, entry)
            is_good = is_success and entry.get("step") not in failed
            if content is not None and is_good and not options.no_sidecar:
                what = "sidecar of " + entry["path"]
                draft.attempt(what, self._write_sidecar, entry, content, made_from, late)
            self._recorded().append(without_empty(entry))
        if not self._recorded():
            del draft.record["outputs"]
        return missing

    def _find(
        self, named: Sequence[Named], seen: Optional[Seen], clock: Clock
    ) -> Tuple[List[Entry], List[Entry]]:
        """Return (entries of outputs that are to be recorded, of named ones that are not there)."""
        recorded = {os.path.abspath(entry["path"]): entry for entry in self._recorded()}
        if seen is None:
            found, missing = describe_named(self._draft, named, clock, None)
            return [entry for entry in found if self._takes_over(entry, recorded)], missing
        found, missing = describe_named(self._draft, named, clock, seen.outputs)
        found = [entry for entry in found if self._takes_over(entry, recorded)]
        take_moves(recorded, seen.outputs)
        known = {os.path.abspath(entry["path"]) for entry in [*self._recorded(), *found]}
        found += seen.describe_made(known, clock)
        return join_copies(found, seen.outputs, clock), missing

    def _recorded(self) -> List[Entry]:
        outputs: List[Entry] = self._draft.record.setdefault("outputs", [])
        return outputs

    def _takes_over(self, entry: Entry, recorded: Dict[str, Entry]) -> bool:
        """Tell whether a named output is to be recorded: what was only seen gives way to it.

        A step beside this one may have seen it come.
        """
        earlier = recorded.get(os.path.abspath(entry["path"]))
        if earlier is not None and earlier.get("evidence") != "seen":
            return False
        if earlier is not None:
            self._recorded().remove(earlier)
            if "location" in earlier:  # who tells of the file may not know where it was copied
                entry.update(name=earlier["name"], location=earlier["location"])
        return True

    def add_late(self, clock: Clock) -> bool:
        """At the end, describe outputs that were not there after their step and are there now.

        Tell whether there are any.
        """
        late: List[Named] = []
        missing: List[Named] = []
        for entry in self._draft.record.pop("outputs_not_there", ()):
            named = Named(entry["path"], entry.get("step"), entry["evidence"])
            (late if entries.expand([named.pattern])[0][1] else missing).append(named)
        self.add(late, self._draft.record.get("inputs", ()), clock, is_success=True)
        self.add(missing, (), clock, is_success=True)
        return bool(late)

    def _read_sidecar(self, entry: Entry) -> Optional[Entry]:
        """Return what the job wrote into the sidecar of an output, which completes the output.

        None where there is one that cannot be read: it is not ours to replace.
        """
        what = "sidecar of " + entry["path"]
        content: Optional[JsonObject] = self._draft.attempt(what, sidecar.read, entry["path"])
        if content is not None:
            sidecar.complete_output(entry, content)
        return content

    def _write_sidecar(
        self,
        entry: Entry,
        content: JsonObject,
        made_from: sidecar.MadeFrom,
        clock: Clock,
    ) -> None:
        """Write the sidecar of an output; `content` is what the job wrote there itself."""
        record, options = self._draft.record, self._options
        parents = made_from.parents(entry)
        marks = {
            "prov.job_id": record["job_id"],
            "prov.task_id": record.get("task", {}).get("task_id"),
            "prov.output": entry["name"],
        }
        marks = without_empty(marks)
        if options.sidecar == "sam" and not content:
            sidecar.write_for_sam(entry, marks, parents, clock)
            return
        for problem in sidecar.write(entry, content, marks, parents, clock):
            self._draft.note(problem)


def _names_of_others(files: Iterable[Entry], entry: Entry) -> List[str]:
    """Return the full names of files, without that of an entry itself."""
    own_name = entries.full_name(entry)
    names = [entries.full_name(file) for file in files]
    return [name for name in names if name != own_name]
