"""The types of a lineage graph: files, jobs, and who consumed or produced what.

The database layer makes them; everything else in this package reads them. A graph is a bounded part
of history around one file, the focus; `Omitted` counts what is outside of it.

The output of a job that did not succeed counts as not made, unless some job surely read it
(record.md, "Files and edges"). A file that was read with other checksums than the one that was made
is another version. In both cases, the job that wrote a file of this name is the file's `writer`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobprov.provenance.answers.histories.lineage import FileWriter, LineagePast

_ENDED = {
    "failed": "failed",
    "killed": "was killed",
    "lost": "was lost",
    "running": "has not ended",
}
SHARED_ROLES = frozenset({"shared", "configuration"})
"""Input roles of files that serve many jobs alike (record.md, `inputs[].role`).

Drawings show them as badges.
"""

UNHAPPY_STATES = ("failed", "killed", "lost", "silent")
"""States of jobs that did not end well, worst first.

Drawings never hide them in a larger box of other states.
"""


def ended(state: str) -> str:
    """How a job that did not succeed ended, as a verb."""
    return _ENDED.get(state, "did not succeed")


@dataclass(frozen=True, slots=True)
class FileNode:
    """One version of a file.

    Attributes:
        key: names the node within its graph, jobs included.
        role: how the jobs of this graph use it, as in `inputs[].role`. The role of an edge goes
            before it.
        size_bytes: None if it is not recorded.
        is_placeholder: whether it is only mentioned: no recorded job produced it.
        version: its number, from 1; None if there is only one.
        url: its page, to which drawings link.
        writer: a job that wrote a file of this name, if no recorded job made this one.
        checksums: as `algorithm:value`; empty if none is recorded.
        contents_differ: no recorded job made it, and jobs read different contents under its name,
            whose histories are joined here.
    """

    key: str
    name: str
    namespace: str = ""
    experiment: str = ""
    role: str = ""
    size_bytes: int | None = None
    data_tier: str | None = None
    is_placeholder: bool = False
    version: int | None = None
    url: str | None = None
    writer: FileWriter | None = None
    checksums: tuple[str, ...] = ()
    contents_differ: bool = False

    @property
    def is_made(self) -> bool:
        """Whether a recorded job made it. The output of a job that failed counts as not made."""
        return not self.is_placeholder and self.writer is None


@dataclass(frozen=True, slots=True)
class JobNode:
    """One execution of a job.

    Attributes:
        key: names the node within its graph, files included.
        label: what people call it: its batch id, if it has one.
        state: as in the record, or `silent`.
        code_version: the shortest name that tells releases apart.
        started_at: aware UTC, as `ended_at` and `received_at`.
        url: its page, to which drawings link.
        received_at: when its first record came.
    """

    key: str
    job_id: str
    label: str = ""
    state: str = "succeeded"
    stage: str | None = None
    task_id: str | None = None
    campaign: str | None = None
    code_version: str | None = None
    started_at: datetime | None = None
    url: str | None = None
    ended_at: datetime | None = None
    received_at: datetime | None = None
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A file that a job consumed (file to job), or a file that it produced (job to file).

    Attributes:
        is_sure: False if only the name connects the two (record.md, "Files and edges").
        role: the role of the input in this job; empty for products.
    """

    source: str
    target: str
    is_sure: bool = True
    role: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many files and jobs on one side of the focus are not in the graph.

    Versions of a file count once.

    Attributes:
        is_least: whether counting stopped early, so that there may be more.
    """

    files: int = 0
    jobs: int = 0
    is_least: bool = False


@dataclass(frozen=True, slots=True)
class Omitted:
    """How much of the history the graph leaves out.

    Attributes:
        by_stage: jobs left out, by stage.
        by_kind: nodes left out, by `file` and `job`.
        before: left out before the focus, without shared inputs; None if not counted.
        after: left out after the focus; None if not counted.
        ancestors: number of nodes left out before the focus.
        descendants: number of nodes left out after the focus.
        inputs_of: direct neighbours left out before each node of the graph, by its key.
        outputs_of: direct neighbours left out after each node of the graph, by its key.
        hidden: nodes that filters hide; the walk went through them.
        is_least: whether counting stopped early, so that there may be more.
    """

    by_stage: Mapping[str, int] = field(default_factory=dict)
    by_kind: Mapping[str, int] = field(default_factory=dict)
    ancestors: int = 0
    descendants: int = 0
    inputs_of: Mapping[str, int] = field(default_factory=dict)
    outputs_of: Mapping[str, int] = field(default_factory=dict)
    hidden: int = 0
    is_least: bool = False
    before: LeftOut | None = None
    after: LeftOut | None = None


Node = FileNode | JobNode


@dataclass(frozen=True, slots=True)
class Graph:
    """A cut of history around one file.

    Attributes:
        focus: key of the file that was asked for.
        nodes: files and jobs, nearest to the focus first.
        edges: those with other ends than nodes of this graph are ignored (`inner_edges`).
        is_truncated: whether a limit, not the end of history, ended the walk.
        past: the moment that it shows; None for today.
        direction: which side was asked for: `ancestors`, `descendants` or `both`.
        version: number of the version of the focus; None if no recorded job made it.
        versions: how many versions of the focus there are.
    """

    focus: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    omitted: Omitted = field(default_factory=Omitted)
    is_truncated: bool = False
    past: LineagePast | None = None
    direction: str = "both"
    version: int | None = None
    versions: int = 0
    _known: Mapping[str, Node] = field(init=False, repr=False, compare=False)
    _inner: Sequence[Edge] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Computed once, since a page asks for both about ten times
        object.__setattr__(self, "_known", {node.key: node for node in self.nodes})
        object.__setattr__(self, "_inner", self._inner_edges())

    def by_key(self) -> Mapping[str, Node]:
        """Every node under its key, in the graph's order."""
        return self._known

    def files(self) -> list[FileNode]:
        """The files, in the graph's order."""
        return [node for node in self.nodes if isinstance(node, FileNode)]

    def jobs(self) -> list[JobNode]:
        """The jobs, in the graph's order."""
        return [node for node in self.nodes if isinstance(node, JobNode)]

    def inner_edges(self) -> Sequence[Edge]:
        """The edges whose ends are both in this graph, each pair of ends once, in graph order.

        Of several edges with the same ends, a sure one goes before a possible one, then one with a
        role of its own before one with a shared role.
        """
        return self._inner

    def neighbours(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """What directly follows each node, and what directly precedes it, by key."""
        return neighbours((edge.source, edge.target) for edge in self._inner)

    def _inner_edges(self) -> Sequence[Edge]:
        known = self._known
        best: dict[tuple[str, str], Edge] = {}
        for edge in self.edges:
            if edge.source in known and edge.target in known:
                ends = (edge.source, edge.target)
                best[ends] = max(best.get(ends, edge), edge, key=_weight)
        return list(best.values())


def plain_role(roles: Iterable[str]) -> str:
    """The role of an edge, from all roles in which a job read one file; empty if it has none.

    A role of its own goes before a shared one.
    """
    known_roles = [role for role in roles if role]
    return min(known_roles, key=lambda role: (role in SHARED_ROLES, role), default="")


def _weight(edge: Edge) -> tuple[bool, bool]:
    return edge.is_sure, edge.role not in SHARED_ROLES


def neighbours(
    edges: Iterable[tuple[str, str]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Targets by source and sources by target, each list in the order of `edges`."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    before: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    return dict(after), dict(before)
