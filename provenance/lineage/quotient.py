"""The folded graph of a campaign: one node for each stage, code version and state, with counts.

The database folds large campaigns by itself; this folds what is in memory, and both give the same answer.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.lineage.graph import Graph, JobNode, neighbours


@dataclass(frozen=True, slots=True)
class JobClass:
    """Jobs of one stage that ran one code version and ended in one state, and how many they are."""

    stage: str
    code_version: str
    state: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Files that jobs of one class, by index, handed to jobs of another."""

    source: int
    target: int
    files: int


@dataclass(frozen=True, slots=True)
class FoldedGraph:
    """Classes sorted by stage, code version and state; flows by their ends."""

    classes: tuple[JobClass, ...]
    flows: tuple[Flow, ...]

    def to_json(self) -> dict[str, Any]:
        """The answer of the folded lineage call: `nodes` and `edges` with counts."""
        return {
            "nodes": [
                {"stage": some.stage, "code_version": some.code_version, "state": some.state, "jobs": some.jobs}
                for some in self.classes
            ],
            "edges": [{"source": flow.source, "target": flow.target, "files": flow.files} for flow in self.flows],
        }


def fold_by_class(graph: Graph) -> FoldedGraph:
    """Stage x code version x state with counts; a file counts once for each pair of classes that it joins."""
    class_of = {job.key: (job.stage or "", job.code_version or "", job.state) for job in graph.jobs()}
    counts = Counter(class_of.values())
    index = {some: place for place, some in enumerate(sorted(counts))}
    flows = _flows(graph, {key: index[some] for key, some in class_of.items()})
    return FoldedGraph(
        tuple(JobClass(*some, counts[some]) for some in sorted(counts)),
        tuple(Flow(*ends, files) for ends, files in sorted(flows.items())),
    )


def stage_counts(graph: Graph) -> dict[str, int]:
    """How many jobs of each stage the graph holds, largest first."""
    counts = Counter(job.stage or "" for job in graph.jobs())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _flows(graph: Graph, class_of: Mapping[str, int]) -> Counter[tuple[int, int]]:
    after, before = neighbours((edge.source, edge.target) for edge in graph.inner_edges())
    flows: Counter[tuple[int, int]] = Counter()
    for node in graph.nodes:
        if isinstance(node, JobNode):
            continue
        makers = {class_of[job] for job in before.get(node.key, ()) if job in class_of}
        users = {class_of[job] for job in after.get(node.key, ()) if job in class_of}
        flows.update((maker, user) for maker in makers for user in users)
    return flows
