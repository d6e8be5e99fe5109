"""What the service asks any file catalog: names by a query, files and parents, project processes.

The catalogs only read. Names are a catalog's own: bare in SAM, `namespace:name` in MetaCat.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from jobprov.provenance.answers.catalogs.replicas import Replica
from jobprov.provenance.selections.catalog_source import CatalogSource

MOST_NAMES = 1_000_000
"""Names that one query may give; what selects more is no list of inputs."""


class CatalogFile(NamedTuple):
    """A file as a catalog knows it.

    Attributes:
        name: as the catalog says it: `namespace:name` in MetaCat.
        checksums: as `algorithm:value`, sorted.
        parents: names of its parents, as far as they are known.
        process_id: of the SAM process that wrote it.
        task_id: of the task, as its metadata say; None where that was lost on the way.
        job_id: of the job, by the hook's sidecar.
        born_as: the name that the job gave it, by the same.
        is_retired: whether the catalog gave it up, or calls its content bad.
        metadata: as the catalog has them, of whatever keys and types.
    """

    name: str
    size_bytes: int | None = None
    checksums: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    process_id: int | None = None
    task_id: str | None = None
    job_id: str | None = None
    born_as: str | None = None
    is_retired: bool = False
    metadata: Mapping[str, object] = MappingProxyType({})


class HeldFile(NamedTuple):
    """A file as Rucio knows it, with its replicas, those on disk first."""

    size_bytes: int | None
    checksums: tuple[str, ...]
    replicas: tuple[Replica, ...]


class Process(NamedTuple):
    """A consumer process of a SAM project: one batch job, where its description says so.

    Attributes:
        description: JOBSUBJOBID, as jobs of Fermilab set it.
        status: `completed`, `bad`, …; as SAM says it.
    """

    process_id: int
    description: str | None
    node: str | None
    status: str | None


class ProjectSummary(NamedTuple):
    """A SAM project: its definition, its files by status, its processes."""

    definition: str | None
    file_counts: Mapping[str, int]
    processes: tuple[Process, ...]


class Catalog(Protocol):
    """A file catalog.

    Every call raises NotFoundError, BadInputError, ForbiddenError or UnreachableError.
    """

    kind: str

    def split(self, name: str) -> tuple[str, str]:
        """Return a name of the catalog as (namespace, bare name); '' for no namespace.

        A bare name may hold colons.
        """

    def join(self, namespace: str, name: str) -> str:
        """Return the catalog's name of a file."""

    def can_hold(self, name: str) -> bool:
        """Return whether the catalog can have a file of this name; others are not asked for."""

    def probe(self) -> None:
        """Ask for next to nothing, to learn whether the catalog answers at all.

        Raises:
            UnreachableError, ForbiddenError: it does not.
        """

    def list_names(self, query: str) -> Iterator[str]:
        """Yield the names that a query in the catalog's language selects.

        Raises:
            LimitError: they are more than a million.
        """

    def source_query(self, source: CatalogSource) -> str:
        """Return a source as a query; refuse those that only another catalog has."""

    def task_query(self, task_id: str) -> str:
        """Return the query for the files whose metadata name a task."""

    def unprocessed_query(self, source: str, outputs: Mapping[str, str]) -> str:
        """Return the query for the files of another query that have no child like this."""

    def read_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return these files; those that the catalog does not know are left out."""

    def find_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return the files with these bare names, in whichever namespace."""

    def read_children(self, names: Sequence[str], outputs: Mapping[str, str]) -> list[CatalogFile]:
        """Return the children of these files with these metadata, without retired ones.

        `parents` are from `names`.
        """

    def read_children_of_retired(self, names: Sequence[str]) -> list[CatalogFile]:
        """Return the children of these files, which are retired, without retired children.

        `parents` are from `names`.
        """

    def read_children_of(
        self, source: str, outputs: Mapping[str, str]
    ) -> Iterator[tuple[list[str], list[CatalogFile]]]:
        """Yield the files that a query selects, by parts, and the children of each part.

        The children are those that `read_children` gives. It yields nothing where the catalog is no
        faster at this than at lists of names.
        """

    def locate(self, name: str) -> list[str]:
        """Return where a file is, as far as the catalog knows: paths and addresses.

        None where it does not know the file, or keeps no places.
        """

    def read_metadata(self, name: str) -> dict[str, object]:
        """Return a file's metadata as the catalog has them, flat.

        Raises:
            NotFoundError: it does not know the file.
        """


class ProjectCatalog(Catalog, Protocol):
    """A catalog that hands files out to jobs, as SAM does."""

    def read_project(self, project: str) -> ProjectSummary:
        """Return a project with its processes."""

    def read_inputs(self, process_id: int) -> list[str]:
        """Return the names that a process was given."""
