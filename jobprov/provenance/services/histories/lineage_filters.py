"""Filters a history: a graph of the nodes that pass.

The walk also goes through nodes that are not shown, so that nothing beyond them is lost. Two nodes
with only hidden nodes between them are linked directly: file to file, or job to job. A file passes
the filters on jobs if the job that made it does.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.histories.whole_histories import (
    History,
    Step,
    jobs_of,
    nodes_of,
    spread,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.lookup.lists.jobs import jobs_among
from jobprov.provenance.db.queries.lookup.node_facts import file_nodes, job_nodes
from jobprov.provenance.lineage.flow import Link, node_of
from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, Graph, LeftOut, Node, Omitted
from jobprov.provenance.lineage.keys import is_job, key_of_job

MOST_STEPS = 1_000_000
"""Links that are followed through nodes that are not shown."""
JOB_FILTERS = ("stage", "state", "started_after", "started_before", "software", "revision")
"""Filters on jobs, by the names of the question."""


class NodeFilters(NamedTuple):
    """Which nodes of a history are shown. None means all.

    Attributes:
        kind: `file` or `job`.
        role: files that a job used in this role, and these jobs. An input without a role in its
            record is primary.
        jobs: jobs that pass these filters, and the files that they made.
    """

    kind: str | None = None
    role: str | None = None
    jobs: JobFilters = JobFilters()


def take_filters(query: MutableMapping[str, Any]) -> NodeFilters:
    """Take the filters out of the parameters of a question, and return them."""
    kind, role = query.pop("kind", None), query.pop("role", None)
    of_jobs = {name: query.pop(name) for name in JOB_FILTERS if name in query}
    return NodeFilters(kind, role, JobFilters(**of_jobs))


def filter_history(
    connection: Connection, history: History, filters: NodeFilters, *, depth: int | None, limit: int
) -> Graph:
    """Return the graph of the nodes that pass, at most `limit`, nearest first.

    The start is always in it.
    """
    distances = history.distances()
    passing = [history.start, *_passing(connection, history, distances, filters)]
    # Depth counts jobs, distances count links: a file's next job is one link away, its files two
    near = [key for key in passing if depth is None or distances[key] <= 2 * depth]
    shown = dict.fromkeys(near[:limit])
    hidden = distances.keys() - set(passing)
    joined = _joined(history, shown, hidden)

    nodes: list[Node] = [*file_nodes(connection, shown), *job_nodes(connection, shown)]
    by_key = {node.key: node for node in nodes}
    edges = []
    for (source, target), link in joined.links.items():
        edges.append(Edge(source, target, link.is_sure, link.role))
    return Graph(
        history.start,
        tuple(by_key[key] for key in shown if key in by_key),
        tuple(edges),
        _omitted(history, passing, shown, len(hidden)),
        is_truncated=len(shown) < len(passing) or history.is_cut or not joined.is_whole,
    )


def _passing(
    connection: Connection, history: History, distances: Mapping[str, int], filters: NodeFilters
) -> Iterator[str]:
    """Yield the keys that pass all filters, nearest first, without the start."""
    jobs = _passing_jobs(connection, history, filters.jobs)
    of_role = _of_role(history, filters.role)
    for key in distances:
        kind = "job" if is_job(key) else "file"
        if key == history.start or filters.kind not in (None, kind):
            continue
        if of_role is not None and key not in of_role:
            continue
        makers = [key] if kind == "job" else history.before(key)
        if jobs is None or not jobs.isdisjoint(makers):
            yield key


def _passing_jobs(connection: Connection, history: History, filters: JobFilters) -> set[str] | None:
    """Return the jobs of the history that pass; None if there are no filters on jobs."""
    if filters == JobFilters():
        return None
    return {key_of_job(job) for job in jobs_among(connection, filters, jobs_of(history))}


def _of_role(history: History, role: str | None) -> set[str] | None:
    """Return the files that jobs used in a role, and these jobs; None without such a filter."""
    if role is None:
        return None
    keys: set[str] = set()
    for (source, target), link in history.links.items():
        if is_job(target) and (link.role or "primary") == role:
            keys |= {source, target}
    return keys


class _Joined:
    """Links between shown nodes, by their ends, and whether all ways could be followed."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, str], Link] = {}
        self.is_whole = True

    def add(self, source: str, target: str, link: Link) -> None:
        """Note a link; of several with these ends the first counts, and it is sure if one is."""
        known = self.links.setdefault((source, target), link)
        if link.is_sure:
            self.links[source, target] = known._replace(is_sure=True)


def _joined(history: History, shown: Collection[str], hidden: Collection[str]) -> _Joined:
    """Return the links between shown nodes, also via hidden ones.

    A link via hidden nodes is sure if, on one of the ways, each link is.
    """
    joined = _Joined()
    flow = history.flow
    steps = 0
    for source in shown:
        ways = _Ways(flow.parts(source))
        while ways.are_left():
            way = ways.take()
            for target in flow.after(way.node):
                steps += 1
                link, node = flow.link(way.node, target), node_of(target)
                is_sure = way.is_sure and link.is_sure
                if node in hidden:
                    ways.add(target, is_sure=is_sure)
                elif node in shown and node != source:
                    role = link.role if way.node == source else ""
                    joined.add(source, node, Link(is_sure, role))
            if steps > MOST_STEPS:
                joined.is_whole = False
                return joined
    return joined


class _Way(NamedTuple):
    """A way through hidden nodes: the node that it has come to, and whether it is sure."""

    node: str
    is_sure: bool


class _Ways:
    """Ways from one node that are still to be followed, each to the node that it has come to.

    Sure ways are followed first, so that a node on ways of both kinds is met as sure, whatever the
    order of the links.
    """

    def __init__(self, starts: Iterable[str]) -> None:
        # By node that was met: whether the way to it is sure
        self._met = dict.fromkeys(starts, True)
        self._sure, self._possible = list(self._met), list[str]()

    def are_left(self) -> bool:
        """Return whether a way is left; forget those to which a sure way was found since."""
        while self._possible and self._met[self._possible[-1]]:
            self._possible.pop()
        return bool(self._sure or self._possible)

    def take(self) -> _Way:
        """Return the next way."""
        if self._sure:
            return _Way(self._sure.pop(), is_sure=True)
        return _Way(self._possible.pop(), is_sure=False)

    def add(self, node: str, *, is_sure: bool) -> None:
        """Go on to a node, unless it was met before by a way as good."""
        if node in self._met and (self._met[node] or not is_sure):
            return
        self._met[node] = is_sure
        if is_sure:
            self._sure.append(node)
        else:
            self._possible.append(node)


def _omitted(history: History, passing: list[str], shown: Collection[str], hidden: int) -> Omitted:
    """Return how many nodes pass the filters and are not shown, in all and on each side."""
    left = [key for key in passing if key not in shown]
    side_before = nodes_of(spread([history.start], _parents_in(history, hidden)))
    before = _left_out(history, left, side_before)
    after = _left_out(history, left, history.distances_after())
    jobs = sum(map(is_job, left))
    return Omitted(
        by_kind={"file": len(left) - jobs, "job": jobs},
        ancestors=before.files + before.jobs,
        descendants=after.files + after.jobs,
        hidden=hidden,
        is_least=history.is_cut,
        before=before,
        after=after,
    )


def _parents_in(history: History, hidden: int) -> Step:
    """Return the step back by which the side before the start is counted.

    Inputs that jobs share count only if something is hidden, as in `sides_of`.
    """
    flow = history.flow
    if hidden:
        return flow.before
    return lambda key: [
        near for near in flow.before(key) if flow.link(near, key).role not in SHARED_ROLES
    ]


def _left_out(history: History, left: list[str], side: Mapping[str, int]) -> LeftOut:
    """Return how many of the nodes that are left out are on one side of the start."""
    there = [key for key in left if key in side]
    jobs = sum(map(is_job, there))
    return LeftOut(len(there) - jobs, jobs, history.is_cut)
