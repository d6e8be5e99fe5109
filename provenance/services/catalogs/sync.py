"""Brings what a catalog knows of tasks into the database.

That is outputs of their units, their project's processes, and what their jobs claim.

Bounded by time and resumable: each part of 200 units is a transaction, which notes the next one.
Units of which an output is known are not asked about again, unless everything is to be looked at.
What the catalog refuses of one task keeps no other from being compared; what it refuses of some
units, no other units. Nothing here grows with the list of units but the list itself.
"""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, cast

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.answers import plain_metadata
from jobprov.provenance.catalogs.catalog import (
    Catalog,
    CatalogFile,
    Process,
    ProjectCatalog,
    Source,
)
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog
from jobprov.provenance.db.changes.catalogs import note_next_unit, note_sync_end
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.catalogs.catalogs import (
    UnknownOutput,
    bare_inputs,
    count_units_in_catalog,
    declared_tasks,
    jobs_of_task,
    sync_state,
    units_with_outputs,
    unknown_outputs,
    used_units,
)
from jobprov.provenance.db.queries.catalogs.sightings import born_without_namespace
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import (
    BadInputError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.progress import watched
from jobprov.provenance.services.catalogs.rows import (
    write_claimed,
    write_outputs,
    write_processes,
)
from jobprov.provenance.services.catalogs.sightings import read_sighting, record_sightings
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.writing import Writer, Writing

UNITS_AT_ONCE = 200
MOST_INPUT_CALLS = 200
"""Processes whose inputs are asked for in one go, a call each."""
_MOST_REMEMBERED = 10_000
"""Names of inputs that were asked for, since many jobs read the same."""
_MOST_REASONS = 3
_SIGHTINGS_AT_ONCE = 100
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
        problem: what the catalog could not be asked, and why.
        refused: units that the catalog would not be asked about.
        named: inputs recorded by bare name that are known by namespace and name since.
    """

    task_id: str
    units: int = 0
    outputs: int = 0
    processes: int = 0
    is_whole: bool = False
    problem: str | None = None
    refused: int = 0
    named: int = 0


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
    over, or where the catalog cannot be reached; one that fails at the questions about a task is
    asked about the others.

    Raises:
        NotFoundError: no catalog of the experiment is named, or no such task is declared.
    """
    catalog, until = open_catalog(catalogs, experiment), time.monotonic() + seconds
    with database.reading.connect() as connection:
        names = [task_id] if task_id is not None else declared_tasks(connection, experiment)
    done: list[TaskSync] = []
    for name in watched(f"tasks of {experiment} compared", names, lambda: len(names)):
        with database.reading.connect() as connection:
            task = find_task(connection, name, experiment=experiment)
            document = read_task_document(connection, store, task)
        declaration = read_declaration(document) if document else Declaration(experiment=experiment)
        place = _Place(
            database, writer, catalog, task, declaration, lambda: time.monotonic() > until
        )
        outcome, is_away = _sync(place, everything=everything)
        done.append(outcome)
        if place.is_over() or is_away:
            break
    return done


def _sync(place: _Place, *, everything: bool) -> tuple[TaskSync, bool]:
    """Compare a task; return what was done, and whether the catalog is away."""
    progress = TaskSync(place.task.task_id)
    is_away = False
    try:
        progress = _sync_units(place, progress, everything=everything)
        if progress.is_whole:
            progress = _sync_claims(place, progress)
        if progress.is_whole:
            progress = _sync_inputs(place, progress)
        if place.declaration.project and not place.is_over():
            progress = _sync_project(place, progress, place.declaration.project)
    except ForbiddenError as problem:
        progress = progress._replace(problem=str(problem), is_whole=False)
        is_away = True
    except UnreachableError as problem:
        progress = progress._replace(problem=str(problem), is_whole=False)
        is_away = _is_away(place)
    except ProvenanceError as problem:  # it refuses a query, which only the author can mend
        progress = progress._replace(problem=str(problem), is_whole=False)
    place.writer.run(lambda writing: _note_end(writing.connection, place.task.key, progress))
    return progress, is_away


def _is_away(place: _Place) -> bool:
    """Return whether the catalog answers nothing at all, or only what this task asks fails."""
    try:
        place.catalog.probe()
    except ProvenanceError:
        return True
    return False


def _sync_units(place: _Place, progress: TaskSync, *, everything: bool) -> TaskSync:
    """Ask for the children of the units, from where the last pass stopped.

    Without a list, ask for files that name the task.
    """
    units = place.declaration.listed_units()
    if units is None:
        return _sync_files_of_task(place, progress)
    unnameable = [unit for unit in units if not place.catalog.can_hold(_full(place, unit))]
    if unnameable and len(unnameable) == len(units):
        message = _unnameable_message(place, units, unnameable)
        raise BadInputError(message, {"units": ["are no files of the catalog"]})
    with place.database.reading.connect() as connection:
        state = sync_state(connection, place.task.key)
        count = count_units_in_catalog(connection, place.task.key)
    start = state.next_unit if state else 0
    asked_units = _AskedUnits(units)
    # Where the catalog knows most outputs already, few units are left to ask for. What was broken
    # off goes on by names: the source always begins with the same files.
    was_broken_off = state is not None and state.asked_at != state.finished_at
    if start == 0 and not was_broken_off and (everything or 2 * count < len(units)):
        progress = _sync_source(place, progress, asked_units, everything=everything)
    for first in range(start, len(units), UNITS_AT_ONCE):
        if place.is_over():
            return progress
        following = first + UNITS_AT_ONCE
        part = asked_units.without(first, following)
        if not everything:
            part = _lacking_outputs(place, part)
        if following >= len(units):
            following = 0  # the next pass begins anew
        progress = _sync_part(place, progress, part, following=following)
    if unnameable and not progress.problem:
        progress = progress._replace(problem=_unnameable_message(place, units, unnameable))
    return progress._replace(is_whole=not progress.refused)


class _AskedUnits:
    """Which units of a list were asked about: a byte for each."""

    def __init__(self, units: Sequence[str]) -> None:
        self._units = units
        self._is_asked = bytearray(len(units))

    def add(self, unit: str) -> bool:
        """Note a unit; return whether the list has it, in its order among the sorted ones."""
        place = bisect_left(self._units, unit)
        if place == len(self._units) or self._units[place] != unit:
            return False
        self._is_asked[place] = True
        return True

    def without(self, start: int, end: int) -> list[str]:
        """Return the units from one place in the list to another that were not asked about."""
        places = range(start, min(end, len(self._units)))
        return [self._units[place] for place in places if not self._is_asked[place]]


def _sync_source(
    place: _Place, progress: TaskSync, asked_units: _AskedUnits, *, everything: bool
) -> TaskSync:
    """Ask for the children of what the list was made from, as far as it still selects the units.

    The units that it does not give are asked about by their names afterwards.
    """
    source = place.declaration.units_from
    if source is None:
        return progress
    query = place.catalog.source_query(
        Source(source.definition, source.snapshot_id, source.dataset, source.query)
    )
    try:
        for names, children in place.catalog.read_children_of(query, place.outputs):
            if place.is_over():
                break
            units = []
            for name in names:
                namespace, unit = place.catalog.split(name)
                if namespace == place.namespace and asked_units.add(unit):
                    units.append(unit)
            if not everything:
                units = _lacking_outputs(place, units)
            progress = _write_found(place, progress, units, children)
    except UnreachableError:
        if _is_away(place):
            raise
    except (BadInputError, LimitError):
        pass  # by their names it may work, or the reason is told
    return progress


def _write_found(
    place: _Place, progress: TaskSync, units: Sequence[str], children: Sequence[CatalogFile]
) -> TaskSync:
    """Write the children of some units, among those of other files."""
    full_names = {_full(place, unit) for unit in units}
    theirs = [child for child in children if full_names & {*child.parents}]
    if units:
        place.writer.run(partial(_write_part, place=place, units=units, files=theirs, following=0))
        _see_renamed(place, theirs)
    return progress._replace(
        units=progress.units + len(units), outputs=progress.outputs + len(theirs)
    )


def _sync_part(
    place: _Place, progress: TaskSync, units: Sequence[str], *, following: int
) -> TaskSync:
    """Ask for the children of some units and write them; note where the next part begins."""
    askable = [unit for unit in units if place.catalog.can_hold(_full(place, unit))]
    children: list[CatalogFile] = []
    if not units and following:
        return progress
    if askable:
        try:
            names = [_full(place, unit) for unit in askable]
            children = place.catalog.read_children(names, place.outputs)
        except BadInputError as refusal:
            refused = f"{counted(len(askable), 'unit')} from {askable[0]!r} on"
            problem = progress.problem or f"{refused} could not be asked about: {refusal}"
            progress = progress._replace(problem=problem, refused=progress.refused + len(askable))
            askable = []
    write = partial(_write_part, place=place, units=askable, files=children, following=following)
    place.writer.run(write)
    _see_renamed(place, children)
    return progress._replace(
        units=progress.units + len(askable), outputs=progress.outputs + len(children)
    )


def _sync_files_of_task(place: _Place, progress: TaskSync) -> TaskSync:
    """Ask for the files whose metadata name the task, where it has no list of units."""
    names = place.catalog.list_names(place.catalog.task_query(place.task.task_id))
    files = place.catalog.read_files(names)
    write = partial(
        write_outputs, catalog=place.catalog, task=place.task, units={"": ""}, files=files
    )
    place.writer.run(write)
    _see_renamed(place, files)
    return progress._replace(outputs=progress.outputs + len(files), is_whole=True)


def _lacking_outputs(place: _Place, units: Sequence[str]) -> list[str]:
    """Return the units for which fewer outputs than they need were found in the catalog yet."""
    needed = outputs_needed(place.declaration)
    with place.database.reading.connect() as connection:
        settled = units_with_outputs(connection, place.task.key, units, needed=needed)
    return [unit for unit in units if unit not in settled]


def _unnameable_message(place: _Place, units: Sequence[str], unnameable: Sequence[str]) -> str:
    message = (
        f"{counted(len(unnameable), 'unit')} of {number(len(units))} can be no file of the "
        "catalog, which was not asked about them: its files are namespace:name in letters, digits "
        f"and _ . / -, the first of these is {_full(place, unnameable[0])!r}."
    )
    if not place.namespace and ":" not in unnameable[0]:
        message += " The task names no namespace: declare it again with `namespace`."
    return message


def _sync_claims(place: _Place, progress: TaskSync) -> TaskSync:
    """Ask for files that jobs say they wrote and that, to the catalog, are no child of a unit."""
    is_listed = place.declaration.listed_units() is not None
    after = 0
    while True:
        if place.is_over():
            return progress._replace(is_whole=False)
        with place.database.reading.connect() as connection:
            claims = unknown_outputs(
                connection,
                place.task.key,
                only_of_units=is_listed,
                after=after,
                limit=UNITS_AT_ONCE,
            )
        if not claims:
            return progress
        after = claims[-1].claim
        files = _claimed_files(place, claims)
        names = [claim.name for claim in claims]
        place.writer.run(
            partial(write_claimed, catalog=place.catalog, task=place.task, names=names, files=files)
        )
        outputs = [file for file in files if not file.is_retired]
        _see_renamed(place, outputs)
        progress = progress._replace(outputs=progress.outputs + len(outputs))


def _claimed_files(place: _Place, claims: Sequence[UnknownOutput]) -> list[CatalogFile]:
    """Return the files of the catalog that these claims may be about, retired ones too.

    A job does not always know the namespace that its output will be declared in, which need not be
    that of its inputs: then any file of its name is asked for. One in another namespace has to
    agree in something else.
    """
    catalog = place.catalog
    full_names = [catalog.join(claim.namespace, claim.name) for claim in claims if claim.namespace]
    files = catalog.read_files(full_names)

    open_claims = {claim.name: claim for claim in claims if not claim.namespace}
    for file in catalog.find_files(open_claims):
        namespace, name = catalog.split(file.name)
        claim = open_claims.get(name)
        if namespace == place.namespace or (claim and _agrees(place, claim, file)):
            files.append(file)
    return files


def _agrees(place: _Place, claim: UnknownOutput, file: CatalogFile) -> bool:
    """Return whether a file of a claim's name has its size, or its metadata name job or task."""
    is_as_large = claim.size_bytes is not None and claim.size_bytes == file.size_bytes
    return is_as_large or claim.job_id == file.job_id or place.task.task_id == file.task_id


def _sync_inputs(place: _Place, progress: TaskSync) -> TaskSync:
    """Give inputs that jobs recorded by bare name the namespace that the catalog has them in.

    Where it has a name in several, nothing is guessed: it stays bare, and is told.
    """
    if place.catalog.kind == "sam":  # it has no namespaces
        return progress
    with place.database.reading.connect() as connection:
        jobs = jobs_of_task(connection, place.task.key)
    asked_names: set[str] = set()
    bare_count, reasons = 0, list[str]()
    for part in chunks(jobs, UNITS_AT_ONCE):
        if place.is_over():
            return progress._replace(is_whole=False)
        names = _bare_inputs(place, part) - asked_names
        if len(asked_names) > _MOST_REMEMBERED:
            asked_names.clear()
        asked_names |= names
        namespaces = _name_inputs(place, names)
        still_bare = _bare_inputs(place, part) & namespaces.keys()
        bare_count += len(still_bare)
        for name in sorted(still_bare)[: _MOST_REASONS - len(reasons)]:
            reasons.append(_why_bare(name, namespaces[name]))
        named = len(namespaces) - len(still_bare)
        progress = progress._replace(named=progress.named + named)
    if reasons and not progress.problem:
        message = f"{counted(bare_count, 'input')} recorded without a namespace got none: "
        message += "; ".join(reasons)
        if bare_count > len(reasons):
            message += f"; and {number(bare_count - len(reasons))} more"
        progress = progress._replace(problem=f"{message}.")
    return progress


def _bare_inputs(place: _Place, jobs: Sequence[int]) -> set[str]:
    with place.database.reading.connect() as connection:
        return bare_inputs(connection, jobs, experiment=place.task.experiment_key)


def _name_inputs(place: _Place, names: AbstractSet[str]) -> dict[str, list[str]]:
    """Note where the catalog has these names, if in one namespace; return its namespaces of each.

    Names that it does not know are left out.
    """
    files = place.catalog.find_files(sorted(names)) if names else []
    files_of_name: dict[str, list[CatalogFile]] = defaultdict(list)
    for file in files:
        if not file.is_retired:
            _, name = place.catalog.split(file.name)
            files_of_name[name].append(file)
    sightings: list[Mapping[str, object]] = []
    namespaces: dict[str, list[str]] = {}
    for name, same_name in files_of_name.items():
        namespaces[name] = sorted({place.catalog.split(file.name)[0] for file in same_name})
        if len(namespaces[name]) == 1:
            sightings.append({**_sighting(place, same_name[0]), "is_only_namespace": True})
    _see(place, sightings)
    return namespaces


def _why_bare(name: str, namespaces: Sequence[str]) -> str:
    if len(namespaces) == 1:
        return f"{namespaces[0]}:{name} in the catalog differs in size or checksum"
    return f"the catalog has {name} in {', '.join(namespaces)}"


def _sync_project(place: _Place, progress: TaskSync, project: str) -> TaskSync:
    """Ask for the processes of the task's project, and for the inputs of some.

    Those that did not complete come first.
    """
    if place.catalog.kind != "sam":
        return progress
    projects = cast("ProjectCatalog", place.catalog)
    try:
        processes = projects.read_project(project).processes
    except NotFoundError as problem:
        # Not started yet, most likely: outputs were compared all the same
        return progress._replace(problem=str(problem))
    with place.database.reading.connect() as connection:
        uses = used_units(connection, place.task.key)
    known = {use.process_id for use in uses}
    # One that went on may have got more since
    settled = {use.process_id for use in uses if use.status in _OVER}
    unsettled = [process for process in processes if process.process_id not in settled]
    inputs = _read_inputs(place, projects, _most_urgent(unsettled, known))
    place.writer.run(
        lambda writing: write_processes(writing.connection, place.task.key, processes, inputs)
    )
    known |= inputs.keys()
    unfinished = {process.process_id for process in unsettled if process.status not in _DONE}
    is_whole = progress.is_whole and unfinished <= known
    return progress._replace(processes=len(processes), is_whole=is_whole)


def _most_urgent(processes: Sequence[Process], known: AbstractSet[int]) -> list[Process]:
    """Return as many processes as are asked about in one go.

    Those that were never asked about come first, and of these the ones that did not complete.
    """

    def urgency(process: Process) -> tuple[bool, bool]:
        return process.process_id in known, process.status in _DONE

    return sorted(processes, key=urgency)[:MOST_INPUT_CALLS]


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
    sightings: list[Mapping[str, object]] = []
    for part in chunks(files, UNITS_AT_ONCE):
        names = [place.catalog.split(file.name) for file in part]
        names_in_namespaces = [name for namespace, name in names if namespace]
        with place.database.reading.connect() as connection:
            born_bare = born_without_namespace(connection, place.task.key, names_in_namespaces)
        for file, (namespace, name) in zip(part, names, strict=True):
            names_origin = file.job_id or file.task_id
            was_born_bare = namespace and name in born_bare and names_origin
            if _has_other_name(file, name) or was_born_bare:
                sightings.append(_sighting(place, file))
    _see(place, sightings)


def _see(place: _Place, sightings: Sequence[Mapping[str, object]]) -> None:
    """Record sightings, a few at a time."""
    experiment = place.declaration.experiment
    readable = [sighting for sighting in sightings if _is_readable(sighting)]
    for some in chunks(readable, _SIGHTINGS_AT_ONCE):
        record = partial(record_sightings, experiment=experiment, documents=some)
        place.writer.run(record, submitter="catalog sync")


def _has_other_name(file: CatalogFile, name: str) -> bool:
    """Return whether a job made a file under another name than it has in the catalog."""
    return bool(file.job_id and file.born_as and file.born_as != name)


def _is_readable(sighting: Mapping[str, object]) -> bool:
    """Return whether a sighting can be taken; else its metadata are nobody's sidecar."""
    try:
        read_sighting(sighting)
    except BadInputError:
        return False
    return True


def _sighting(place: _Place, file: CatalogFile) -> dict[str, object]:
    namespace, name = place.catalog.split(file.name)
    keys_of_hook = {
        "prov.job_id": file.job_id,
        "prov.output": file.born_as,
        "prov.task_id": file.task_id,
    }
    sighting: dict[str, object] = {"experiment": place.declaration.experiment, "name": name}
    if namespace:
        sighting["namespace"] = namespace
    if file.size_bytes is not None:
        sighting["size_bytes"] = file.size_bytes
    if file.checksums:
        sighting["checksums"] = list(file.checksums)
    metadata = {key: value for key, value in keys_of_hook.items() if value is not None}
    return {**sighting, "metadata": plain_metadata(file.metadata) | metadata}


def _full(place: _Place, unit: str) -> str:
    """Return what the catalog calls a unit."""
    return place.catalog.join(*place.declaration.place_of(unit))


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


def _note_end(connection: Connection, task: int, progress: TaskSync) -> None:
    now = datetime.now(UTC)
    finished_at = now if progress.is_whole else None
    note_sync_end(connection, task, asked_at=now, problem=progress.problem, finished_at=finished_at)
