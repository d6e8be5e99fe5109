"""The inputs of a task without an output in the catalog: which, in whose words, and why unknown."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.catalogs.metacat_queries import files_query, is_name
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.db.queries.catalogs.catalogs import SyncState, sync_state
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.unit_facts import units_in_catalog
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import number
from jobprov.provenance.services.tasks.declarations import Declaration, find_declaration
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import count_units

FORMS = {"sam": ("sam",), "metacat": ("did", "mql")}
"""In which forms, beside a plain list, the catalogs of a kind are asked for files."""


def list_draining(connection: Connection, store: Store, task: FoundTask) -> list[str]:
    """Return the listed units that lack outputs in the catalog and that nobody waived.

    Raises:
        BadInputError: the task has no list of units, or was not compared with its catalog yet.
    """
    declaration = _declaration_with_list(connection, store, task)
    state = sync_state(connection, task.key)
    why = why_not_compared(task, declaration, state, None)
    if why is not None:
        raise BadInputError(
            f"Task {task.task_id} was not compared with its catalog yet. {why}",
            {"task_id": ["not compared yet"]},
        )
    waived = count_units(connection, task, declaration).entries
    cataloged_units = units_in_catalog(connection, task.key, needed=outputs_needed(declaration))
    return still_draining(declaration, cataloged_units, waived)


def draining_text(
    connection: Connection, store: Store, task: FoundTask, catalogs: Catalogs, form: str
) -> list[str]:
    """Return the draining units as lines: `plain` and `did` one a line, else one query.

    Where no unit drains there is no line, but a dimension of SAM that selects nothing.

    Raises:
        BadInputError: as for `list_draining`; or the catalog of the experiment does not know this
            form; or a unit cannot be said in it.
    """
    settings = catalogs.get(task.experiment)
    if settings is not None and form not in ("plain", *FORMS[settings.kind]):
        words = f"{form}: the catalog of {task.experiment} is a {settings.kind}"
        choices = " or ".join(("plain", *FORMS[settings.kind]))
        raise BadInputError(
            f"format: {words}, which is asked by {choices}.", {"format": [f"one of {choices}"]}
        )
    units = list_draining(connection, store, task)
    if form == "plain":
        return units
    if form == "sam":
        return [files_dimension(units)]
    dids = _dids(_declaration_with_list(connection, store, task), units)
    if form == "did" or not dids:
        return dids
    return [files_query(dids)]


def _dids(declaration: Declaration, units: Sequence[str]) -> list[str]:
    """Return units as `namespace:name`, which is what MetaCat calls a file."""
    dids = []
    for unit in units:
        namespace, name = declaration.place_of(unit)
        if not namespace:
            namespace, _, name = unit.partition(":")
        if not is_name(namespace) or not is_name(name):
            message = f"{unit!r} can be no file of a MetaCat, which has files as namespace:name"
            raise BadInputError(f"format: {message}; ask for plain.", {"format": [message]})
        dids.append(f"{namespace}:{name}")
    return dids


def _declaration_with_list(connection: Connection, store: Store, task: FoundTask) -> Declaration:
    declaration = find_declaration(connection, store, task)
    if declaration is None or declaration.listed_units() is None:
        raise BadInputError(
            f"Task {task.task_id} has no frozen list of units.",
            {"task_id": ["has no list of units"]},
        )
    return declaration


def still_draining(
    declaration: Declaration, cataloged_units: set[str], waived: Mapping[str, int]
) -> list[str]:
    """Return the listed units that are neither in the catalog by their outputs nor waived."""
    listed = dict.fromkeys(declaration.listed_units() or ())
    return [unit for unit in listed if unit not in cataloged_units and unit not in waived]


def draining_query(declaration: Declaration, catalog: Catalog) -> str | None:
    """Return the query that selects the unprocessed inputs; None where no catalog gave the list."""
    source = declaration.units_from
    if source is None:
        return None
    query = catalog.source_query(source)
    return catalog.unprocessed_query(query, declaration.output_metadata or {})


def draining_query_of(
    declaration: Declaration | None, catalogs: Catalogs, experiment: str
) -> str | None:
    """Return the same for the catalog of an experiment; None where there is none."""
    if declaration is None or declaration.units_from is None or experiment not in catalogs:
        return None
    try:
        return draining_query(declaration, open_catalog(catalogs, experiment))
    except BadInputError:  # the experiment has moved to another kind of catalog
        return None


def why_not_compared(
    task: FoundTask,
    declaration: Declaration | None,
    state: SyncState | None,
    catalogs: Catalogs | None,
) -> str | None:
    """Return in a sentence why a task was never compared as a whole; None where it was.

    Args:
        task: which one.
        declaration: of the task.
        state: how far it was compared.
        catalogs: those that are set up, by experiment; None where that is not known.
    """
    if state is not None and state.finished_at is not None:
        return None
    if state is not None and state.problem is not None:
        return f"The last time it failed: {state.problem}"
    if declaration is None:
        return "Nobody declared the task: `jobprov declare` gives it its inputs."
    if state is not None:
        total = number(len(declaration.listed_units() or ()))
        progress = f"after {number(state.next_unit)}" if state.next_unit else "before all"
        return (
            f"Its time was over {progress} of {total} units were asked about: "
            "the next `jobprov catalog sync` goes on from there."
        )
    if catalogs is not None and task.experiment not in catalogs:
        return (
            f"No catalog of experiment {task.experiment} is set up: an operator names it in the "
            "file of JOBPROV_CATALOGS."
        )
    return "The catalog was never asked: an operator runs `jobprov catalog sync`."
