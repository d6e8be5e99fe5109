"""The lineage graph as values: files, jobs, and who consumed or produced what.

The database layer fills these; everything else in this package reads them. A graph is a bounded cut
of history around one file, the focus; `Omitted` says what lies outside the cut. Nothing here walks
a database or knows a page.

A job that did not succeed makes nothing unless some job surely read it (record.md, "Files and
edges"); and a file that was read with other checksums than the one that was made is another version
of it. Such jobs are a file's `writer`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

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


@dataclass(frozen=True, slots=True)
class Past:
    """The moment that a view of the past shows, and the parts of it that are told as of today.

    Attributes:
        as_of: aware UTC.
        changed_jobs: ids of jobs, at most a hundred, that were corrected later or got another
            witness's record.
        relinked_files: names of files, at most a hundred, whose links may have been found out
            since: another job claimed them later, a catalog saw them later, a job that made them
            was recorded more fully later, or later jobs read them in a way that tells their makers
            otherwise.
    """

    as_of: datetime
    changed_jobs: tuple[str, ...] = ()
    changed_count: int = 0
    relinked_files: tuple[str, ...] = ()
    relinked_count: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether nothing is known to have changed since."""
        return not self.changed_count and not self.relinked_count


def utc_text(moment: datetime) -> str:
    """A time as RFC 3339 in UTC with `Z`, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Writer:
    """A job that wrote a file of this name, and did not make it.

    Attributes:
        label: what people call the job, the batch id where there is one.
        state: how it ended.
        url: its page.
        is_other_version: it made another version, of other checksums or another size; else it did
            not succeed.
    """

    job_id: str
    label: str
    state: str
    url: str
    is_other_version: bool = False

    def briefly(self) -> str:
        """What a box of a picture tells about the file."""
        return "another version than made" if self.is_other_version else f"of a {self.state} job"

    def fully(self) -> str:
        """What a sentence tells about the file."""
        if self.is_other_version:
            return f"another version than job {self.label} made"
        return f"written by job {self.label}, which {ended(self.state)}: it counts as not made"


def ended(state: str) -> str:
    """How a job that did not succeed ended, as a verb."""
    return _ENDED.get(state, "did not succeed")


@dataclass(frozen=True, slots=True)
class FileNode:
    """One version of a file.

    Attributes:
        key: names the node within its graph, jobs included.
        role: how the jobs of this graph use it, by the words of `inputs[].role`; an edge's own role
            goes before it.
        size_bytes: None where no record tells.
        is_placeholder: True when jobs or catalogs mention it but no record here produced it or
            described it.
        version: the number of its claim, from 1; None where there is only one.
        url: its page; drawings link to it.
        writer: a job that wrote a file of this name, where no recorded job made this one.
        checksums: `algorithm:value` words of what its job made; empty where no record tells.
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
    writer: Writer | None = None
    checksums: tuple[str, ...] = ()

    @property
    def is_made(self) -> bool:
        """True where a recorded job made it.

        What a job wrote that did not succeed counts as not made.
        """
        return not self.is_placeholder and self.writer is None


@dataclass(frozen=True, slots=True)
class JobNode:
    """One execution of a job.

    Attributes:
        key: names the node within its graph, files included.
        label: what people call it, the batch id where there is one.
        state: a word of the record's `state`, or `silent`.
        code_version: what it ran, shortest name that tells releases apart.
        started_at: aware UTC, as the two that follow.
        url: its page; drawings link to it.
        received_at: when the first of it was recorded.
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
        is_sure: False when only the name ties the two together (record.md, "Files and edges").
        role: the role of the input in this job; empty for products.
    """

    source: str
    target: str
    is_sure: bool = True
    role: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many files and jobs lie on one side of the focus and are not in the graph.

    Versions of a file count once.

    Attributes:
        is_least: counting stopped early; there are at least so many.
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
        before: what is left out before the focus, without shared inputs; None if that was not
            counted.
        after: the same after it.
        ancestors: how many nodes are left out before the focus.
        descendants: how many after it.
        inputs_of: direct neighbours left out before a node that is in the graph, by its key.
        outputs_of: the same after it.
        hidden: nodes that filters do not show; the walk went through them.
        is_least: counting stopped early; there are at least so many.
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
        edges: between nodes of this graph; others are dropped by whoever reads them.
        is_truncated: True when a limit, not the end of history, ended the walk.
        past: the moment that it shows; None for what is known today.
        direction: which side was asked for: `ancestors`, `descendants` or `both`.
        version: number of the version of the focus; None if no recorded job made it.
        versions: how many versions of the focus there are.
    """

    focus: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    omitted: Omitted = field(default_factory=Omitted)
    is_truncated: bool = False
    past: Past | None = None
    direction: str = "both"
    version: int | None = None
    versions: int = 0
    _known: Mapping[str, Node] = field(init=False, repr=False, compare=False)
    _inner: Sequence[Edge] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # a page asks for both about ten times
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

        Of doubled edges, a sure one goes before a possible one, then one of a role of its own
        before a shared one.
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
    """The role for an edge, of all in which a job read one file.

    Its own before a shared one, empty if it has none.
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
