"""Which inputs of a job an output was made from, if the output does not declare them itself.

They are the primary and secondary inputs of its step. An input that an earlier step of the same job
wrote stands for that output's own parents: a job's output never satisfies its own input, and
ancestry must not end inside a job.

Bounded: a job has at most 400,000 pairs of an output and an input. Where there would be more, no
parents are derived, in whatever order its records came, and a gap says so; declared ones stay.

Source: record.md, "Files and edges" and "Size".
"""

import posixpath
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.job_record import Input, JobRecord, Output, Step

MOST_PARENTS = 400_000
"""Pairs of an output and an input of one job.

As many inputs as a large merge has, times a hundred outputs. Writing them keeps the only writer
busy for two seconds.
"""
PARENT_ROLES = (None, "primary", "secondary")
_MOST_LOOKS = 500_000
"""At inputs and outputs, while searching for the pairs: about a second's work."""
_FEW = 100_000
"""Inputs times outputs times steps: up to so many, neither limit can be reached."""


class FileName(NamedTuple):
    """A file as a record names it."""

    name: str
    namespace: str
    experiment: str


class _Origins(NamedTuple):
    """What an output was made from.

    Attributes:
        inputs: their positions.
        on_the_way: files that the job itself wrote in between.
    """

    inputs: tuple[int, ...]
    on_the_way: set[FileName]


def has_too_many_parents(record: JobRecord) -> bool:
    """Return whether there are too many pairs to derive parents for outputs that declare none."""
    inputs, outputs = record.inputs, record.outputs
    if not inputs or not outputs or record.rerun_of is not None:
        return False
    pairs = len(inputs) * len(outputs)
    if pairs <= _FEW and pairs * len({output.step for output in outputs}) <= _FEW:
        return False
    try:
        return _count_pairs(FilesOfJob(record), outputs) > MOST_PARENTS
    except LimitError:
        return True


def _count_pairs(files: "FilesOfJob", outputs: Sequence[Output]) -> int:
    """Return the number of pairs, or more than the limit as soon as that is passed."""
    pairs = 0
    for output in outputs:
        if output.parents is None:
            pairs += len(files.parents(output))
        else:
            pairs += len(output.parents)
        if pairs > MOST_PARENTS:
            break
    return pairs


class _Steps:
    """The steps of a job: their order, and the programs in each."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._order = {step.name: position for position, step in enumerate(steps)}
        self.around: dict[str, str] = {}
        self.inside: dict[str, list[str]] = {}
        for step in steps:
            if step.within:
                self.around[step.name] = step.within
                self.inside.setdefault(step.within, []).append(step.name)

    def is_later(self, step: str | None, other_step: str | None) -> bool:
        """Return whether a step is known to be later than the other."""
        order = self._order
        if step not in order or other_step not in order:
            return False
        return order[step] > order[other_step]


_PlacedInput = tuple[int, Input]
"""An input and its position."""


class FilesOfJob:
    """The files of one job by step and name.

    Searching all of them for each file could take minutes.
    """

    def __init__(self, record: JobRecord) -> None:
        self._experiment = record.experiment
        self._inputs: list[_PlacedInput] = []  # those that outputs can be made from
        self._inputs_by_step: dict[str | None, list[_PlacedInput]] = {}
        for position, file in enumerate(record.inputs or ()):
            if file.role in PARENT_ROLES:
                placed = (position, file)
                self._inputs.append(placed)
                self._inputs_by_step.setdefault(file.step or None, []).append(placed)
        self._outputs: dict[str, list[Output]] = {}  # by name
        for output in record.outputs or ():
            self._outputs.setdefault(name_inside(output), []).append(output)
        steps: Sequence[Step] = ()
        if record.command is not None and record.command.steps:
            steps = record.command.steps
        self._steps = _Steps(steps)
        # Answers that were found once
        self._origins: dict[str | None, _Origins] = {}
        self._makers: dict[tuple[str | None, FileName], Output | None] = {}
        self._looks = 0

    def parents(self, output: Output) -> tuple[int, ...]:
        """Return the positions of the inputs that an output was made from; it declares none itself.

        Raises:
            LimitError: there are too many files to look at; never if `has_too_many_parents` is
                False.
        """
        origins = self._origins.get(output.step)
        if origins is None:
            origins = self._origins[output.step] = self._trace(output.step, None)
        if origins.on_the_way:
            name = self._name_of(output)
            if name in origins.on_the_way:
                # The way leads back to this output itself, and ends there
                return self._trace(output.step, name).inputs
        return origins.inputs

    def is_made_inside(self, file: Input) -> bool:
        """Return whether an earlier step wrote this input, of any role.

        False if there are too many files to check.
        """
        try:
            return self._made_before(file.step, file) is not None
        except LimitError:
            return False

    def origins(self, file: Input) -> tuple[int, ...] | None:
        """Return the positions of the inputs that an input goes back to.

        It goes back to some if an earlier step wrote it; else the result is None. None also stands
        for too many files to look at.
        """
        try:
            output = self._made_before(file.step, file)
            return None if output is None else self.parents(output)
        except LimitError:
            return None

    def _trace(self, step: str | None, itself: FileName | None) -> _Origins:
        """Return what the files of a step were made from.

        A way from a file to itself ends there.
        """
        positions: dict[int, None] = {}
        on_the_way = {itself} if itself else set()
        visited: set[str | None] = set()
        steps = [step]
        while steps:
            step = steps.pop()
            if step in visited:
                continue
            visited.add(step)
            for position, file in self._inputs_of(step):
                output = self._made_before(file.step or step, file)
                if output is None:
                    positions[position] = None
                    continue
                name = self._name_of(output)
                if name not in on_the_way:
                    on_the_way.add(name)
                    steps.append(output.step)
        return _Origins(tuple(positions), on_the_way)

    def _inputs_of(self, step: str | None) -> list[_PlacedInput]:
        """Return the inputs of a step and of the programs in it, and those without a known step.

        A program that names no inputs reads those of the step around it.
        """
        if not step:
            self._count_looks(len(self._inputs))
            return self._inputs
        inputs = self._inputs_by_name(step)
        if not inputs and step in self._steps.around:
            return self._inputs_by_name(self._steps.around[step])
        programs = self._steps.inside.get(step)
        if programs:
            inputs = list(inputs)
            for program in programs:
                inputs += self._inputs_by_step.get(program, ())
            inputs.sort(key=itemgetter(0))
        self._count_looks(len(inputs))
        return inputs

    def _inputs_by_name(self, step: str) -> list[_PlacedInput]:
        own, any_step = self._inputs_by_step.get(step, []), self._inputs_by_step.get(None, [])
        self._count_looks(len(own) + len(any_step))
        if own and any_step:
            return sorted([*own, *any_step], key=itemgetter(0))
        return own or any_step

    def _made_before(self, step: str | None, file: Input) -> Output | None:
        """Return the last output that is this file and was written by another step.

        That step is not known to be later.
        """
        inside = name_inside(file)
        if inside not in self._outputs:
            return None
        name = FileName(inside, file.namespace or "", file.experiment or self._experiment)
        if (step, name) not in self._makers:
            self._makers[step, name] = self._find_maker(step, name)
        return self._makers[step, name]

    def _find_maker(self, step: str | None, name: FileName) -> Output | None:
        outputs = self._outputs[name.name]
        self._count_looks(len(outputs))
        for output in reversed(outputs):
            if output.step == step or self._steps.is_later(output.step, step):
                continue
            if self._name_of(output) == name:
                return output
        return None

    def _name_of(self, output: Output) -> FileName:
        return FileName(name_inside(output), output.namespace or "", self._experiment)

    def _count_looks(self, count: int) -> None:
        self._looks += count
        if self._looks > _MOST_LOOKS:
            purpose = "for the parents of the outputs of one job"
            message = f"More than {_MOST_LOOKS} files would be looked at {purpose}."
            raise LimitError(message, _MOST_LOOKS)


def name_inside(file: Input | Output) -> str:
    """Return the name that a file had in the job: it may be elsewhere under another one."""
    return posixpath.basename(file.path or "") or file.name
