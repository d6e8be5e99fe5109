"""What was seen of one command by itself, put into the record.

What was told wins: a file that an option or the command line names is not recorded again.
"""

import os
from typing import Dict, Iterable, List, Optional, Set, Tuple

from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.command import code
from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.files.names import is_url
from jobprov.provenance.capture.files.private import is_private
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.recording.output_entries import describe_made
from jobprov.provenance.capture.running.watching import Watch
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.sight.child_programs import marks_of_products
from jobprov.provenance.capture.sight.inputs import SeenInputs, address_of, role_of
from jobprov.provenance.capture.sight.named_files import NamedFiles
from jobprov.provenance.capture.sight.outputs import SeenOutputs
from jobprov.provenance.capture.sight.programs import (
    describe_processes,
    find_drivers,
    find_steps,
)
from jobprov.provenance.capture.sight.seen_code import SeenCode
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.surroundings import products


class Seen:
    """What was seen of one command.

    Attributes:
        programs: ProgramStep of each program that is a step of its own, in the order seen.
        inputs: the record's entries of the inputs that were seen.
        outputs: what came and went.
    """

    def __init__(self, draft: Draft, step: Step, sight: Sight, watch: Optional[Watch]) -> None:
        self._draft, self._step, self._sight, self._watch = draft, step, sight, watch
        if step.line.is_art and not step.line.is_program and find_drivers(sight.programs):
            _leave_to_programs(draft, step)
        self.programs = find_steps(sight, step, draft)
        # Written like art's, but its fcl file was not there: those of its programs are
        if self.programs and not step.line.is_program and not _has_configuration(draft, step):
            step.leave_options(draft)
        self.inputs: List[Entry] = []
        self._left_out: Set[str] = set()
        self._code: Optional[SeenCode] = None
        self.outputs = SeenOutputs(draft, sight, watch, step, self.programs)

    def folders_and_inputs(self) -> List[Tuple[str, List[Entry]]]:
        """Return where each program that is a step ran, and its inputs, in the order seen."""
        return [(each.program.child.working_directory, each.step.inputs) for each in self.programs]

    def name_running(self, moment: float, late: float) -> Optional[str]:
        """Return the step of the one program that ran at a moment, which may be late; else None."""
        running = []
        for each in self.programs:
            child = each.program.child
            if child.began - late <= moment <= child.ended + late:
                running.append(each.step.name)
        return running[0] if len(running) == 1 else None

    def add_programs(self, repositories: Repositories, wall_seconds: float) -> None:
        """Add the programs to the record: as steps with their code and fcl, and all as a list."""
        draft, folder = self._draft, os.getcwd()
        command = draft.record["command"]
        for program in self._sight.programs:
            scripts = [script.named_from_here() for script in program.scripts]
            code.keep_scripts(draft, scripts, repositories, "seen")
        self._add_products()
        for step in self.programs:
            command["steps"].append(step.describe(self._step.name, folder))
            code.keep_configurations(draft, step.step, step.program.closures, repositories)
        code_seen = self._code = SeenCode(draft, self._sight, repositories)
        draft.need("programs and libraries", code_seen.add, self._watch)
        repositories.finish()
        earlier = command.get("processes")
        command["processes"] = describe_processes(
            draft,
            self._sight,
            self._watch,
            wall_seconds,
            earlier,
            unknown_programs=code_seen.unknown,
        )

    def _add_products(self) -> None:
        """Add the products that the job's script set up for its programs."""
        looked_at = set()
        for program in [*(each.program for each in self.programs), *self._sight.programs]:
            marks = marks_of_products(program.variables)
            if not program.variables or marks in looked_at:
                continue
            looked_at.add(marks)
            words = (self._draft, program.variables)
            listed = self._draft.attempt("products", products.list_products, *words)
            known = self._draft.record.get("software", ())
            new = [entry for entry in listed or () if entry not in known]
            self._draft.extend("software", new)

    def add_inputs(self) -> None:
        """Add the inputs to the record."""
        seen, watch = self._seen_inputs(), self._watch
        of_steps = seen.of_steps(self.programs)
        known: List[str] = []
        for entry in [*self._step.inputs, *of_steps]:
            if entry.get("path"):
                known.append(os.path.abspath(entry["path"]))
            if entry.get("location"):  # a copier that took long was seen to hold it open
                known.append(entry["location"])
        known += [os.path.realpath(path) for path in known if not is_url(path)]
        opened = None if watch is None else watch.files
        is_ours = self.outputs.is_ours
        self.inputs = of_steps + seen.of_command(self._step.name, known, opened, is_ours)
        if self._code is not None and not self._sight.is_hurried:
            named = NamedFiles(self._draft, self._code, [*self._step.inputs, *self.inputs])
            # a job script of several steps names the files of all of them
            if self._draft.record["command"].get("argv") == redact_arguments(self._step.argv):
                self._draft.need("files", named.add_from_scripts)
            self._draft.need("files", named.add_unpacked)
            self.inputs += [dict(entry, step=self._step.name) for entry in named.inputs]
        self._leave_out_private()
        self._draft.extend("inputs", self.inputs)

    def _leave_out_private(self) -> None:
        """Leave out password files that were read before a script told what they are."""
        kept: List[Entry] = []
        private: Set[str] = set()
        for entry in self.inputs:
            if entry.get("path") and is_private(os.path.abspath(entry["path"])):
                private.add(entry.get("sha256", ""))
            else:
                kept.append(entry)
        self.inputs = kept
        for digest in private.difference(entry.get("sha256") for entry in kept):
            self._draft.take(digest)

    def _seen_inputs(self) -> SeenInputs:
        outputs = self.outputs
        return SeenInputs(self._draft, self._sight, outputs.staged_in, outputs.updated)

    def find_staged_in(self) -> List[Entry]:
        """Return inputs that the job fetched and that nothing else names; all others are known."""
        known: Set[str] = set()
        sources: Set[str] = set()
        # to SAM, by name alone, or by a log, when they were gone: when they came, they were read
        unread: Dict[str, Entry] = {}
        for brought in self.outputs.staged_in.values():
            sources.update(copy.source for copy in brought)
        for entry in self._draft.record.get("inputs", ()):
            path = os.path.abspath(entry.get("path") or "")
            if path in sources and entry.get("evidence") == "seen":
                entry["role"] = role_of(path)  # more than a name in a script
            copies = self.outputs.staged_in.get(path)
            if copies and not entry.get("location"):
                source = copies[-1].source
                entry["name"] = os.path.basename(source)
                if address_of(source) is not None:
                    entry["location"] = source
            is_named_alone = not (entry.get("path") or entry.get("location"))
            if is_named_alone or (copies and "size_bytes" not in entry):
                unread[entry["name"]] = entry
            else:
                known.update((path, entry.get("location") or path))
        fetched = []
        for entry in self._seen_inputs().of_staged_in(self._step.name, known):
            same = unread.get(entry["name"])
            if same is None:
                fetched.append(entry)
            else:
                same.update(entry, **same)
        self.inputs += fetched
        return fetched

    def leave_out(self, paths: Iterable[str]) -> None:
        """Count files as no outputs: databases that a configuration names."""
        self._left_out.update(os.path.abspath(path) for path in paths)

    def describe_made(self, known: Iterable[str], clock: Clock) -> List[Entry]:
        """Return entries of the outputs that nobody named, but for known absolute paths."""
        files = self.outputs.find(self._draft, self._left_out.union(known))
        return describe_made(self._draft, self._step.name, files, clock, self.outputs)


def _leave_to_programs(draft: Draft, step: Step) -> None:
    """Take what a command names like art as words for the program that it runs, which names it."""
    configurations: List[Entry] = draft.record.get("configurations", [])
    for entry in list(configurations):
        if entry.get("step") == step.name and entry["main"] == step.line.config:
            configurations.remove(entry)
            for file in entry["files"]:
                draft.take(file["sha256"])
    if not configurations:
        draft.record.pop("configurations", None)
    named = set(step.line.sources)
    if all(os.path.isfile(path) for path in step.line.lists):
        named.update(draft.attempt("lists", step.line.listed_sources) or ())
    others: List[Entry] = []
    for entry in step.inputs:
        if (entry.get("path") or entry.get("location")) in named and entry["role"] == "primary":
            draft.take(entry.get("sha256"))
        else:
            others.append(entry)
    step.inputs[:] = others
    step.leave_options(draft)


def _has_configuration(draft: Draft, step: Step) -> bool:
    """Tell whether the fcl file that a command names was there before it."""
    mains = [
        entry["main"]
        for entry in draft.record.get("configurations", ())
        if entry.get("step") == step.name
    ]
    return step.line.config in mains
