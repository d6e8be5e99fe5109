"""The programs that a command was seen to run: as steps, where they are like art, and as a list."""

import json
import os
import sys
from typing import Dict, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment, without_empty
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.running.children import Child
from jobprov.provenance.capture.running.watching import Watch
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.sight.child_programs import ChildProgram
from jobprov.provenance.capture.sight.sight import Sight

_MOST_STEPS, _MOST_UNKNOWN, _LONGEST_SENTENCE = 200, 50, 1000
_SEEN_SECONDS = 0.05  # what runs so long has to be seen


class ProgramStep:
    """A step that nobody named: a program like art that the command started.

    Attributes:
        program: what was read of it.
        step: as the record's other steps are described.
    """

    def __init__(self, program: ChildProgram) -> None:
        self.program = program
        self.step = Step(program.line, program.child.began, role="program")

    def describe(self, within: str, working_folder: str) -> Entry:
        """Return the record's entry: a step within the one of the command."""
        child = self.program.child
        fields = self.step.describe_program(child.exit_code, child.ended)
        fields["within"], fields["evidence"] = within, "seen"
        if child.working_directory != working_folder:
            fields["working_directory"] = child.working_directory
        return fields


def find_steps(sight: Sight, step: Step, draft: Draft) -> List[ProgramStep]:
    """Return the programs that are steps of their own within the command's, in the order seen."""
    taken = {entry["name"] for entry in draft.record["command"].get("steps", ())}
    taken.add(step.name)
    steps: List[ProgramStep] = []
    for program in _without_wrappers(sight.programs, step):
        if len(steps) >= _MOST_STEPS:
            sight.note("only the first {} programs are steps of their own".format(_MOST_STEPS))
            break
        step_of_program = ProgramStep(program)
        step_of_program.step.name = _free_name(step_of_program.step.name, taken)
        steps.append(step_of_program)
    return steps


def _free_name(name: str, taken: Set[str]) -> str:
    """Return a name, with a number where it is taken, and take it."""
    free, number = name, 2
    while free in taken:
        free = "{}-{}".format(name, number)
        number += 1
    taken.add(free)
    return free


def _without_wrappers(programs: Sequence[ChildProgram], step: Step) -> List[ChildProgram]:
    """Return the programs like art, each once.

    A script that stands for art has its words, and so have `env` and `timeout` before it: what
    counts is the last of a family with one configuration. The command itself is a step already. A
    shell's subshell is a copy of it, with its file and words, and is no program of its own.
    """
    kept: List[ChildProgram] = []
    drivers = find_drivers(programs)
    runs: Dict[int, Tuple[str, List[str]]] = {}
    for program in programs:
        child = program.child
        runs[child.process] = (child.program, child.argv)
        if runs.get(child.parent) == runs[child.process]:
            continue
        if not program.is_step or (step.line.is_art and program.line.config == step.line.config):
            continue
        if child.process in drivers and not program.line.is_program:
            continue
        family = (child.process, child.parent)
        for other in list(kept):
            is_same = other.line.config == program.line.config
            if is_same and other.child.process in family:
                kept.remove(other)
        kept.append(program)
    return kept


def find_drivers(programs: Sequence[ChildProgram]) -> Set[int]:
    """Return the processes that ran a program whose name is art's, or became one.

    What is written like art's there are words for that one: `fife_wrap … --exe lar -- -c reco.fcl`.
    """
    parents = {program.child.process: program.child.parent for program in programs}
    drivers: Set[int] = set()
    for program in programs:
        process = program.child.process
        while program.line.is_program and process in parents and process not in drivers:
            drivers.add(process)
            process = parents[process]
    return drivers


def describe_processes(
    draft: Draft,
    sight: Sight,
    watch: Optional[Watch],
    wall_seconds: float,
    earlier: Optional[Entry],
    *,
    unknown_programs: Sequence[str],
) -> Entry:
    """Return the record's `command.processes`, together with those of earlier steps.

    `unknown_programs` are those whose code nobody can tell.
    """
    earlier = earlier or {}
    why, seen = list(sight.why_incomplete), []
    children = None if watch is None else watch.children
    if children is not None and not children.was_late:
        seen = children.seen
        why += [children.why_incomplete] if children.why_incomplete else []
        if any(map(_begins_tasks, seen)):
            why.append("what srun starts is not seen from outside: put the hook after srun")
    elif wall_seconds >= _SEEN_SECONDS:
        why.append("the command ran before anybody could look")
    known = earlier.get("why_incomplete")
    if known:
        why = [known, *(sentence for sentence in why if sentence not in known)]
    content = draft.take(earlier.get("sha256"))
    if content or len(seen) > 1:  # the command alone is in the record already
        lines = [json.dumps(_describe(child), sort_keys=True) + "\n" for child in seen]
        content += "".join(lines).encode("utf-8", "backslashreplace")
    unknown = [*earlier.get("unknown_programs", ()), *unknown_programs]
    fields = {
        "count": earlier.get("count", 0) + len(seen),
        "is_complete": not why,
        "why_incomplete": "; ".join(why)[:_LONGEST_SENTENCE] or None,
        "sha256": draft.add_text(content, "list of processes") if content else None,
        "unknown_programs": list(dict.fromkeys(unknown))[:_MOST_UNKNOWN] or None,
    }
    return without_empty(fields)


def _begins_tasks(child: Child) -> bool:
    """Tell whether Slurm's daemons start something for a program, and that is without a hook."""
    names = [os.path.basename(word) for word in child.argv]
    return names[0] == "srun" and os.path.basename(sys.argv[0]) not in names


def _describe(child: Child) -> Entry:
    """Return one line of the list of processes."""
    fields = {
        "process": child.process,
        "parent": child.parent,
        "began": moment(child.began),
        "ended": moment(child.ended),
        "cpu_seconds": child.cpu_seconds,
        "exit_code": child.exit_code,
        "working_directory": child.working_directory,
        "argv": redact_arguments(child.argv),
    }
    return without_empty(fields)
