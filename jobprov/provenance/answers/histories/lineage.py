"""The lineage of a file: files and jobs, what joins them, and what is left out."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType

from jobprov.provenance.answers.names import FileName
from jobprov.provenance.answers.notebooks import dataframe, directed_graph

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


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
        contents_differ: no recorded job made it, and jobs read different contents under its name:
            what came of all of them is joined here.
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
    contents_differ: bool = False


class LineageNode(Struct, frozen=True, kw_only=True):
    """A file or a job of a lineage graph; a node has the members of its `kind`.

    Attributes:
        name, namespace, experiment, role, size_bytes, data_tier, is_placeholder, version, writer,
            contents_differ: of a file, see `LineageFile`.
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
    contents_differ: bool | UnsetType = UNSET


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

    def to_networkx(self) -> "nx.MultiDiGraph[str]":
        """Return the graph with the keys of its nodes, and all else as their attributes.

        Arrows go from a file to the jobs that read it, and from a job to the files that it made.

        Raises:
            NotFoundError: networkx is not installed.
        """
        return directed_graph(self.nodes, self.edges)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the files and jobs as a table, one row each, as `kind` says.

        Raises:
            NotFoundError: pandas is not installed.
        """
        return dataframe(self.nodes)


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

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the files as a table, one row each.

        Raises:
            NotFoundError: pandas is not installed.
        """
        return dataframe(self.files)
