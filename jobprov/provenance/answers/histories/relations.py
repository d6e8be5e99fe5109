"""How two files are related: paths between them, and their common ancestors."""

from typing import Literal

from msgspec import Struct

from jobprov.provenance.answers.histories.lineage import LineageFile, LineageNode
from jobprov.provenance.answers.names import FileVersion


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
