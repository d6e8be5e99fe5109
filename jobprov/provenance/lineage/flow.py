"""Cuts the jobs of a whole history into parts, so that each leads only to what was made from what.

A job of several steps may make one file from its first input and another file from its second. Then
the second file must not appear among what was made from the first input. So each such step is a
*part* of the job here, and a node of its own. The first part has the job's key `j3`, the others
`j3.1`, `j3.2`. A last part without outputs stands for inputs from which nothing was made.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from jobprov.provenance.lineage.graph import SHARED_ROLES, neighbours
from jobprov.provenance.lineage.keys import is_job

_MOST_SHARED = 200_000
"""Links from a job's shared inputs to its parts. A job that would need more is not cut."""
_MOST_INSIDE = 20_000
"""Steps from output to output within one job that are followed."""
Ends = tuple[str, str]
Neighbours = tuple[dict[str, list[str]], dict[str, list[str]]]
"""The nodes after each node, and the nodes before each node."""


class Link(NamedTuple):
    """How a file and a job are related, as `Edge` in the drawn graph.

    Attributes:
        is_parent: whether the job made something from the file; False for inputs that it shares
            with many others.
    """

    is_sure: bool
    role: str
    is_parent: bool = True


def node_of(key: str) -> str:
    """Return the key of the node that a part belongs to."""
    return key.partition(".")[0]


def _from_inputs(
    outputs: Sequence[str], sources: Mapping[str, AbstractSet[str]], inputs: AbstractSet[str]
) -> dict[str, frozenset[str]]:
    """Return the inputs that each output of a job was made from, also through its other outputs.

    If there are too many steps inside the job to follow, each output counts as made from all
    inputs.
    """
    all_inputs, all_outputs = frozenset(inputs), set(outputs)
    inputs_of: dict[str, frozenset[str]] = {}
    steps = 0
    for output in outputs:
        seen, stack = {output}, [output]
        own_inputs: set[str] = set()
        while stack:
            made_from = sources.get(stack.pop(), all_inputs)
            own_inputs |= made_from & all_inputs
            inner_outputs = (made_from & all_outputs) - seen
            seen |= inner_outputs
            stack += inner_outputs
            steps += len(inner_outputs)
        inputs_of[output] = frozenset(own_inputs)
        if steps > _MOST_INSIDE:
            return dict.fromkeys(outputs, all_inputs)
    return inputs_of


def _outputs_by_inputs(
    outputs: Sequence[str], sources: Mapping[str, AbstractSet[str]], inputs: AbstractSet[str]
) -> dict[frozenset[str], list[str]]:
    """Return the outputs of a job by the inputs that they were made from."""
    outputs_by_inputs: dict[frozenset[str], list[str]] = {}
    for output, made_from in _from_inputs(outputs, sources, inputs).items():
        outputs_by_inputs.setdefault(made_from, []).append(output)
    return outputs_by_inputs


class Flow:
    """The links of a history with jobs cut into parts. Shared inputs lead to each part."""

    def __init__(
        self,
        links: Mapping[Ends, Link],
        sources: Mapping[str, AbstractSet[str]],
        neighbours_of: Neighbours,
    ) -> None:
        """Cut jobs into parts.

        Args:
            links: from files to jobs that read them, and from jobs to files that they made.
            sources: what outputs were made from, where records tell.
            neighbours_of: the neighbours by those links.
        """
        self._links = links
        self._inputs_of_part: dict[str, AbstractSet[str]] = {}
        self._parts: dict[str, list[str]] = {}
        self._after, self._before = neighbours_of
        maker_of_output = self._cut_jobs(sources)
        if maker_of_output:
            self._after, self._before = neighbours(self._edges(maker_of_output))

    def after(self, key: str) -> list[str]:
        """Return the nodes and parts directly after this one."""
        return self._after.get(key, [])

    def before(self, key: str) -> list[str]:
        """Return the nodes and parts directly before this one."""
        return self._before.get(key, [])

    def parents(self, key: str) -> list[str]:
        """Return the nodes directly before, without inputs that a job shares with many others."""
        return [near for near in self.before(key) if self._is_parent(near, key)]

    def children(self, key: str) -> list[str]:
        """Return the nodes directly after, without jobs that share this input with many others."""
        return [near for near in self.after(key) if self._is_parent(key, near)]

    def parts(self, key: str) -> list[str]:
        """Return the parts of a job. A file, or a job that is not cut, is its own only part."""
        return self._parts.get(key, [key])

    def link(self, source: str, target: str) -> Link:
        """Return how two neighbours are related."""
        return self._links[node_of(source), node_of(target)]

    def _is_parent(self, source: str, target: str) -> bool:
        part_inputs = self._inputs_of_part.get(target)
        if part_inputs is None:
            return self.link(source, target).is_parent
        return source in part_inputs

    def _cut_jobs(self, sources: Mapping[str, AbstractSet[str]]) -> dict[str, dict[str, str]]:
        """Return which part made each output, by job, for the jobs that have several parts.

        The inputs of each part are noted on the way.
        """
        jobs_with_other_inputs = self._jobs_with_other_inputs()
        maker_of_output: dict[str, dict[str, str]] = {}
        for job, outputs in self._after.items():
            has_other_inputs = job in jobs_with_other_inputs
            if not is_job(job) or (len(outputs) == 1 and not has_other_inputs):
                continue  # most jobs made one file from everything that they read
            links = {source: self._links[source, job] for source in self._before.get(job, ())}
            parents = {source for source, link in links.items() if link.is_parent}
            shared_inputs = sum(link.role in SHARED_ROLES for link in links.values())
            outputs_by_inputs = _outputs_by_inputs(outputs, sources, parents)
            used_parents = frozenset[str]().union(*outputs_by_inputs)
            has_unused_inputs = has_other_inputs or used_parents != parents
            has_parts = len(outputs_by_inputs) > 1 or has_unused_inputs
            if has_parts and shared_inputs * len(outputs_by_inputs) <= _MOST_SHARED:
                maker_of_output[job] = self._cut_job(
                    job, outputs_by_inputs, has_unused_inputs=has_unused_inputs
                )
        return maker_of_output

    def _jobs_with_other_inputs(self) -> set[str]:
        """Return the jobs that read a file of their own and made nothing from it."""
        jobs: set[str] = set()
        for (_, target), link in self._links.items():
            if not link.is_parent and link.role not in SHARED_ROLES:
                jobs.add(target)
        return jobs

    def _cut_job(
        self,
        job: str,
        outputs_by_inputs: Mapping[frozenset[str], Sequence[str]],
        *,
        has_unused_inputs: bool,
    ) -> dict[str, str]:
        """Return which part of a job made each output, and note the inputs of each part."""
        maker_of: dict[str, str] = {}
        parts: list[str] = []
        for number, (part_inputs, outputs) in enumerate(outputs_by_inputs.items()):
            part = f"{job}.{number}" if number else job
            self._inputs_of_part[part] = part_inputs
            maker_of.update(dict.fromkeys(outputs, part))
            parts.append(part)
        if has_unused_inputs:
            part = f"{job}.{len(outputs_by_inputs)}"
            self._inputs_of_part[part] = frozenset()
            parts.append(part)
        self._parts[job] = parts
        return maker_of

    def _edges(self, maker_of_output: Mapping[str, Mapping[str, str]]) -> Iterator[Ends]:
        """Yield all links; those of a cut job lead to the parts that they belong to."""
        for (source, target), link in self._links.items():
            if source in maker_of_output:
                yield maker_of_output[source][target], target
            elif target in maker_of_output:
                for part in self._reading_parts(source, target, link):
                    yield source, part
            else:
                yield source, target

    def _reading_parts(self, source: str, job: str, link: Link) -> Sequence[str]:
        parts = self._parts[job]
        if link.role in SHARED_ROLES:
            return parts
        using = [part for part in parts if source in self._inputs_of_part[part]]
        return using or parts[-1:]
