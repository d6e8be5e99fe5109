"""What came of what in a whole history: through a job leads only what its outputs were made from, each of its own inputs.

A job of several steps may make one file from one input and another from another: each stands for
itself here, as a *part* of the job. The first part goes by the job's key `j3`, others by `j3.1`,
`j3.2`; one from which nothing leads on stands for what a job read and made nothing of.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from jobprov.provenance.lineage.graph import SHARED_ROLES, neighbours

_MOST_SHARED = 200_000
"""Links of inputs that a job shares with others to its parts.

A job with more of them is one part.
"""
_MOST_INSIDE = 20_000
"""Steps from output to output within one job."""
Ends = tuple[str, str]
Neighbours = tuple[dict[str, list[str]], dict[str, list[str]]]
"""What follows each node, and what comes before it."""


class Link(NamedTuple):
    """How a file and a job hang together: as `Edge` of the drawn graph says it.

    Attributes:
        is_parent: the job made something from the file; what it only shares with many others it did
            not.
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
    """Return of which inputs each output of a job was made, also through others of its outputs.

    Of all where that is too much to tell.
    """
    everything, own = frozenset(inputs), set(outputs)
    found: dict[str, frozenset[str]] = {}
    steps = 0
    for output in outputs:
        met, stack, its = {output}, [output], set[str]()
        while stack:
            told = sources.get(stack.pop(), everything)
            its |= told & everything
            inner = (told & own) - met
            met |= inner
            stack += inner
            steps += len(inner)
        found[output] = frozenset(its)
        if steps > _MOST_INSIDE:
            return dict.fromkeys(outputs, everything)
    return found


class Flow:
    """The links of a history with jobs in parts; inputs that jobs share lead to each of them."""

    def __init__(
        self,
        links: Mapping[Ends, Link],
        sources: Mapping[str, AbstractSet[str]],
        neighbours_of: Neighbours,
    ) -> None:
        """Take links from files to jobs and from jobs to what they made.

        What outputs were made from, where that is told; neighbours.
        """
        self._links = links
        self._of_part: dict[str, AbstractSet[str]] = {}
        self._parts: dict[str, list[str]] = {}
        self._after, self._before = neighbours_of
        if made := dict(self._jobs_in_parts(sources)):
            self._after, self._before = neighbours(self._edges(made))

    def after(self, key: str) -> list[str]:
        """Return what follows directly, parts of jobs."""
        return self._after.get(key, [])

    def before(self, key: str) -> list[str]:
        """Return what comes directly before."""
        return self._before.get(key, [])

    def parents(self, key: str) -> list[str]:
        """Return what comes directly before, without what a job only shares with many others."""
        return [near for near in self.before(key) if self._is_parent(near, key)]

    def children(self, key: str) -> list[str]:
        """Return what follows directly, without jobs that only share it with many others."""
        return [near for near in self.after(key) if self._is_parent(key, near)]

    def parts(self, key: str) -> list[str]:
        """Return the parts of a job; of anything else itself."""
        return self._parts.get(key, [key])

    def link(self, source: str, target: str) -> Link:
        """Return how two neighbours hang together."""
        return self._links[node_of(source), node_of(target)]

    def _is_parent(self, source: str, target: str) -> bool:
        made_from = self._of_part.get(target)
        return self.link(source, target).is_parent if made_from is None else source in made_from

    def _jobs_in_parts(
        self, sources: Mapping[str, AbstractSet[str]]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the jobs that have several parts, with the part that made each output.

        Note what each part was made from.
        """
        readers = {
            ends[1]
            for ends, link in self._links.items()
            if not link.is_parent and link.role not in SHARED_ROLES
        }
        for job, outputs in self._after.items():
            if job[0] != "j" or (len(outputs) == 1 and job not in readers):
                continue  # most jobs: what they made they made from all that they read
            inputs = self._before.get(job, [])
            parents = {near for near in inputs if self._links[near, job].is_parent}
            groups: dict[frozenset[str], list[str]] = {}
            for output, made_from in _from_inputs(outputs, sources, parents).items():
                groups.setdefault(made_from, []).append(output)
            if len(groups) == 1 and job not in readers and len(parents) == len(next(iter(groups))):
                continue
            shared = sum(self._links[near, job].role in SHARED_ROLES for near in inputs)
            if shared * len(groups) > _MOST_SHARED:
                continue
            made: dict[str, str] = {}
            for number, (group, its) in enumerate(groups.items()):
                part = f"{job}.{number}" if number else job
                self._of_part[part] = group
                made.update(dict.fromkeys(its, part))
            parts = list(dict.fromkeys(made.values()))
            if job in readers or parents - frozenset[str]().union(*groups):
                parts.append(f"{job}.{len(groups)}")
                self._of_part[parts[-1]] = frozenset()
            self._parts[job] = parts
            yield job, made

    def _edges(self, made: Mapping[str, Mapping[str, str]]) -> Iterator[Ends]:
        """Yield all links, those of jobs in parts to each part that they belong to."""
        for source, target in self._links:
            if source in made:
                yield made[source][target], target
            elif target in made:
                parts = self._parts[target]
                is_shared = self._links[source, target].role in SHARED_ROLES
                through = [part for part in parts if is_shared or source in self._of_part[part]]
                yield from ((source, part) for part in through or parts[-1:])
            else:
                yield source, target
