"""Sentences about files, jobs and whole graphs, the same on pages, in the command and in pictures.

The two sides of a graph are what made its focus, and what came of it. Inputs that jobs share
(calibration, geometry) are not parents (record.md, "Files and edges"), so they are on neither side.
Otherwise, a picture that is cut off would have another total than the whole picture.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.answers.histories.lineage import LineagePast
from jobprov.provenance.lineage.graph import (
    SHARED_ROLES,
    UNHAPPY_STATES,
    FileNode,
    Graph,
    JobNode,
    LeftOut,
    Node,
    Omitted,
    ended,
    neighbours,
)
from jobprov.provenance.lineage.words import (
    counted,
    enumerated,
    minute,
    number,
    shown,
    size,
    with_version,
)

MOST_READERS = 1000
"""Readers of a file that a list counts. If there are more, it says "or more"."""

_MOST_NAMED = 3

_NOTHING_KNOWN = {
    "ancestors": "No recorded job made this file.",
    "descendants": "Nothing is known that came of this file.",
    "both": "No job is known that made or used this file.",
}
"""The sentence for a graph that holds only its focus, by the side that was asked for."""


def full_name(file: FileNode) -> str:
    """`namespace:name`, or the bare name if it has none; with the version if there are several."""
    name = file.name
    if file.namespace:
        name = f"{file.namespace}:{name}"
    return with_version(name, file.version)


def title(node: Node) -> str:
    """Everything known about a node in one line, names in full."""
    if isinstance(node, FileNode):
        parts = _file_parts(node)
    else:
        parts = _job_parts(node)
    return shown(", ".join(part for part in parts if part))


def known_briefly(file: FileNode) -> str:
    """How a file that no recorded job made is known, for a box or a tag; empty for others."""
    writer = file.writer
    if writer is not None and writer.is_other_version:
        return "another version than made"
    if writer is not None:
        return shown(f"of a {writer.state} job")
    if file.contents_differ:
        return "only mentioned, with different contents"
    if file.is_placeholder:
        return "only mentioned"
    return ""


def known_fully(file: FileNode) -> str:
    """How a file is known that no recorded job made, with the job that wrote it; else empty."""
    writer = file.writer
    if writer is not None and writer.is_other_version:
        return shown(f"another version than job {writer.label} made")
    if writer is not None:
        end = ended(writer.state)
        return shown(f"written by job {writer.label}, which {end}: it counts as not made")
    if file.contents_differ:
        return "only mentioned, never recorded; jobs read different contents"
    if file.is_placeholder:
        return "only mentioned, never recorded"
    return ""


def summary(graph: Graph) -> str:
    """The first line of the lineage page: how much is on each side, and what went wrong there.

    What is not shown counts too. For example "114 files and 96 jobs made this; 3 failed on the way.
    4 files and 4 jobs came of it; 1 failed."
    """
    makers, users = sides_of(graph)
    before, after = graph.omitted.before, graph.omitted.after
    sentences = []
    subject = "this"
    if makers or _is_any(before):
        tried = _tried(graph, makers, users)
        mishaps = _mishaps(tried, before, graph, where=" on the way")
        sentences.append(f"{_total(makers, before, graph)} made this{mishaps}.")
        subject = "it"
    if users or _is_any(after):
        mishaps = _mishaps(users, after, graph)
        sentences.append(f"{_total(users, after, graph)} came of {subject}{mishaps}.")
    if not sentences:
        sentences = [_NOTHING_KNOWN[graph.direction]]
    sentences += [
        *_of_the_writer(graph),
        *_of_contents(graph),
        *omissions(graph),
        *_of_the_past(graph.past),
    ]
    return " ".join(sentences)


def _of_contents(graph: Graph) -> list[str]:
    """What jobs read with different contents under one name; nothing if there is no such file."""
    differing = [full_name(file) for file in graph.files() if file.contents_differ]
    if not differing:
        return []
    return [differing_contents(differing)]


def differing_contents(names: Sequence[str]) -> str:
    """Say that jobs read different contents under these names."""
    listed = enumerated(list(names), _MOST_NAMED)
    return shown(
        f"Jobs read different contents as {listed}: what came of them is shown as one history."
    )


def _of_the_writer(graph: Graph) -> list[str]:
    """The job that wrote the focus without success, in a sentence; nothing if there is none."""
    focus = graph.by_key()[graph.focus]
    if not isinstance(focus, FileNode) or focus.writer is None:
        return []
    if focus.writer.is_other_version:
        return [f"It is {known_fully(focus)}."]
    return [f"It was {known_fully(focus)}."]


def _of_the_past(past: LineagePast | None) -> list[str]:
    """The moment of a view of the past, and how much may have changed since, a sentence each."""
    if past is None:
        return []
    sentences = [f"This is what had been recorded on {minute(past.as_of)}."]
    if past.changed_count:
        sentences.append(
            f"Of {counted(past.changed_count, 'job')} more was recorded since, which is shown."
        )
    if past.relinked_count:
        files = counted(past.relinked_count, "file")
        sentences.append(f"What {files} came from may have been found out since.")
    return sentences


def omissions(graph: Graph) -> list[str]:
    """What the graph leaves out, a sentence each; empty when it leaves out nothing."""
    omitted = graph.omitted
    parts = []
    if omitted.ancestors:
        parts.append(_left_out(omitted.ancestors, "earlier", omitted.before, omitted))
    if omitted.descendants:
        parts.append(_left_out(omitted.descendants, "later", omitted.after, omitted))
    if parts:
        return [f"Not shown: {', '.join(parts)}{_stages_left_out(omitted)}."]
    if graph.is_truncated:
        return ["A limit ended the walk; there is more."]
    return []


def _left_out(count: int, when: str, left_out: LeftOut | None, omitted: Omitted) -> str:
    is_least = omitted.is_least
    if left_out is not None:
        is_least = left_out.is_least
    words = f"{number(count)} {when} {_noun(left_out, count)}"
    return f"at least {words}" if is_least else words


def _stages_left_out(omitted: Omitted) -> str:
    """The stages of the jobs left out, in brackets: ` (jobs: 12 reco, 3 gen)`; empty for none."""
    stages = []
    for stage, count in _largest_first(omitted.by_stage):
        stages.append(f"{number(count)} {shown(stage) or 'without a stage'}")
    if not stages:
        return ""
    return f" (jobs: {', '.join(stages)})"


def _noun(left_out: LeftOut | None, count: int) -> str:
    """The noun for these nodes: jobs, files, or both if they were not counted apart."""
    one, many = "job", "jobs"
    if left_out is None or (left_out.files and left_out.jobs):
        one, many = "file or job", "files and jobs"
    elif left_out.files:
        one, many = "file", "files"
    return many if count > 1 else one


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _is_any(left: LeftOut | None) -> bool:
    return left is not None and bool(left.files or left.jobs)


def _tried(graph: Graph, makers: Sequence[Node], users: Sequence[Node]) -> list[JobNode]:
    """Jobs that led to the focus, and attempts beside them that made nothing.

    Not what only read the focus.
    """
    later = {node.key for node in users} - {node.key for node in makers}
    return [job for job in graph.jobs() if job.key not in later]


def _total(nodes: Sequence[Node], left: LeftOut | None, graph: Graph) -> str:
    """How many files and jobs lie on one side, shown or not.

    `at least` if not all of them were counted.
    """
    files, jobs = tally(nodes)
    is_least = graph.is_truncated
    if left is not None:
        files, jobs, is_least = files + left.files, jobs + left.jobs, left.is_least
    counts = []
    if files:
        counts.append(counted(files, "file"))
    if jobs:
        counts.append(counted(jobs, "job"))
    total = " and ".join(counts)
    return f"At least {total}" if is_least else total


def _mishaps(nodes: Iterable[Node], left: LeftOut | None, graph: Graph, where: str = "") -> str:
    """How many jobs on one side did not end well.

    The states of jobs that are left out are not known here.
    """
    jobs_by_state = Counter(node.state for node in nodes if isinstance(node, JobNode))
    mishaps = []
    for state in UNHAPPY_STATES:
        if jobs_by_state[state]:
            mishaps.append(f"{number(jobs_by_state[state])} {state}")
    if not mishaps:
        return ""
    is_part = graph.is_truncated
    if left is not None:
        is_part = bool(left.jobs) or left.is_least
    if is_part:
        return f"; of the jobs shown {', '.join(mishaps)}{where}"
    return f"; {', '.join(mishaps)}{where}"


def _file_parts(file: FileNode) -> list[str]:
    parts = [full_name(file), file.experiment, file.data_tier or ""]
    if file.size_bytes is not None:
        parts.append(size(file.size_bytes))
    return [*parts, known_fully(file)]


def _job_parts(job: JobNode) -> list[str]:
    parts = [f"{job.stage or 'job'} {job.label or job.job_id}", job.state]
    facts = (("code", job.code_version), ("task", job.task_id), ("campaign", job.campaign))
    for name, value in facts:
        if value:
            parts.append(f"{name} {value}")
    if job.started_at:
        parts.append(f"started {minute(job.started_at)}")
    return parts


def name_in_path(text: str) -> str:
    """Return the part of a path or address after its last slash; a bare name stays as it is."""
    path = text
    if "://" in text:
        path = text.partition("?")[0]
    return path.rsplit("/", 1)[-1]


class Sides(NamedTuple):
    """Nodes that led to the focus, and nodes that came of it, nearest first.

    Nodes in a circle are on both sides.
    """

    makers: list[Node]
    users: list[Node]


class Tally(NamedTuple):
    """How many files, by name, and how many jobs."""

    files: int
    jobs: int


def sides_of(graph: Graph) -> Sides:
    """The nodes on each side of the focus."""
    edges = graph.inner_edges()
    parents = edges
    # If filters hide jobs, a shared input is joined directly to what was made with it, and may be
    # the only node left on this side: then it counts
    if not graph.omitted.hidden:
        parents = [edge for edge in edges if edge.role not in SHARED_ROLES]
    after, _ = neighbours((edge.source, edge.target) for edge in edges)
    _, before = neighbours((edge.source, edge.target) for edge in parents)
    nodes = graph.by_key()
    makers = [nodes[key] for key in reached(graph.focus, before)]
    users = [nodes[key] for key in reached(graph.focus, after)]
    return Sides(makers, users)


def tally(nodes: Iterable[Node]) -> Tally:
    """How many files and jobs these nodes are; versions of a file are one file."""
    files: set[tuple[str, str, str]] = set()
    jobs = 0
    for node in nodes:
        if isinstance(node, FileNode):
            files.add((node.experiment, node.namespace, node.name))
        else:
            jobs += 1
    return Tally(len(files), jobs)


def reached(start: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    """Keys that the links lead to from `start`, itself left out, nearest first."""
    seen = {start}
    queue = [start]
    for key in queue:  # which grows on the way
        for other in links.get(key, ()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return queue[1:]
