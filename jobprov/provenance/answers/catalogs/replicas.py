"""Answers about where the copies of files are now."""

from msgspec import Struct


class Replica(Struct, frozen=True, kw_only=True):
    """Where a copy of a file is now, as its catalog says.

    Attributes:
        address: a path or URL.
        storage: the storage element, an RSE of Rucio; None where the catalog does not name it.
        medium: `disk` or `tape`; None where the catalog does not tell.
    """

    address: str
    storage: str | None = None
    medium: str | None = None


class LocatedFile(Struct, frozen=True, kw_only=True):
    """A file, and the copies that its catalog knows; none where it does not know the file.

    Attributes:
        size_bytes, checksums: as the catalog has them, where it tells.
    """

    name: str
    namespace: str
    experiment: str
    size_bytes: int | None = None
    checksums: list[str]
    replicas: list[Replica]


class LocatedFiles(Struct, frozen=True):
    """Where files are now, as Rucio or SAM said when it was asked.

    Attributes:
        files: in the order in which they were asked for.
        problem: why not all could be looked up, as a sentence; None where they were.
    """

    files: list[LocatedFile]
    problem: str | None = None
