"""A task that is compared with its catalog, and what that did."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.tasks.declarations import Declaration, declaration_or_empty
from jobprov.provenance.services.writing import Writer

UNITS_AT_ONCE = 200


class TaskSync(NamedTuple):
    """What comparing a task with its catalog did.

    Attributes:
        units: asked about.
        outputs: found.
        processes: of its project.
        is_whole: whether nothing is left to ask; else it goes on from there next time.
        problem: what the catalog could not be asked, and why.
        refused: units that the catalog would not be asked about.
        named: inputs recorded by bare name that are known by namespace and name since.
        retired: outputs found to be gone, which were there before.
        unarrived: outputs that never arrived and that were waited for until now.
    """

    task_id: str
    units: int = 0
    outputs: int = 0
    processes: int = 0
    is_whole: bool = False
    problem: str | None = None
    refused: int = 0
    named: int = 0
    retired: int = 0
    unarrived: int = 0


class TaskInCatalog(NamedTuple):
    """A declared task, the catalog that it is compared with, and what else that takes.

    `arrive_within` is how long a file may take into the catalog.
    """

    database: Database
    writer: Writer
    store: Store
    catalog: Catalog
    task: FoundTask
    declaration: Declaration
    is_over: Callable[[], bool]
    began_at: datetime
    arrive_within: timedelta

    @property
    def outputs(self) -> Mapping[str, str]:
        """Metadata that outputs of the task have."""
        return self.declaration.output_metadata or {}

    @property
    def namespace(self) -> str:
        """Where names without a namespace are meant to be."""
        return self.declaration.namespace or ""

    def full_name(self, unit: str) -> str:
        """Return what the catalog calls a unit."""
        return self.catalog.join(*self.declaration.place_of(unit))

    def beside(self, task: FoundTask) -> "TaskInCatalog":
        """Return another task of the experiment beside the same catalog."""
        if task.key == self.task.key:
            return self
        with self.database.reading.connect() as connection:
            declaration = declaration_or_empty(connection, self.store, task)
        return self._replace(task=task, declaration=declaration)

    def is_away(self) -> bool:
        """Return whether the catalog answers nothing at all, or only what this task asks fails."""
        try:
            self.catalog.probe()
        except ProvenanceError:
            return True
        return False
