"""Which inputs of a job an output was made from, where the output does not say so itself.

The primary and secondary inputs of its step. An input that an earlier step of the same job wrote
stands for that output's own parents: a job's output never satisfies its own input, and ancestry
must not end inside a job.

Bounded: one record may have two million pairs, but several witnesses together, or steps that read
from each other, may come to a thousand times that. No parents are derived then, in whatever order
the records came, and a gap says so; declared ones stay.

Source: record.md, "Files and edges" and "Size".
"""

from typing import NamedTuple

from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.job_record import Input, JobRecord, Output

MOST_PARENTS = 2_000_000
"""Pairs of an output and an input that it was made from, of one job.

The one writer is busy with as many for ten seconds.
"""
PARENT_ROLES = (None, "primary", "secondary")
_MOST_LOOKS = 500_000
"""At inputs and outputs, in search of the pairs: a second's work."""
_FEW = 100_000
"""Inputs times outputs times steps: with no more of them neither limit can be reached."""


class FileName(NamedTuple):
    """A file as a record names it."""

    name: str
    namespace: str
    experiment: str


class _Reached(NamedTuple):
    """What an output was made from.

    Attributes:
        inputs: their positions.
        inside: files that the job itself wrote on the way.
    """

    inputs: tuple[int, ...]
    inside: set[FileName]


def has_too_many_parents(record: JobRecord) -> bool:
    """Return whether there would be more pairs than are kept, so that no parents are derived of outputs that declare none."""
    inputs, outputs = record.inputs, record.outputs
    if not inputs or not outputs or record.rerun_of is not None:
        return False
    pairs = len(inputs) * len(outputs)
    if pairs <= _FEW and pairs * len({output.step for output in outputs}) <= _FEW:
        return False
    within, pairs = Within(record), 0
    try:
        for output in outputs:
            pairs += len(within.parents(output) if output.parents is None else output.parents)
            if pairs > MOST_PARENTS:
                return True
    except LimitError:
        return True
    return False


class Within:
    """The files of one job by step and name: with many of them, looking through all for each would take minutes."""

    def __init__(self, record: JobRecord) -> None:
        self._experiment = record.experiment
        self._inputs: list[tuple[int, Input]] = []
        self._by_step: dict[str | None, list[tuple[int, Input]]] = {}
        for place, file in enumerate(record.inputs or ()):
            if file.role in PARENT_ROLES:
                self._inputs.append((place, file))
                self._by_step.setdefault(file.step or None, []).append((place, file))
        self._outputs: dict[str, list[Output]] = {}
        for output in record.outputs or ():
            self._outputs.setdefault(output.name, []).append(output)
        steps = record.command.steps if record.command else None
        self._places = {step.name: place for place, step in enumerate(steps or ())}
        self._reached: dict[str | None, _Reached] = {}
        self._makers: dict[tuple[str | None, FileName], Output | None] = {}
        self._looks = 0

    def parents(self, output: Output) -> tuple[int, ...]:
        """Return the positions of the inputs that an output was made from; it declares none itself.

        Raises:
            LimitError: never where `has_too_many_parents` says that there are not.
        """
        held = self._reached.get(output.step)
        if held is None:
            held = self._reached[output.step] = self._reach(output.step, None)
        if held.inside and (name := self._name_of(output)) in held.inside:
            return self._reach(output.step, name).inputs
        return held.inputs

    def is_made_inside(self, file: Input) -> bool:
        """Return whether an earlier step wrote this input, of any role.

        False where there are too many files to look.
        """
        try:
            return file.name in self._outputs and self._made_before(file.step, file) is not None
        except LimitError:
            return False

    def origins(self, file: Input) -> tuple[int, ...] | None:
        """Return the positions of the inputs that an input goes back to which an earlier step wrote; None where none wrote it.

        None as well where there are too many files to look.
        """
        try:
            made = self._made_before(file.step, file) if file.name in self._outputs else None
            return None if made is None else self.parents(made)
        except LimitError:
            return None

    def _reach(self, step: str | None, itself: FileName | None) -> _Reached:
        """Return what the files of a step were made from.

        Where a file leads to itself, it ends there.
        """
        found: dict[int, None] = {}
        inside = {itself} if itself else set()
        visited: set[str | None] = set()
        steps = [step]
        while steps:
            step = steps.pop()
            if step in visited:
                continue
            visited.add(step)
            for place, file in self._inputs_of(step):
                made_here = (
                    self._made_before(file.step or step, file)
                    if file.name in self._outputs
                    else None
                )
                if made_here is None:
                    found[place] = None
                elif (name := self._name_of(made_here)) not in inside:
                    inside.add(name)
                    steps.append(made_here.step)
        return _Reached(tuple(found), inside)

    def _inputs_of(self, step: str | None) -> list[tuple[int, Input]]:
        """Return the inputs of a step, and those of which no step is known."""
        if not step:
            self._look(len(self._inputs))
            return self._inputs
        own, any_step = self._by_step.get(step, []), self._by_step.get(None, [])
        self._look(len(own) + len(any_step))
        return (
            sorted([*own, *any_step], key=lambda row: row[0])
            if own and any_step
            else own or any_step
        )

    def _made_before(self, step: str | None, file: Input) -> Output | None:
        """Return the last output that is this file and that another step wrote, none that is known to be later."""
        name = FileName(file.name, file.namespace or "", file.experiment or self._experiment)
        if (step, name) not in self._makers:
            written = self._outputs[file.name]
            self._look(len(written))
            earlier = (
                made
                for made in reversed(written)
                if made.step != step
                and not self._is_later(made.step, step)
                and self._name_of(made) == name
            )
            self._makers[step, name] = next(earlier, None)
        return self._makers[step, name]

    def _is_later(self, one: str | None, other: str | None) -> bool:
        places = self._places
        return one in places and other in places and places[one] > places[other]

    def _name_of(self, output: Output) -> FileName:
        return FileName(output.name, output.namespace or "", self._experiment)

    def _look(self, count: int) -> None:
        self._looks += count
        if self._looks > _MOST_LOOKS:
            message = f"More than {_MOST_LOOKS} files would be looked at for the parents of the outputs of one job."
            raise LimitError(message, _MOST_LOOKS)
