"""Sentences about files, jobs and whole graphs, the same on every page, in the command and in pictures.

The two sides of a graph are what made its focus, and what came of it. Inputs that jobs share (calibration, geometry) are
not parents (record.md, "Files and edges"), so they are on neither side; otherwise a picture that is cut would have another
total than the same picture whole, where nobody counts them.

Source: pages.md (first lines, missing values).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from provenance.lineage.graph import (
    SHARED_ROLES,
    UNHAPPY_STATES,
    Edge,
    FileNode,
    Graph,
    JobNode,
    LeftOut,
    Node,
    Omitted,
    Past,
    neighbours,
)
from provenance.lineage.words import counted, day, number, shown, size

MOST_READERS = 1000
"""Readers of a file that are counted in a list; of more it says that there are at least so many."""

_ALL = {1: "it", 2: "both"}


_NOTHING = {
    "ancestors": "No recorded job made this file.",
    "descendants": "Nothing is known that came of this file.",
    "both": "No job is known that made or used this file.",
}
"""What is said where a graph holds nothing but its focus: only of the side that was asked for."""


def full_name(file: FileNode) -> str:
    """`namespace:name`, bare without a namespace, with its version where there are several."""
    name = f"{file.namespace}:{file.name}" if file.namespace else file.name
    return name if file.version is None else f"{name} (version {file.version})"


def title(node: Node) -> str:
    """Everything known of a node in one line, names in full."""
    return shown(
        ", ".join(part for part in (_file_parts(node) if isinstance(node, FileNode) else _job_parts(node)) if part)
    )


def known_briefly(file: FileNode) -> str:
    """How a file is known that no recorded job made, for a box or a tag; empty for others."""
    if file.writer is not None:
        return shown(file.writer.briefly())
    return "only mentioned" if file.is_placeholder else ""


def known_fully(file: FileNode) -> str:
    """How a file is known that no recorded job made, with the job behind it; empty for others."""
    if file.writer is not None:
        return shown(file.writer.fully())
    return "only mentioned, never recorded" if file.is_placeholder else ""


def summary(graph: Graph) -> str:
    """The first line of the lineage page: the total of each side, of what is not shown too, and what went wrong there.

    For example "114 files and 96 jobs made this; 3 failed on the way. 4 files and 4 jobs came of it; 1 failed."
    """
    makers, users = sides_of(graph)
    before, after = graph.omitted.before, graph.omitted.after
    sentences = []
    if makers or _is_any(before):
        tried = _tried(graph, makers, users)
        sentences.append(f"{_total(makers, before, graph)} made this{_mishaps(tried, before, graph, ' on the way')}.")
    if users or _is_any(after):
        which = "it" if sentences else "this"
        sentences.append(f"{_total(users, after, graph)} came of {which}{_mishaps(users, after, graph)}.")
    sentences = sentences or [_NOTHING[graph.direction]]
    return " ".join([*sentences, *_of_the_writer(graph), *omissions(graph), *_of_the_past(graph.past)])


def _of_the_writer(graph: Graph) -> list[str]:
    """The job that wrote the focus without success, in a sentence; nothing where there is none."""
    focus = graph.by_key()[graph.focus]
    if not isinstance(focus, FileNode) or focus.writer is None:
        return []
    said = known_fully(focus)
    return [f"It is {said}." if focus.writer.is_other_version else f"It was {said}."]


def _of_the_past(past: Past | None) -> list[str]:
    """When a graph was known so, and how much of it is told as it is today, a sentence each."""
    if past is None:
        return []
    said = [f"This is what had been recorded on {day(past.as_of)}."]
    if past.changed_count:
        said.append(f"Of {counted(past.changed_count, 'job')} more was recorded since, which is shown.")
    if past.relinked_count:
        said.append(f"What {counted(past.relinked_count, 'file')} came from may have been found out since.")
    return said


def omissions(graph: Graph) -> list[str]:
    """What the graph leaves out, a sentence each; empty when it leaves out nothing."""
    omitted = graph.omitted
    parts = [
        _left_out(omitted.ancestors, "earlier", omitted.before, omitted),
        _left_out(omitted.descendants, "later", omitted.after, omitted),
    ]
    if not any(parts):
        return ["A limit ended the walk; there is more."] if graph.is_truncated else []
    stages = [
        f"{number(count)} {shown(stage) or 'without a stage'}" for stage, count in _largest_first(omitted.by_stage)
    ]
    of_which = f" (jobs: {', '.join(stages)})" if stages else ""
    return [f"Not shown: {', '.join(part for part in parts if part)}{of_which}."]


def _left_out(count: int, when: str, left: LeftOut | None, omitted: Omitted) -> str:
    is_least = omitted.is_least if left is None else left.is_least
    return f"{'at least ' * is_least}{number(count)} {when} {_noun(left, count)}" if count else ""


def _noun(left: LeftOut | None, count: int) -> str:
    """What so many nodes are, as far as they were told apart."""
    if left is None or (left.files and left.jobs):
        return "files and jobs" if count > 1 else "file or job"
    return ("file" if left.files else "job") + "s" * (count > 1)


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _is_any(left: LeftOut | None) -> bool:
    return left is not None and bool(left.files or left.jobs)


def _tried(graph: Graph, makers: Sequence[Node], users: Sequence[Node]) -> list[JobNode]:
    """Jobs that led to the focus, and attempts beside them that made nothing; what only read the focus is not to blame."""
    later = {node.key for node in users} - {node.key for node in makers}
    return [job for job in graph.jobs() if job.key not in later]


def _total(nodes: Sequence[Node], left: LeftOut | None, graph: Graph) -> str:
    """How many files and jobs lie on one side, shown or not; `at least` where nobody counted all of them."""
    files, jobs = tally(nodes)
    is_least = graph.is_truncated
    if left is not None:
        files, jobs, is_least = files + left.files, jobs + left.jobs, left.is_least
    said = " and ".join(counted(count, word) for count, word in ((files, "file"), (jobs, "job")) if count)
    return f"At least {said}" if is_least else said


def _mishaps(nodes: Iterable[Node], left: LeftOut | None, graph: Graph, where: str = "") -> str:
    """How many jobs of one side did not end well; of jobs that are left out nobody knows it here."""
    states = [node.state for node in nodes if isinstance(node, JobNode)]
    said = [f"{number(count)} {state}" for state in UNHAPPY_STATES if (count := states.count(state))]
    is_part = graph.is_truncated if left is None else bool(left.jobs) or left.is_least
    return f"; {'of the jobs shown ' * is_part}{', '.join(said)}{where}" if said else ""


def _file_parts(file: FileNode) -> list[str]:
    return [
        full_name(file),
        file.experiment,
        file.data_tier or "",
        size(file.size_bytes) if file.size_bytes is not None else "",
        known_fully(file),
    ]


def _job_parts(job: JobNode) -> list[str]:
    return [
        f"{job.stage or 'job'} {job.label or job.job_id}",
        job.state,
        f"code {job.code_version}" if job.code_version else "",
        f"task {job.task_id}" if job.task_id else "",
        f"campaign {job.campaign}" if job.campaign else "",
        f"started {day(job.started_at)}" if job.started_at else "",
    ]


def name_in_path(text: str) -> str:
    """Return the name of a file of which somebody gives a path or an address: what stands behind the last slash, '' for a folder.

    A name has no slash, so that nothing is lost of one that is given alone.
    """
    path = text.split("?", 1)[0] if "://" in text else text
    return path.rsplit("/", 1)[-1]


def use_words(file: Mapping[str, Any]) -> str:
    """Who used a file that no recorded job made, a row of `GET /lineage/orphans`: for example `read by 240 jobs, as shared input`."""
    if not file["is_isolated"]:
        return "files were made of it"
    count = file["reader_count"]
    if not count:
        return "nobody read it"
    more = " or more" if count >= MOST_READERS else ""
    return f"read by {counted(count, 'job')}{more}{', as shared input' if file['is_shared'] else ''}"


def impact_words(found: Mapping[str, Any], *, is_direct: bool) -> str:
    """What was made from one file, in a sentence: of an answer of `GET /lineage/impact` to `reads=` that counted it."""
    if not found["jobs"]:
        return "No recorded job read it."
    if not found["touched"]:
        return f"No other file was made from it; {counted(found['jobs'], 'job')} read it."
    verb = "was" if found["touched"] == 1 else "were"
    directly = " directly" if is_direct else ""
    return f"{counted(found['touched'], 'other file')} {verb} made from it{directly}, by {counted(found['touched_jobs'], 'job')}."


def leaves_words(found: Mapping[str, Any]) -> str:
    """What came of a file last, or who read it where nothing did, in a sentence or two: of an answer of `GET /files/{name}/leaves`."""
    readers = found["readers"]
    if readers is None:
        count = found["count"]
        return (
            f"{counted(count, 'file')} came of it last."
            if count
            else "No file is the last: what came of it is a circle."
        )
    if not readers["count"]:
        return "Nothing was made of it."
    shared = ", as shared input" if readers["is_shared"] else ""
    how = _how_they_ended(readers["count"], readers["states"])
    return f"No file was made of it. {counted(readers['count'], 'job')} read it{shared}{how}."


def _how_they_ended(count: int, states: Mapping[str, int]) -> str:
    odd = {state: some for state, some in states.items() if state != "succeeded"}
    if odd == {"failed": count}:
        return f"; {_ALL.get(count, 'all')} failed"
    return "".join(
        f"{', ' if place else '; '}{number(some)} {state}" for place, (state, some) in enumerate(odd.items())
    )


class Sides(NamedTuple):
    """Nodes that led to the focus, and nodes that came of it, nearest first; those of a circle are on both sides."""

    makers: list[Node]
    users: list[Node]


class Tally(NamedTuple):
    """How many files, by name, and how many jobs."""

    files: int
    jobs: int


def sides_of(graph: Graph) -> Sides:
    """The nodes on each side of the focus."""
    edges = graph.inner_edges()
    # where filters hide jobs, a shared input is joined to what was made with it, and nothing else may be left to tell of
    parents = [edge for edge in edges if graph.omitted.hidden or edge.role not in SHARED_ROLES]
    known = graph.by_key()
    return Sides(
        [known[key] for key in reached(graph.focus, _links(parents)[1])],
        [known[key] for key in reached(graph.focus, _links(edges)[0])],
    )


def tally(nodes: Iterable[Node]) -> Tally:
    """How many files and jobs these nodes are; versions of a file are one file."""
    listed = list(nodes)
    files = {(node.experiment, node.namespace, node.name) for node in listed if isinstance(node, FileNode)}
    return Tally(len(files), sum(not isinstance(node, FileNode) for node in listed))


def reached(start: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    """Keys that the links lead to from `start`, itself left out, nearest first."""
    seen = {start: None}
    for key in (queue := [start]):
        for other in links.get(key, ()):
            if other not in seen:
                seen[other] = None
                queue.append(other)
    return list(seen)[1:]


def _links(edges: Iterable[Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    return neighbours((edge.source, edge.target) for edge in edges)
