"""Outputs of a task's units, as its catalog knows them: children of the units, in parts of 200.

Each part is a transaction, which notes the next one. Units of which an output is known are not asked
about again, unless everything is to be looked at; what the catalog refuses of some units keeps no
others from being asked about. Nothing here grows with the list of units but the list itself.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.db.changes.catalogs import note_next_unit
from jobprov.provenance.db.queries.catalogs.catalogs import (
    count_units_in_catalog,
    sync_state,
    units_with_outputs,
)
from jobprov.provenance.errors import BadInputError, LimitError, UnreachableError
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.catalogs.rows import Unsettled, write_outputs
from jobprov.provenance.services.catalogs.syncing.retired import settle
from jobprov.provenance.services.catalogs.syncing.sightings import see_renamed
from jobprov.provenance.services.catalogs.syncing.task import (
    UNITS_AT_ONCE,
    TaskInCatalog,
    TaskSync,
)
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.writing import Writing


def sync_units(compared: TaskInCatalog, progress: TaskSync, *, everything: bool) -> TaskSync:
    """Ask for the children of the units, from where the last pass stopped.

    Without a list, ask for files that name the task.
    """
    units = compared.declaration.listed_units()
    if units is None:
        return _sync_files_of_task(compared, progress)
    unnameable = _unnameable_problem(compared, units)
    asked_units = _AskedUnits(units)
    last_pass = _LastPass.of(compared)
    # Where the catalog knows most outputs already, few units are left to ask for. What was broken
    # off goes on by names: the source always begins with the same files.
    if last_pass.is_over and (everything or 2 * last_pass.known_units < len(units)):
        progress = _sync_source(compared, progress, asked_units, everything=everything)
    for first in range(last_pass.next_unit, len(units), UNITS_AT_ONCE):
        if compared.is_over():
            return progress
        following = first + UNITS_AT_ONCE
        part = asked_units.without(first, following)
        if not everything:
            part = _lacking_outputs(compared, part)
        if following >= len(units):
            following = 0  # the next pass begins anew
        progress = _sync_part(compared, progress, part, following=following)
    problem = progress.problem or unnameable
    return progress._replace(problem=problem, is_whole=not progress.refused)


class _LastPass(NamedTuple):
    """How far the last pass came.

    Attributes:
        next_unit: the place in the list where it stopped.
        is_over: it came to its end.
        known_units: of how many units the catalog has outputs.
    """

    next_unit: int
    is_over: bool
    known_units: int

    @classmethod
    def of(cls, compared: TaskInCatalog) -> "_LastPass":
        """Return what the database holds of it."""
        with compared.database.reading.connect() as connection:
            state = sync_state(connection, compared.task.key)
            known_units = count_units_in_catalog(connection, compared.task.key)
        if state is None:
            return cls(0, is_over=True, known_units=known_units)
        is_over = state.next_unit == 0 and state.asked_at == state.finished_at
        return cls(state.next_unit, is_over, known_units)


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
    compared: TaskInCatalog, progress: TaskSync, asked_units: _AskedUnits, *, everything: bool
) -> TaskSync:
    """Ask for the children of what the list was made from, as far as it still selects the units.

    The units that it does not give are asked about by their names afterwards.
    """
    source = compared.declaration.units_from
    if source is None:
        return progress
    query = compared.catalog.source_query(source)
    try:
        for names, children in compared.catalog.read_children_of(query, compared.outputs):
            if compared.is_over():
                break
            units = _listed_units(compared, names, asked_units)
            if not everything:
                units = _lacking_outputs(compared, units)
            progress = _write_found(compared, progress, units, children)
    except UnreachableError:
        if compared.is_away():
            raise
    except (BadInputError, LimitError):
        pass  # by their names it may work, or the reason is told
    return progress


def _listed_units(
    compared: TaskInCatalog, names: Iterable[str], asked_units: _AskedUnits
) -> list[str]:
    """Return the units of the list among files, and note that they were asked about."""
    units = []
    for name in names:
        namespace, unit = compared.catalog.split(name)
        if namespace == compared.namespace and asked_units.add(unit):
            units.append(unit)
    return units


def _write_found(
    compared: TaskInCatalog,
    progress: TaskSync,
    units: Sequence[str],
    children: Sequence[CatalogFile],
) -> TaskSync:
    """Write the children of some units, among those of other files."""
    full_names = {compared.full_name(unit) for unit in units}
    theirs = [child for child in children if full_names & {*child.parents}]
    if units:
        unsettled = compared.writer.run(
            partial(_write_part, compared=compared, units=units, files=theirs, following=0)
        )
        see_renamed(compared, theirs)
        progress = settle(compared, progress, unsettled)
    return progress._replace(
        units=progress.units + len(units), outputs=progress.outputs + len(theirs)
    )


def _sync_part(
    compared: TaskInCatalog, progress: TaskSync, units: Sequence[str], *, following: int
) -> TaskSync:
    """Ask for the children of some units and write them; note where the next part begins."""
    askable = [unit for unit in units if compared.catalog.can_hold(compared.full_name(unit))]
    children: list[CatalogFile] = []
    if not units and following:
        return progress
    if askable:
        try:
            names = [compared.full_name(unit) for unit in askable]
            children = compared.catalog.read_children(names, compared.outputs)
        except BadInputError as refusal:
            refused = f"{counted(len(askable), 'unit')} from {askable[0]!r} on"
            problem = progress.problem or f"{refused} could not be asked about: {refusal}"
            progress = progress._replace(problem=problem, refused=progress.refused + len(askable))
            askable = []
    write = partial(
        _write_part, compared=compared, units=askable, files=children, following=following
    )
    unsettled = compared.writer.run(write)
    see_renamed(compared, children)
    progress = settle(compared, progress, unsettled)
    return progress._replace(
        units=progress.units + len(askable), outputs=progress.outputs + len(children)
    )


def _sync_files_of_task(compared: TaskInCatalog, progress: TaskSync) -> TaskSync:
    """Ask for the files whose metadata name the task, where it has no list of units."""
    names = compared.catalog.list_names(compared.catalog.task_query(compared.task.task_id))
    files = compared.catalog.read_files(names)
    write = partial(
        write_outputs, catalog=compared.catalog, task=compared.task, units={"": ""}, files=files
    )
    unsettled = compared.writer.run(write)
    see_renamed(compared, files)
    progress = settle(compared, progress, unsettled)
    return progress._replace(outputs=progress.outputs + len(files), is_whole=True)


def _lacking_outputs(compared: TaskInCatalog, units: Sequence[str]) -> list[str]:
    """Return the units for which fewer outputs than they need were found in the catalog yet."""
    needed = outputs_needed(compared.declaration)
    with compared.database.reading.connect() as connection:
        settled = units_with_outputs(connection, compared.task.key, units, needed=needed)
    return [unit for unit in units if unit not in settled]


def _unnameable_problem(compared: TaskInCatalog, units: Sequence[str]) -> str | None:
    """Return that some units can be no file of the catalog; None where all can be.

    Raises:
        BadInputError: no unit can be.
    """
    unnameable = [unit for unit in units if not compared.catalog.can_hold(compared.full_name(unit))]
    if not unnameable:
        return None
    message = (
        f"{counted(len(unnameable), 'unit')} of {number(len(units))} can be no file of the "
        "catalog, which was not asked about them: its files are namespace:name in letters, digits "
        f"and _ . / -, the first of these is {compared.full_name(unnameable[0])!r}."
    )
    if not compared.namespace and ":" not in unnameable[0]:
        message += " The task names no namespace: declare it again with `namespace`."
    if len(unnameable) == len(units):
        raise BadInputError(message, {"units": ["are no files of the catalog"]})
    return message


def _write_part(
    writing: Writing,
    *,
    compared: TaskInCatalog,
    units: Sequence[str],
    files: Sequence[CatalogFile],
    following: int,
) -> Unsettled:
    """Write the children of some units."""
    called = {unit: compared.full_name(unit) for unit in units}
    unsettled = write_outputs(writing, compared.catalog, compared.task, units=called, files=files)
    note_next_unit(writing.connection, compared.task.key, following, asked_at=datetime.now(UTC))
    return unsettled
