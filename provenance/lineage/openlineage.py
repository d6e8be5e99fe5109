"""A graph as OpenLineage run events, one a line: each job with those of its inputs and outputs that the graph holds.

Files are named as `POST /api/v1/lineage` takes them: the dataset's namespace is the file's, or the experiment where it has none. The
facet `jobprov_file` tells versions of a name apart, so that another service draws the same edges.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from provenance.lineage.graph import FileNode, Graph, JobNode, Node, utc_text
from provenance.records.openlineage import END_OF
from provenance.records.openlineage_datasets import file_facet, with_slash

RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PRODUCER = "urn:jobprov:lineage:1"

_Use = tuple[Node, bool]
"""A neighbour of a node, and whether the edge is sure."""


def to_openlineage(graph: Graph) -> str:
    """Run events in the order of time, one a line; a job that runs still has none but its START."""
    events = sorted(
        _events(graph), key=lambda event: (event["eventTime"], event["run"]["runId"], event["eventType"] != "START")
    )
    return "".join(json.dumps(event, ensure_ascii=False, sort_keys=True) + "\n" for event in events)


def _events(graph: Graph) -> Iterator[dict[str, Any]]:
    nodes, focus = graph.by_key(), graph.by_key().get(graph.focus)
    experiment = focus.experiment if isinstance(focus, FileNode) else ""
    after, before = defaultdict[str, list[_Use]](list), defaultdict[str, list[_Use]](list)
    for edge in graph.inner_edges():
        after[edge.source].append((nodes[edge.target], edge.is_sure))
        before[edge.target].append((nodes[edge.source], edge.is_sure))
    for job in graph.jobs():
        inputs, outputs = _datasets(before[job.key]), _datasets(after[job.key])
        common = {
            "producer": _PRODUCER,
            "schemaURL": RUN_EVENT,
            "run": {"runId": job.job_id},
            "job": {"namespace": job.experiment or experiment or "unknown", "name": job.stage or job.task_id or "job"},
        }
        if job.started_at is not None:
            start = {"eventType": "START", "eventTime": utc_text(job.started_at), "inputs": inputs, "outputs": []}
            yield common | start
        if (kind := END_OF.get(job.state)) and (moment := _end(job)):
            yield common | {"eventType": kind, "eventTime": utc_text(moment), "inputs": inputs, "outputs": outputs}


def _end(job: JobNode) -> datetime | None:
    return job.ended_at or job.started_at or job.received_at


def _datasets(uses: Iterable[_Use]) -> list[dict[str, Any]]:
    """Jobs among the neighbours are left out: what hangs together through a hidden file is no dataset."""
    named = defaultdict[tuple[str, str], list[tuple[FileNode, bool]]](list)
    for node, is_sure in uses:
        if isinstance(node, FileNode):
            named[with_slash(node.namespace) or node.experiment, node.name].append((node, is_sure))
    return [
        {"namespace": namespace, "name": name, **_facets(versions)}
        for (namespace, name), versions in sorted(named.items())
    ]


def _facets(versions: Sequence[tuple[FileNode, bool]]) -> dict[str, Any]:
    """Return what tells versions apart, where it is sure which one it was: the checksums of all, when several jobs made the same."""
    if not all(is_sure for _, is_sure in versions):
        return {}
    checksums = sorted({word for file, _ in versions for word in file.checksums})
    sizes = {file.size_bytes for file, _ in versions}
    return file_facet(checksums, sizes.pop() if len(sizes) == 1 else None, producer=_PRODUCER)
