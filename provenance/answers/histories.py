"""Answers to questions about the histories of files."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from jobprov.provenance.answers.lookup import JobSummary
from jobprov.provenance.answers.names import FileName, FileVersion


class FileWriter(Struct, frozen=True):
    """A job that wrote a file of this name, where no recorded job made the very file that was read.

    Attributes:
        label: the batch id, or the beginning of the job id where there is none.
        state: how the job ended.
        url: the path of its page.
        is_other_version: the job made another version; otherwise it did not succeed.
    """

    job_id: str
    label: str
    state: str
    url: str
    is_other_version: bool


class LineageFile(Struct, frozen=True, kw_only=True):
    """A version of a file, as a node of a lineage graph.

    Attributes:
        key: names the node in its graph.
        role: how the jobs of the graph use the file; empty where no record says it.
        size_bytes, data_tier: None where no record says it.
        is_placeholder: records or catalogs mention the file, and no recorded job made it.
        version: its number, None where the file has only one version.
        url: the path of its page.
        writer: a job that wrote a file of this name without making this one; None where there is
            none.
    """

    key: str
    kind: Literal["file"] = "file"
    name: str
    namespace: str
    experiment: str
    role: str
    size_bytes: int | None
    data_tier: str | None
    is_placeholder: bool
    version: int | None
    url: str | None
    writer: FileWriter | None


class LineageNode(Struct, frozen=True, kw_only=True):
    """A file or a job of a lineage graph; a node has the members of its `kind`.

    Attributes:
        name, namespace, experiment, role, size_bytes, data_tier, is_placeholder, version, writer:
            of a file, see `LineageFile`.
        label: of a job: the batch id, or the beginning of the job id where there is none.
        stage, task_id, campaign, code_version, started_at: of a job; None where no record says it.
        url: the path of the page of the file or job.
    """

    key: str
    kind: Literal["file", "job"]
    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    experiment: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    size_bytes: int | UnsetType | None = UNSET
    data_tier: str | UnsetType | None = UNSET
    is_placeholder: bool | UnsetType = UNSET
    version: int | UnsetType | None = UNSET
    job_id: str | UnsetType = UNSET
    label: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    stage: str | UnsetType | None = UNSET
    task_id: str | UnsetType | None = UNSET
    campaign: str | UnsetType | None = UNSET
    code_version: str | UnsetType | None = UNSET
    started_at: datetime | UnsetType | None = UNSET
    url: str | None
    writer: FileWriter | UnsetType | None = UNSET


class LineageEdge(Struct, frozen=True):
    """A file that a job read (file to job), or a file that it made (job to file).

    Attributes:
        source, target: keys of nodes.
        is_sure: False where only the name ties the two together.
        role: as what the job read the file; empty for a file that it made.
    """

    source: str
    target: str
    is_sure: bool
    role: str


class OmittedSide(Struct, frozen=True):
    """How many files and jobs on one side of the file are not in the graph.

    Attributes:
        is_least: the counting ended early; there are at least this many.
    """

    file: int
    job: int
    is_least: bool


class OmittedSides(Struct, frozen=True):
    """What is left out before and after the file; None for a side that was not counted."""

    ancestors: OmittedSide | None
    descendants: OmittedSide | None


class OmittedHistory(Struct, frozen=True):
    """How much of the history the graph leaves out.

    Attributes:
        by_stage: jobs by stage.
        by_kind: nodes by `file` and `job`.
        ancestors, descendants: nodes before and after the file.
        inputs_of, outputs_of: direct neighbours of nodes that are in the graph, by the key of the
            node.
        hidden: nodes that the filters do not show.
        is_least: the counting ended early; there are at least this many.
        sides: the same by side, shared inputs excluded.
    """

    by_stage: dict[str, int]
    by_kind: dict[str, int]
    ancestors: int
    descendants: int
    inputs_of: dict[str, int]
    outputs_of: dict[str, int]
    hidden: int
    is_least: bool
    sides: OmittedSides


class LineagePast(Struct, frozen=True):
    """The moment that a graph is about, and what of it is shown as it is today.

    Attributes:
        is_exact: nothing is known to have changed since.
        changed_jobs: ids of jobs whose records were corrected or added to since, at most a hundred.
        changed_count: how many jobs these are.
        relinked_files: names of files whose makers or readers may have been found since, at most a
            hundred.
        relinked_count: how many files these are.
    """

    as_of: datetime
    is_exact: bool
    changed_jobs: list[str]
    changed_count: int
    relinked_files: list[str]
    relinked_count: int


class LineageGraph(Struct, frozen=True):
    """The history around a file, nearest first.

    Attributes:
        focus: key of the file that was asked about.
        is_truncated: a limit, not the end of the history, ended the walk.
        version: the version that was asked about, None for a file that no recorded job made.
        versions: how many versions of the file there are.
        past: of a question about the past (`as_of`).
    """

    focus: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    omitted: OmittedHistory
    is_truncated: bool
    version: int | None
    versions: int
    past: LineagePast | UnsetType = UNSET


class HistoryFile(Struct, frozen=True):
    """An ancestor or a descendant of a file.

    Attributes:
        namespace: empty where the file has none.
        job_id: a job that may have made it, None where no recorded job did.
    """

    name: str
    namespace: str
    experiment: str
    job_id: str | None


class LineageList(Struct, frozen=True):
    """All ancestors or all descendants of a file, in the order of names.

    Attributes:
        version: the version that was asked about, None for all of them or where no recorded job
            made the file.
        versions: how many versions of the file there are.
        count: how many files these are.
        files: at most 100,000; a file that one of several jobs may have made stands there with each
            of them.
        is_truncated: there are more.
    """

    file: FileName
    version: int | None
    versions: int
    count: int
    files: list[HistoryFile]
    is_truncated: bool


class FileRoots(Struct, frozen=True):
    """The files that a file goes back to and that were made from no others, a page of them.

    Attributes:
        version: the version that was asked about, None for all of them or where no recorded job
            made the file.
        versions: how many versions of the file there are.
        count: how many files there are on all pages.
        is_truncated: the history was too long to be walked whole.
        next: the cursor of the next page, None on the last.
    """

    file: FileName
    version: int | None
    versions: int
    count: int
    files: list[LineageFile]
    is_truncated: bool
    next: str | None


class FileReaders(Struct, frozen=True):
    """The jobs that read a file.

    Attributes:
        states: how many are in which state.
        is_shared: they read it as an input that many jobs share, such as calibration.
    """

    count: int
    states: dict[str, int]
    is_shared: bool


class FileLeaves(FileRoots, frozen=True):
    """The files made from a file, directly or not, from which no other was made; a page of them.

    Attributes:
        readers: who read the file itself where nothing was made from it; None otherwise.
    """

    readers: FileReaders | None


class Orphan(FileName, frozen=True):
    """A file that records or catalogs name and that no recorded job made.

    Attributes:
        is_isolated: no file was made from it either.
        reader_count: jobs that read it, counted up to 1000.
        is_shared: they read it as an input that many jobs share.
    """

    is_isolated: bool
    reader_count: int
    is_shared: bool


class Orphans(Struct, frozen=True):
    """A page of orphans, in the order in which they were first named.

    Attributes:
        next: the cursor of the next page, None on the last. A page may be short, even empty, and
            not be the last.
    """

    files: list[Orphan]
    next: str | None


class LineagePath(Struct, frozen=True):
    """A way from an older file to a younger one.

    Attributes:
        jobs: how many jobs it passes.
        is_sure: all of its links are sure.
        nodes: files and jobs in turn, the older file first.
    """

    jobs: int
    is_sure: bool
    nodes: list[LineageNode]


class FilePaths(Struct, frozen=True):
    """The ways from the older of two files to the younger, the shortest first.

    Attributes:
        older: `a` or `b`, None where neither was made from the other.
        is_truncated: there may be more ways.
    """

    a: FileVersion
    b: FileVersion
    older: Literal["a", "b"] | None
    paths: list[LineagePath]
    is_truncated: bool


class CommonAncestor(LineageFile, frozen=True, kw_only=True):
    """A file that two files were both made from.

    Attributes:
        jobs_to_a, jobs_to_b: how many jobs lie between it and each file, on the shortest way.
        is_nearest: no other common ancestor was made from it.
    """

    jobs_to_a: int
    jobs_to_b: int
    is_nearest: bool


class CommonAncestors(Struct, frozen=True):
    """What two files were both made from, nearest first; a page of it.

    Attributes:
        count: how many ancestors there are on all pages.
        hub_count: how many common ancestors are left out because many jobs read them.
        hubs: these, at most a hundred.
        is_truncated: a history was too long to be walked whole.
        next: the cursor of the next page, None on the last.
    """

    a: FileVersion
    b: FileVersion
    count: int
    ancestors: list[CommonAncestor]
    hub_count: int
    hubs: list[LineageFile]
    is_truncated: bool
    next: str | None


class CostSum(Struct, frozen=True):
    """What some jobs took together.

    Attributes:
        silent_jobs: jobs whose records do not say what they took; they count as nothing in the
            sums.
        wall_seconds, cpu_seconds, output_bytes: None where no job says it.
    """

    jobs: int
    silent_jobs: int
    wall_seconds: float | None
    cpu_seconds: float | None
    output_bytes: int | None


class StageCost(Struct, frozen=True):
    """What the jobs of one stage took; `stage` is None for jobs that name none."""

    stage: str | None
    made: CostSum
    failed: CostSum


class FileCost(Struct, frozen=True):
    """What it took to make a file, all its ancestors included.

    The making of inputs that many jobs share, such as calibration, is left out.

    Attributes:
        version: the version that was asked about, None for a file that no recorded job made.
        versions: how many versions of the file there are.
        files: how many files it goes back to, itself included.
        made: the jobs that it goes back to.
        failed: attempts at the same units that did not succeed.
        stages: the same by stage, the most expensive first.
        is_truncated: the history was too long to be summed whole.
    """

    file: FileName
    version: int | None
    versions: int
    files: int
    made: CostSum
    failed: CostSum
    stages: list[StageCost]
    is_truncated: bool


class InferredCode(Struct, frozen=True):
    """A version of a product whose commit was inferred from the version, not observed.

    Attributes:
        ref: the tag that the version stands for.
        commit: the commit of the tag.
    """

    name: str | None
    version: str | None
    ref: str | None
    commit: str | None


class ImpactedFile(FileName, frozen=True):
    """A file that is touched by what was asked about.

    Attributes:
        job_id: of the job that made it.
        job_url: the path of that job's page.
        task_id, stage: of that job, None where no record says it.
        is_direct: the jobs that were asked about made it themselves.
    """

    job_id: str
    job_url: str
    task_id: str | None
    stage: str | None
    is_direct: bool


class Impact(Struct, frozen=True):
    """What some jobs made, and all that was made from it; counts and a page of the files.

    Attributes:
        jobs: how many jobs pass the filters.
        made: how many files they made.
        touched: how many files these are with all that was made from them, at any depth.
        touched_jobs: how many jobs made those. Of more than 20,000 jobs the last three are None.
        is_truncated: not all was followed.
        inferred: code among what was asked about whose commit was inferred.
        files: touched files; where `made` is None those that the jobs made themselves.
        next: the cursor of the next page, None on the last.
    """

    jobs: int
    made: int | None
    touched_jobs: int | None
    touched: int | None
    is_truncated: bool
    inferred: list[InferredCode]
    files: list[ImpactedFile]
    next: str | None


class RebuildStep(Struct, frozen=True):
    """A job of a plan that makes a lost file again.

    Attributes:
        url: the path of its page.
        state, grade: of the job as it was recorded.
        stage: None where no record says it.
        after: ids of the jobs of the plan that must run before it.
        reads, makes: names of files, in the order of its record.
    """

    job_id: str
    url: str
    state: str
    stage: str | None
    grade: str
    after: list[str]
    reads: list[str]
    makes: list[str]


class RebuildCost(Struct, frozen=True):
    """What the jobs of a plan took the first time; None where no job says it."""

    wall_seconds: float | None
    cpu_seconds: float | None


class RebuildPlan(Struct, frozen=True):
    """The smallest set of jobs that makes a lost file again.

    Attributes:
        is_possible: recorded jobs can make it.
        why: why they cannot, as a sentence; None where they can.
        jobs: in an order in which they can run.
        needs: files that are taken as they are.
        beyond: lost files that no recorded job made.
        circle: ids of jobs that read each other's outputs, so that none can be the first.
    """

    file: FileName
    is_possible: bool
    why: str | None
    jobs: list[RebuildStep]
    needs: list[FileName]
    beyond: list[FileName]
    circle: list[str]
    resources: RebuildCost


class DivergedJob(JobSummary, frozen=True):
    """A job in short, and its recipe; None where its record does not say enough for one."""

    recipe_id: str | None


class Divergence(Struct, frozen=True):
    """Where the histories of two files part.

    Attributes:
        common_jobs: how many jobs made both.
        stage: the earliest stage in which jobs of different recipes made them: empty for jobs that
            name none, None where the histories part nowhere.
        a, b: the first of these jobs for each file, as in a list of jobs, with its `recipe_id`;
            None where only the other file has such a job.
    """

    common_jobs: int
    stage: str | None
    a: DivergedJob | None
    b: DivergedJob | None
