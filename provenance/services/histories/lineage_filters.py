"""Filters a history: a graph of the nodes that pass.

The walk also goes through nodes that are not shown, so that nothing beyond them is lost. Two nodes
with only hidden nodes between them are linked directly: file to file, or job to job. A file passes
the filters on jobs if the job that made it does.
"""

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.histories.whole_histories import (
    History,
    Step,
    jobs_of,
    nodes_of,
    spread,
)
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, jobs_among
from jobprov.provenance.db.queries.lookup.node_facts import file_nodes, job_nodes
from jobprov.provenance.lineage.flow import Link, node_of
from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, Graph, LeftOut, Node, Omitted
from jobprov.provenance.lineage.keys import is_job

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
    links, is_whole = _joined(history, shown, hidden)

    nodes: list[Node] = [*file_nodes(connection, shown), *job_nodes(connection, shown)]
    by_key = {node.key: node for node in nodes}
    edges = [
        Edge(source, target, link.is_sure, link.role) for (source, target), link in links.items()
    ]
    return Graph(
        history.start,
        tuple(by_key[key] for key in shown if key in by_key),
        tuple(edges),
        _omitted(history, passing, shown, len(hidden)),
        is_truncated=len(shown) < len(passing) or history.is_cut or not is_whole,
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
    return {f"j{job}" for job in jobs_among(connection, filters, jobs_of(history))}


def _of_role(history: History, role: str | None) -> set[str] | None:
    """Return the files that jobs used in a role, and these jobs; None without such a filter."""
    if role is None:
        return None
    keys: set[str] = set()
    for (source, target), link in history.links.items():
        if is_job(target) and (link.role or "primary") == role:
            keys |= {source, target}
    return keys


def _joined(
    history: History, shown: Collection[str], hidden: Collection[str]
) -> tuple[dict[tuple[str, str], Link], bool]:
    """Return links between shown nodes, also via hidden ones, and whether all could be followed.

    A link via hidden nodes is sure if, on one of the ways, each link is.
    """
    links: dict[tuple[str, str], Link] = {}
    flow = history.flow
    steps = 0
    for source in shown:
        # Whether the way to each node that was met is sure. Sure ways are followed first, so a node
        # on ways of both kinds is met as sure, whatever the order of the links
        met = dict.fromkeys(flow.parts(source), True)
        sure, possible = list(met), list[str]()
        while sure or possible:
            is_sure_so_far = bool(sure)
            key = sure.pop() if sure else possible.pop()
            if met[key] and not is_sure_so_far:
                continue  # since it was put there, a sure way to it was found and followed
            for target in flow.after(key):
                steps += 1
                link, node = flow.link(key, target), node_of(target)
                is_sure = is_sure_so_far and link.is_sure
                if node in shown and node != source:
                    known = links.get((source, node))
                    if known is None:
                        role = link.role if key == source else ""
                        links[source, node] = Link(is_sure, role)
                    elif is_sure:
                        links[source, node] = known._replace(is_sure=True)
                elif node in hidden and (target not in met or (is_sure and not met[target])):
                    met[target] = is_sure
                    (sure if is_sure else possible).append(target)
            if steps > MOST_STEPS:
                return links, False
    return links, True


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
