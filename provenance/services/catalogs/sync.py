"""Brings what a catalog knows of tasks into the database.

That is outputs of their units, their project's processes, and what their jobs claim.

Bounded by time and resumable: each part of 200 units is a transaction, which notes the next one.
Units of which an output is known are not asked about again, unless everything is to be looked at.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog, CatalogFile, Process, ProjectCatalog
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog
from jobprov.provenance.db.changes.catalogs import note_next_unit, note_sync_end
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.catalogs.catalogs import (
    CatalogedOutput,
    cataloged_outputs,
    claimed_outputs,
    declared_tasks,
    sync_state,
    units_in_catalog,
    used_units,
)
from jobprov.provenance.db.queries.catalogs.sightings import born_without_namespace
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import (
    BadInputError,
    ForbiddenError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.services.catalogs.rows import write_outputs, write_processes
from jobprov.provenance.services.catalogs.sightings import read_sighting, record_sighting
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.writing import Writer, Writing

UNITS_AT_ONCE = 200
MOST_INPUT_CALLS = 200
"""Processes whose inputs are asked for in one go, a call each."""
_SIGHTINGS_AT_ONCE = 20
"""In one transaction: some 0.1 s, so that no record waits longer behind it."""

_DONE = ("completed", "finished")
_OVER = (*_DONE, "bad")
"""Statuses of processes that are given no more files."""


class TaskSync(NamedTuple):
    """What comparing a task with its catalog did.

    Attributes:
        units: asked about.
        outputs: found.
        processes: of its project.
        is_whole: whether nothing is left to ask; else it goes on from there next time.
        problem: why it ended early, where the catalog is to blame.
    """

    task_id: str
    units: int = 0
    outputs: int = 0
    processes: int = 0
    is_whole: bool = False
    problem: str | None = None


class _Place(NamedTuple):
    """What a sync works with."""

    database: Database
    writer: Writer
    catalog: Catalog
    task: FoundTask
    declaration: Declaration
    is_over: Callable[[], bool]

    @property
    def outputs(self) -> Mapping[str, str]:
        """Metadata that outputs of the task have."""
        return self.declaration.output_metadata or {}

    @property
    def namespace(self) -> str:
        """Where names without a namespace are meant to be."""
        return self.declaration.namespace or ""


def sync_experiment(
    database: Database,
    writer: Writer,
    store: Store,
    catalogs: Catalogs,
    experiment: str,
    *,
    seconds: float,
    everything: bool = False,
    task_id: str | None = None,
) -> list[TaskSync]:
    """Compare the declared tasks of an experiment with its catalog, or one of them.

    Return what was done, a task each.

    Those come first that were not asked about for the longest time. It ends when the seconds are
    over, or where the catalog cannot be reached; one that refuses a query is asked about the other
    tasks.

    Raises:
        NotFoundError: no catalog of the experiment is named, or no such task is declared.
    """
    catalog, until = open_catalog(catalogs, experiment), time.monotonic() + seconds
    with database.reading.connect() as connection:
        names = [task_id] if task_id is not None else declared_tasks(connection, experiment)
    done: list[TaskSync] = []
    for name in names:
        with database.reading.connect() as connection:
            task = find_task(connection, name, experiment=experiment)
            document = read_task_document(connection, store, task)
        declaration = read_declaration(document) if document else Declaration(experiment=experiment)
        place = _Place(
            database, writer, catalog, task, declaration, lambda: time.monotonic() > until
        )
        found, is_away = _sync(place, everything=everything)
        done.append(found)
        if place.is_over() or is_away:
            break
    return done


def _sync(place: _Place, *, everything: bool) -> tuple[TaskSync, bool]:
    """Compare a task; return what was done, and whether the catalog is away."""
    found, is_away = TaskSync(place.task.task_id), False
    try:
        found = _sync_units(place, found, everything=everything)
        if found.is_whole:
            found = _sync_claims(place, found)
        if place.declaration.project and not place.is_over():
            found = _sync_project(place, found, place.declaration.project)
    except ProvenanceError as problem:
        # Not reached, or it refuses a query, which only the declaration's author can mend
        found = found._replace(problem=str(problem), is_whole=False)
        is_away = isinstance(problem, (UnreachableError, ForbiddenError))
    place.writer.run(lambda writing: _note_end(writing.connection, place.task.key, found))
    return found, is_away


def _sync_units(place: _Place, found: TaskSync, *, everything: bool) -> TaskSync:
    """Ask for the children of the units, from where the last pass stopped.

    Without a list, ask for files that name the task.
    """
    units = place.declaration.listed_units()
    if units is None:
        names = place.catalog.list_names(place.catalog.task_query(place.task.task_id))
        files = place.catalog.read_files(names)
        place.writer.run(
            partial(
                write_outputs, catalog=place.catalog, task=place.task, units={"": ""}, files=files
            )
        )
        _see_renamed(place, files)
        return found._replace(outputs=found.outputs + len(files), is_whole=True)
    with place.database.reading.connect() as connection:
        state = sync_state(connection, place.task.key)
        settled = (
            set() if everything else units_in_catalog(connection, [place.task.key])[place.task.key]
        )
    start = state.next_unit if state else 0
    for at in range(start, len(units), UNITS_AT_ONCE):
        if place.is_over():
            return found
        part = [unit for unit in units[at : at + UNITS_AT_ONCE] if unit not in settled]
        children = (
            place.catalog.read_children([_full(place, unit) for unit in part], place.outputs)
            if part
            else []
        )
        following = at + UNITS_AT_ONCE if at + UNITS_AT_ONCE < len(units) else 0
        write = partial(_write_part, place=place, units=part, files=children, following=following)
        place.writer.run(write)
        _see_renamed(place, children)
        found = found._replace(units=found.units + len(part), outputs=found.outputs + len(children))
    return found._replace(is_whole=True)


def _sync_claims(place: _Place, found: TaskSync) -> TaskSync:
    """Ask for files that jobs say they wrote and that, to the catalog, are no child of a unit."""
    is_listed = place.declaration.listed_units() is not None
    names = _lacking_names(place, only_of_units=is_listed)
    files: list[CatalogFile] = []
    for part in chunks(names, UNITS_AT_ONCE):
        if place.is_over():
            return found._replace(is_whole=False)
        files += [file for file in place.catalog.read_files(part) if not file.is_retired]
    replaced = {"": ""} if is_listed else {}
    place.writer.run(
        partial(write_outputs, catalog=place.catalog, task=place.task, units=replaced, files=files)
    )
    return found._replace(outputs=found.outputs + len(files))


def _lacking_names(place: _Place, *, only_of_units: bool) -> list[str]:
    """Return what the catalog would call the claimed outputs that it was not seen to know.

    Args:
        place: the task and its catalog.
        only_of_units: whether only children of units count as known.
    """
    with place.database.reading.connect() as connection:
        claims = claimed_outputs(connection, place.task.key)
        cataloged = cataloged_outputs(connection, place.task.key)
    outputs_by_name: dict[str, list[CatalogedOutput]] = defaultdict(list)
    for output in cataloged:
        if output.unit or not only_of_units:
            outputs_by_name[output.name].append(output)
    # A file that was renamed is known if the catalog knows any of its names
    known_origins = set()
    for claim in claims:
        if any(claim.may_be(output) for output in outputs_by_name.get(claim.name, ())):
            known_origins.add(claim.origin)
    names: dict[str, None] = {}
    for claim in claims:
        if claim.is_done and claim.origin not in known_origins:
            names[place.catalog.join(claim.namespace or place.namespace, claim.name)] = None
    return list(names)


def _sync_project(place: _Place, found: TaskSync, project: str) -> TaskSync:
    """Ask for the processes of the task's project, and for the inputs of some.

    Those that did not complete come first.
    """
    if place.catalog.kind != "sam":
        return found
    projects = cast("ProjectCatalog", place.catalog)
    try:
        processes = projects.read_project(project).processes
    except NotFoundError as problem:
        # Not started yet, most likely: outputs were compared all the same
        return found._replace(problem=str(problem))
    with place.database.reading.connect() as connection:
        uses = used_units(connection, place.task.key)
    asked = {use.process_id for use in uses}
    # One that went on may have got more since
    settled = {use.process_id for use in uses if use.status in _OVER}
    wanted = [process for process in processes if process.process_id not in settled]
    inputs = _read_inputs(place, projects, _most_urgent(wanted, asked))
    place.writer.run(
        lambda writing: write_processes(writing.connection, place.task.key, processes, inputs)
    )
    is_left = any(
        process.status not in _DONE and process.process_id not in {*inputs, *asked}
        for process in wanted
    )
    is_whole = found.is_whole and not is_left
    return found._replace(processes=len(processes), is_whole=is_whole)


def _most_urgent(wanted: Sequence[Process], asked: AbstractSet[int]) -> list[Process]:
    """Return as many processes as are asked about in one go.

    Those that were never asked about come first, and of these the ones that did not complete.
    """
    ordered = sorted(
        wanted, key=lambda process: (process.process_id in asked, process.status in _DONE)
    )
    return ordered[:MOST_INPUT_CALLS]


def _read_inputs(
    place: _Place, projects: ProjectCatalog, processes: Sequence[Process]
) -> dict[int, list[str]]:
    """Return the inputs by process, of as many as there is time for."""
    inputs: dict[int, list[str]] = {}
    for process in processes:
        if place.is_over():
            break
        inputs[process.process_id] = projects.read_inputs(process.process_id)
    return inputs


def _see_renamed(place: _Place, files: Sequence[CatalogFile]) -> None:
    """Join files to the jobs that made them under another name, as `POST /files` does.

    They were renamed on the way, or their jobs did not know their namespace.
    """
    documents: list[dict[str, Any]] = []
    for some_files in chunks(files, UNITS_AT_ONCE):
        names = [place.catalog.split(file.name) for file in some_files]
        bare_names = [name for namespace, name in names if namespace]
        with place.database.reading.connect() as connection:
            born_bare = born_without_namespace(connection, place.task.key, bare_names)
        for file, (namespace, name) in zip(some_files, names, strict=True):
            is_renamed = file.job_id and file.born_as and file.born_as != name
            is_bare = namespace and name in born_bare and (file.job_id or file.task_id)
            if is_renamed or is_bare:
                documents.append(_sighting(place, file))
    for part in chunks(documents, _SIGHTINGS_AT_ONCE):
        place.writer.run(partial(_record_sightings, documents=part), submitter="catalog sync")


def _record_sightings(writing: Writing, *, documents: Sequence[dict[str, Any]]) -> None:
    for document in documents:
        try:
            read_sighting(document)
        except BadInputError:
            continue  # its metadata are nobody's sidecar
        record_sighting(writing, document)


def _sighting(place: _Place, file: CatalogFile) -> dict[str, Any]:
    namespace, name = place.catalog.split(file.name)
    told = {"prov.job_id": file.job_id, "prov.output": file.born_as, "prov.task_id": file.task_id}
    return {
        "experiment": place.declaration.experiment,
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        **({"size_bytes": file.size_bytes} if file.size_bytes is not None else {}),
        **({"checksums": list(file.checksums)} if file.checksums else {}),
        "metadata": {key: value for key, value in told.items() if value is not None},
    }


def _full(place: _Place, unit: str) -> str:
    """Return what the catalog calls a unit.

    A list that was not made from the catalog may name units with their namespaces.
    """
    is_full = ":" in unit and place.declaration.units_from is None
    return unit if is_full else place.catalog.join(place.namespace, unit)


def _write_part(
    writing: Writing,
    *,
    place: _Place,
    units: Sequence[str],
    files: Sequence[CatalogFile],
    following: int,
) -> None:
    called = {unit: _full(place, unit) for unit in units}
    write_outputs(writing, place.catalog, place.task, units=called, files=files)
    note_next_unit(writing.connection, place.task.key, following, asked_at=datetime.now(UTC))


def _note_end(connection: Connection, task: int, found: TaskSync) -> None:
    now = datetime.now(UTC)
    finished_at = now if found.is_whole else None
    note_sync_end(connection, task, asked_at=now, problem=found.problem, finished_at=finished_at)
