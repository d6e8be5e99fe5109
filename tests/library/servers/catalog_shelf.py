"""What the catalog servers of the tests hold: one set of files, whichever catalog speaks of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ShelfFile:
    """A file; `metadata` has a catalog's own names."""

    name: str
    size_bytes: int = 1
    checksums: dict[str, str] = field(default_factory=dict)
    parents: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    process_id: int | None = None
    is_retired: bool = False
    number: int = 0


@dataclass
class ShelfProcess:
    """A process of a project: what it was given, with the status of each file."""

    number: int
    description: str
    node: str
    status: str
    files: dict[str, str]


class Shelf:
    """Files, lists of names, and projects."""

    def __init__(self) -> None:
        self.files: dict[str, ShelfFile] = {}
        self.lists: dict[str, list[str]] = {}
        self.snapshots: dict[int, list[str]] = {}
        self.projects: dict[str, tuple[int, list[ShelfProcess]]] = {}

    def add(self, name: str, **more: Any) -> ShelfFile:
        """Put a file on the shelf."""
        file = ShelfFile(name, **more, number=len(self.files) + 1)
        self.files[name] = file
        return file

    def children(self, names: set[str]) -> set[str]:
        """Return the files that one of these is a parent of."""
        return {file.name for file in self.there() if names & {*file.parents}}

    def parents(self, names: set[str]) -> set[str]:
        """Return the files that are parents of one of these."""
        return {parent for name in names for parent in self.files[name].parents}

    def there(self) -> list[ShelfFile]:
        """Return the files that are not retired."""
        return [file for file in self.files.values() if not file.is_retired]

    def processes(self) -> list[ShelfProcess]:
        """Return the processes of all projects."""
        return [process for _, processes in self.projects.values() for process in processes]
