"""A graph as OpenLineage run events, one a line: each job with those of its inputs and outputs that the graph holds.

Files are named as `POST /api/v1/lineage` takes them: the dataset's namespace is the file's, or the experiment where it has none.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from provenance.lineage.graph import FileNode, Graph, JobNode
from provenance.lineage.past import utc_text
from provenance.records.openlineage import END_OF
from provenance.records.openlineage_datasets import with_slash

RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PRODUCER = "urn:jobprov:lineage:1"


def to_openlineage(graph: Graph) -> str:
    """Run events in the order of time, one a line; a job that runs still has none but its START."""
    events = sorted(
        _events(graph), key=lambda event: (event["eventTime"], event["run"]["runId"], event["eventType"] != "START")
    )
    return "".join(json.dumps(event, ensure_ascii=False, sort_keys=True) + "\n" for event in events)


def _events(graph: Graph) -> Iterator[dict[str, Any]]:
    nodes, focus = graph.by_key(), graph.by_key().get(graph.focus)
    experiment = focus.experiment if isinstance(focus, FileNode) else ""
    after, before = graph.neighbours()
    for job in graph.jobs():
        inputs = _datasets([nodes[key] for key in before.get(job.key, ())])
        outputs = _datasets([nodes[key] for key in after.get(job.key, ())])
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


def _datasets(nodes: Sequence[object]) -> list[dict[str, str]]:
    """Jobs among the neighbours are left out: what hangs together through a hidden file is no dataset."""
    files = (node for node in nodes if isinstance(node, FileNode))
    named = {(with_slash(file.namespace) or file.experiment, file.name) for file in files}
    return [{"namespace": namespace, "name": name} for namespace, name in sorted(named)]
