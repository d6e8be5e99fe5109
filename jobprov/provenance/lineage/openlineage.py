"""A graph as OpenLineage run events, one per line: each job with its inputs and outputs there.

Files are named in the form that `POST /api/v1/lineage` accepts: the dataset's namespace is that of
the file, or the experiment if it has none. The facet `jobprov_file` tells versions of a name apart,
so that another service draws the same edges.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.lineage.graph import FileNode, Graph, JobNode, Node
from jobprov.provenance.records.openlineage.datasets import file_facet, with_slash
from jobprov.provenance.records.openlineage.runs import END_OF
from jobprov.provenance.times import utc_text

RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PRODUCER = "urn:jobprov:lineage:1"


class _Neighbour(NamedTuple):
    """A neighbour of a job, and whether the edge between them is sure."""

    node: Node
    is_sure: bool


def to_openlineage(graph: Graph) -> str:
    """Run events in the order of time, one per line; a job that still runs has only its START."""
    lines = []
    for event in sorted(_events(graph), key=_order_of):
        document = {**event.of_run, "eventType": event.kind, "eventTime": event.at}
        lines.append(json.dumps(document, ensure_ascii=False, sort_keys=True))
    return "".join(f"{line}\n" for line in lines)


class _Event(NamedTuple):
    """The start or the end of a job.

    Attributes:
        kind: `START`, or a type of end.
        of_run: run, job and datasets.
    """

    at: str
    run: str
    kind: str
    of_run: Mapping[str, object]


def _order_of(event: _Event) -> tuple[str, str, bool]:
    """By time, then by run; at the same time, START comes first."""
    return event.at, event.run, event.kind != "START"


def _events(graph: Graph) -> Iterator[_Event]:
    """Yield the start and end of each job."""
    nodes = graph.by_key()
    focus = nodes.get(graph.focus)
    experiment = "unknown"
    if isinstance(focus, FileNode) and focus.experiment:
        experiment = focus.experiment
    after = defaultdict[str, list[_Neighbour]](list)
    before = defaultdict[str, list[_Neighbour]](list)
    for edge in graph.inner_edges():
        after[edge.source].append(_Neighbour(nodes[edge.target], edge.is_sure))
        before[edge.target].append(_Neighbour(nodes[edge.source], edge.is_sure))
    for job in graph.jobs():
        of_run = {
            "producer": _PRODUCER,
            "schemaURL": RUN_EVENT,
            "run": {"runId": job.job_id},
            "job": _job(job, experiment),
            "inputs": _datasets(before[job.key]),
        }
        if job.started_at is not None:
            at_start = {**of_run, "outputs": []}
            yield _Event(utc_text(job.started_at), job.job_id, "START", at_start)
        end_type = END_OF.get(job.state)
        ended_at = job.ended_at or job.started_at or job.received_at
        if end_type and ended_at:
            at_end = {**of_run, "outputs": _datasets(after[job.key])}
            yield _Event(utc_text(ended_at), job.job_id, end_type, at_end)


def _job(job: JobNode, experiment: str) -> dict[str, str]:
    """The job in OpenLineage's sense: the stage. Each of our jobs is a run of it."""
    name = job.stage or job.task_id or "job"
    return {"namespace": job.experiment or experiment, "name": name}


def _datasets(neighbours: Iterable[_Neighbour]) -> list[dict[str, object]]:
    """The datasets among the neighbours, without jobs.

    Two jobs that are linked through a hidden file share no dataset here.
    """
    versions_of = defaultdict[tuple[str, str], list[FileNode]](list)
    uncertain: set[tuple[str, str]] = set()
    for node, is_sure in neighbours:
        if isinstance(node, FileNode):
            dataset = (with_slash(node.namespace) or node.experiment, node.name)
            versions_of[dataset].append(node)
            if not is_sure:
                uncertain.add(dataset)
    datasets = []
    for dataset in sorted(versions_of):
        namespace, name = dataset
        facets = {} if dataset in uncertain else _facets(versions_of[dataset])
        datasets.append({"namespace": namespace, "name": name, **facets})
    return datasets


def _facets(versions: Sequence[FileNode]) -> dict[str, object]:
    """Return the facet that tells versions of a name apart.

    If several jobs made the same file, it has the checksums of all.
    """
    checksums: set[str] = set()
    sizes: set[int | None] = set()
    for file in versions:
        checksums.update(file.checksums)
        sizes.add(file.size_bytes)
    only_size = sizes.pop() if len(sizes) == 1 else None
    return file_facet(sorted(checksums), only_size, producer=_PRODUCER)
