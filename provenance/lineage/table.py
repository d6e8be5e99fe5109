"""A graph as rows, one a node, each with the keys of what lies directly before it.

The whole graph in one table.
"""

from collections.abc import Iterator
from typing import Any

from jobprov.provenance.lineage.graph import Graph, node_json

COLUMNS = (
    "key", "kind", "name", "namespace", "experiment", "version", "size_bytes", "data_tier", "is_placeholder",
    "job_id", "label", "state", "stage", "task_id", "campaign", "code_version", "started_at", "from",
)  # fmt: skip
"""Names of the columns; what is not a node's own is absent.

`from` holds keys with blanks between them.
"""


def node_rows(graph: Graph) -> Iterator[dict[str, Any]]:
    """Yield the nodes in the graph's order, by the names of `COLUMNS`."""
    _, before = graph.neighbours()
    for node in graph.nodes:
        yield {**node_json(node), "from": " ".join(before.get(node.key, ()))}
