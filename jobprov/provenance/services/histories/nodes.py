"""Lineage graphs and their nodes as answers."""

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import UNSET, UnsetType, convert, to_builtins
from msgspec.structs import asdict

from jobprov.provenance.answers.histories.lineage import (
    LineageEdge,
    LineageFile,
    LineageGraph,
    LineageNode,
    LineagePast,
    OmittedHistory,
    OmittedSide,
    OmittedSides,
)
from jobprov.provenance.lineage.graph import FileNode, Graph, JobNode, LeftOut, Node, Omitted

COLUMNS = (
    "key", "kind", "name", "namespace", "experiment", "version", "size_bytes", "data_tier",
    "is_placeholder", "job_id", "label", "state", "stage", "task_id", "campaign", "code_version",
    "started_at", "from",
)  # fmt: skip
"""Names of the columns of `node_rows`.

`from` has the keys of the nodes directly before a node, separated by blanks.
"""


def graph_answer(graph: Graph) -> LineageGraph:
    """Return a graph as the answer of the lineage call."""
    edges = []
    for edge in graph.inner_edges():
        edges.append(LineageEdge(edge.source, edge.target, edge.is_sure, edge.role))
    past: LineagePast | UnsetType = UNSET
    if graph.past is not None:
        past = graph.past
    return LineageGraph(
        focus=graph.focus,
        nodes=[node_answer(node) for node in graph.nodes],
        edges=edges,
        omitted=_omitted(graph.omitted),
        is_truncated=graph.is_truncated,
        version=graph.version,
        versions=graph.versions,
        past=past,
    )


def node_rows(graph: Graph) -> Iterator[dict[str, object]]:
    """Yield the nodes in the graph's order, by the names of `COLUMNS`.

    A column that a kind of node lacks is absent.
    """
    _, before = graph.neighbours()
    for node in graph.nodes:
        row = to_builtins(node_answer(node))
        yield {**row, "from": " ".join(before.get(node.key, ()))}


def node_answer(node: Node) -> LineageNode:
    """Return a file or a job of a graph."""
    if isinstance(node, FileNode):
        return LineageNode(**asdict(file_answer(node)))
    return _job_node(node)


def file_answer(node: FileNode) -> LineageFile:
    """Return a file of a graph, for answers that hold only files."""
    return convert(node, LineageFile, from_attributes=True)


def _job_node(node: JobNode) -> LineageNode:
    return LineageNode(
        key=node.key,
        kind="job",
        job_id=node.job_id,
        label=node.label,
        state=node.state,
        stage=node.stage,
        task_id=node.task_id,
        campaign=node.campaign,
        code_version=node.code_version,
        started_at=None if node.started_at is None else _to_the_second(node.started_at),
        url=node.url,
    )


def _omitted(omitted: Omitted) -> OmittedHistory:
    return OmittedHistory(
        by_stage=dict(sorted(omitted.by_stage.items())),
        by_kind=dict(sorted(omitted.by_kind.items())),
        ancestors=omitted.ancestors,
        descendants=omitted.descendants,
        inputs_of=dict(sorted(omitted.inputs_of.items())),
        outputs_of=dict(sorted(omitted.outputs_of.items())),
        hidden=omitted.hidden,
        is_least=omitted.is_least,
        sides=OmittedSides(_side(omitted.before), _side(omitted.after)),
    )


def _side(left_out: LeftOut | None) -> OmittedSide | None:
    if left_out is None:
        return None
    return OmittedSide(left_out.files, left_out.jobs, left_out.is_least)


def _to_the_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
