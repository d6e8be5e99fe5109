"""The folded graph of a campaign: one node for each stage, code version and state, with counts.

The database folds; what it counted is merged and bounded here.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from jobprov.provenance.answers.statistics.campaigns import OmittedClasses

MOST_CLASSES = 200
"""If there are more, the code versions of each stage and state are merged into one class.

If there are still too many, the smallest classes are left out.
"""


class JobClass(Struct, frozen=True):
    """Jobs of one stage that ran one code version and ended in one state.

    Attributes:
        jobs: how many there are.
        revision: the ref or commit by which they are found among all jobs; empty if there is none.
        outputs: how many files they made, whoever read them.
    """

    stage: str
    code_version: str
    state: str
    jobs: int
    revision: str = ""
    outputs: int = 0


class Flow(Struct, frozen=True):
    """Files that jobs of one class, by index, handed to jobs of another."""

    source: int
    target: int
    files: int


class FoldedGraph(Struct, frozen=True):
    """Classes sorted by stage, code version and state; flows by their ends.

    As JSON it is kept, in the words of the folded lineage call.
    """

    classes: tuple[JobClass, ...] = field(name="nodes")
    flows: tuple[Flow, ...] = field(name="edges")
    omitted: OmittedClasses = OmittedClasses(0, 0)


def bounded(
    classes: Sequence[JobClass], flows: Sequence[Flow], *, most: int = MOST_CLASSES
) -> FoldedGraph:
    """A folded graph of at most `most` classes; see `MOST_CLASSES` for what happens to more."""
    folded = merged(classes, flows)
    if len(folded.classes) > most:
        folded = merged(_without_versions(folded.classes), folded.flows)
    if len(folded.classes) > most:
        return _largest(folded, most)
    return folded


def merged(classes: Sequence[JobClass], flows: Sequence[Flow]) -> FoldedGraph:
    """Classes of equal stage, code version and state as one, sorted, and their flows."""
    alike: dict[_ClassName, list[JobClass]] = {}
    for job_class in classes:
        alike.setdefault(_name_of(job_class), []).append(job_class)
    names = sorted(alike)
    index_of = {name: index for index, name in enumerate(names)}
    files: Counter[tuple[int, int]] = Counter()
    for flow in flows:
        source = index_of[_name_of(classes[flow.source])]
        target = index_of[_name_of(classes[flow.target])]
        files[source, target] += flow.files
    merged_flows = []
    for (source, target), count in sorted(files.items()):
        merged_flows.append(Flow(source, target, count))
    return FoldedGraph(tuple(_one_class(alike[name]) for name in names), tuple(merged_flows))


_ClassName = tuple[str, str, str]


def _name_of(job_class: JobClass) -> _ClassName:
    return job_class.stage, job_class.code_version, job_class.state


def _one_class(alike: Sequence[JobClass]) -> JobClass:
    """Classes of one name as a class; it has a revision if all of them have the same."""
    revisions = {job_class.revision for job_class in alike}
    return replace(
        alike[0],
        jobs=sum(job_class.jobs for job_class in alike),
        revision=revisions.pop() if len(revisions) == 1 else "",
        outputs=sum(job_class.outputs for job_class in alike),
    )


def _without_versions(classes: Sequence[JobClass]) -> list[JobClass]:
    """The classes in the same order, without code versions where a stage and state have several.

    All classes of that stage and state say only how many there are.
    """
    versions = Counter((job_class.stage, job_class.state) for job_class in classes)
    without_versions = []
    for job_class in classes:
        count = versions[job_class.stage, job_class.state]
        if count == 1:
            without_versions.append(job_class)
        else:
            all_versions = f"{count} code versions"
            without_versions.append(replace(job_class, code_version=all_versions, revision=""))
    return without_versions


def _largest(folded: FoldedGraph, most: int) -> FoldedGraph:
    """Return the largest classes, in their order, and the flows between them."""
    classes = folded.classes
    largest_first = sorted(range(len(classes)), key=lambda index: (-classes[index].jobs, index))
    kept, left_out = sorted(largest_first[:most]), largest_first[most:]
    new_index = {index: place for place, index in enumerate(kept)}
    flows = []
    for flow in folded.flows:
        if flow.source in new_index and flow.target in new_index:
            flows.append(Flow(new_index[flow.source], new_index[flow.target], flow.files))
    return FoldedGraph(
        classes=tuple(classes[index] for index in kept),
        flows=tuple(flows),
        omitted=OmittedClasses(len(left_out), sum(classes[index].jobs for index in left_out)),
    )
