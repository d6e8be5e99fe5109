"""The folded graph of a campaign: one node for each stage, code version and state, with counts.

The database folds large campaigns by itself; `fold_by_class` folds what is in memory, and both give
the same answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobprov.provenance.lineage.graph import Graph, JobNode

MOST_CLASSES = 200
"""More are not drawn: first the code versions of a stage and state are put together, then the smallest are left out."""


@dataclass(frozen=True, slots=True)
class JobClass:
    """Jobs of one stage that ran one code version and ended in one state, and how many they are.

    Attributes:
        revision: the ref or commit that finds them among all jobs; empty where none does.
    """

    stage: str
    code_version: str
    state: str
    jobs: int
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Files that jobs of one class, by index, handed to jobs of another."""

    source: int
    target: int
    files: int


@dataclass(frozen=True, slots=True)
class FoldedGraph:
    """Classes sorted by stage, code version and state; flows by their ends.

    Attributes:
        omitted_classes: how many classes were left out, and `omitted_jobs` how many jobs were in
            them.
    """

    classes: tuple[JobClass, ...]
    flows: tuple[Flow, ...]
    omitted_classes: int = 0
    omitted_jobs: int = 0

    def to_json(self) -> dict[str, Any]:
        """The answer of the folded lineage call: `nodes` and `edges` with counts."""
        return {
            "nodes": [
                {
                    "stage": some.stage,
                    "code_version": some.code_version,
                    "state": some.state,
                    "jobs": some.jobs,
                    "revision": some.revision,
                }
                for some in self.classes
            ],
            "edges": [
                {"source": flow.source, "target": flow.target, "files": flow.files}
                for flow in self.flows
            ],
            "omitted": {"nodes": self.omitted_classes, "jobs": self.omitted_jobs},
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "FoldedGraph":
        """The folded graph that `to_json` wrote."""
        omitted = document["omitted"]
        return FoldedGraph(
            tuple(JobClass(**node) for node in document["nodes"]),
            tuple(Flow(**edge) for edge in document["edges"]),
            omitted["nodes"],
            omitted["jobs"],
        )


def fold_by_class(graph: Graph) -> FoldedGraph:
    """Stage x code version x state with counts.

    A file counts once for each pair of classes that it joins.
    """
    class_of = {
        job.key: (job.stage or "", job.code_version or "", job.state) for job in graph.jobs()
    }
    counts = Counter(class_of.values())
    index = {some: place for place, some in enumerate(sorted(counts))}
    flows = _flows(graph, {key: index[some] for key, some in class_of.items()})
    return FoldedGraph(
        tuple(JobClass(*some, counts[some]) for some in sorted(counts)),
        tuple(Flow(*ends, files) for ends, files in sorted(flows.items())),
    )


def bounded(
    classes: Sequence[JobClass], flows: Sequence[Flow], *, most: int = MOST_CLASSES
) -> FoldedGraph:
    """A folded graph of at most `most` classes.

    Alike ones become one, and what is too much is put together or left out.
    """
    folded = merged(classes, flows)
    if len(folded.classes) > most:
        versions = Counter((some.stage, some.state) for some in folded.classes)
        folded = merged(
            [_without_version(some, versions[some.stage, some.state]) for some in folded.classes],
            folded.flows,
        )
    if len(folded.classes) > most:
        return _largest(folded, most)
    return folded


def merged(classes: Sequence[JobClass], flows: Sequence[Flow]) -> FoldedGraph:
    """Classes of equal stage, code version and state as one, sorted, and their flows."""
    jobs: Counter[tuple[str, str, str]] = Counter()
    revisions: dict[tuple[str, str, str], set[str]] = {}
    names = [(some.stage, some.code_version, some.state) for some in classes]
    for name, some in zip(names, classes, strict=True):
        jobs[name] += some.jobs
        revisions.setdefault(name, set()).add(some.revision)
    place = {name: index for index, name in enumerate(sorted(jobs))}
    files: Counter[tuple[int, int]] = Counter()
    for flow in flows:
        files[place[names[flow.source]], place[names[flow.target]]] += flow.files
    return FoldedGraph(
        tuple(JobClass(*name, jobs[name], _only(revisions[name])) for name in place),
        tuple(Flow(*ends, count) for ends, count in sorted(files.items())),
    )


def _only(words: set[str]) -> str:
    return next(iter(words)) if len(words) == 1 else ""


def _without_version(some: JobClass, versions: int) -> JobClass:
    return (
        some
        if versions == 1
        else JobClass(some.stage, f"{versions} code versions", some.state, some.jobs)
    )


def _largest(folded: FoldedGraph, most: int) -> FoldedGraph:
    by_size = sorted(
        range(len(folded.classes)), key=lambda index: (-folded.classes[index].jobs, index)
    )
    place = {index: new for new, index in enumerate(sorted(by_size[:most]))}
    return FoldedGraph(
        tuple(folded.classes[index] for index in place),
        tuple(
            Flow(place[flow.source], place[flow.target], flow.files)
            for flow in folded.flows
            if flow.source in place and flow.target in place
        ),
        len(folded.classes) - most,
        sum(folded.classes[index].jobs for index in by_size[most:]),
    )


def _flows(graph: Graph, class_of: Mapping[str, int]) -> Counter[tuple[int, int]]:
    after, before = graph.neighbours()
    flows: Counter[tuple[int, int]] = Counter()
    for node in graph.nodes:
        if isinstance(node, JobNode):
            continue
        makers = {class_of[job] for job in before.get(node.key, ()) if job in class_of}
        users = {class_of[job] for job in after.get(node.key, ()) if job in class_of}
        flows.update((maker, user) for maker in makers for user in users)
    return flows
