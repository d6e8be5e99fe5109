"""The two sides of a graph: what made its focus, and what came of it.

Inputs that jobs share (calibration, geometry) are no parents (record.md, "Files and edges"), so
they are on neither side; else a picture that is cut would have another total than the same picture
whole, where nobody counts them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, FileNode, Graph, Node, neighbours


class Sides(NamedTuple):
    """Nodes that led to the focus, and nodes that came of it, nearest first.

    Those of a circle are on both sides.
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
    # where filters hide jobs, a shared input is joined to what was made with it, and nothing else
    # may be left to tell of
    parents = [edge for edge in edges if graph.omitted.hidden or edge.role not in SHARED_ROLES]
    known = graph.by_key()
    return Sides(
        [known[key] for key in reached(graph.focus, _links(parents)[1])],
        [known[key] for key in reached(graph.focus, _links(edges)[0])],
    )


def tally(nodes: Iterable[Node]) -> Tally:
    """How many files and jobs these nodes are; versions of a file are one file."""
    listed = list(nodes)
    files = {
        (node.experiment, node.namespace, node.name)
        for node in listed
        if isinstance(node, FileNode)
    }
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
