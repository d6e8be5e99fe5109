"""The tasks that hold the stages of a workflow, and the lists of stages with files in a catalog.

A list is frozen when the workflow is declared. Where a stage follows its source, files that appear
there later are added at the end of its list; files that leave the source stay units.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.db.queries.orders.workflows import WorkflowVersion
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import BadInputError, ProvenanceError
from jobprov.provenance.launchers.workflow import Stage, Workflow
from jobprov.provenance.selections.catalog_source import CatalogSource
from jobprov.provenance.services.catalogs.frozen_units import FrozenUnits, fetch_units
from jobprov.provenance.services.tasks.declarations import (
    MOST_UNITS,
    declare_task,
    find_declaration,
)
from jobprov.provenance.services.writing import Writing


class Followed(NamedTuple):
    """What catalogs list now for the stages that follow them.

    Attributes:
        listings: by stage.
        problems: by stage, why its catalog could not be asked.
    """

    listings: dict[str, FrozenUnits]
    problems: dict[str, str]


def fetch_listings(
    workflow: Workflow, catalog_of: Callable[[str], Catalog]
) -> dict[str, FrozenUnits]:
    """Return what the catalog lists now for each stage that takes its files from there.

    Args:
        catalog_of: opens the catalog of an experiment.

    Raises:
        BadInputError: the catalog has no such kind of source, or the source is empty and not
            followed.
        NotFoundError: no catalog is named, or it does not know the source.
        UnreachableError, ForbiddenError, LimitError: the catalog does not give it.
    """
    listings = {}
    for stage in workflow.stages:
        if stage.source is not None:
            listings[stage.name] = _fetch(workflow, stage, stage.source, catalog_of)
    return listings


def fetch_followed(workflow: Workflow, catalog_of: Callable[[str], Catalog]) -> Followed:
    """Return what the catalog lists now for each stage that follows it.

    A stage whose catalog cannot be asked does not hold up the others.
    """
    followed = Followed({}, {})
    for stage in workflow.stages:
        if not stage.follow or stage.source is None:
            continue
        try:
            listing = _fetch(workflow, stage, stage.source, catalog_of)
        except ProvenanceError as problem:
            followed.problems[stage.name] = str(problem)
        else:
            followed.listings[stage.name] = listing
    return followed


def _fetch(
    workflow: Workflow,
    stage: Stage,
    source: CatalogSource,
    catalog_of: Callable[[str], Catalog],
) -> FrozenUnits:
    try:
        catalog = catalog_of(workflow.experiment)
        return fetch_units(catalog, source, may_be_empty=stage.follow)
    except BadInputError as problem:
        raise BadInputError(f"stage {stage.name}: {problem}", problem.fields) from None


def declare_listings(
    writing: Writing,
    version: WorkflowVersion,
    *,
    workflow: Workflow,
    listings: Mapping[str, FrozenUnits],
) -> None:
    """Declare the task of each stage that takes its files from a catalog, with the list.

    Raises:
        BadInputError: the list of a stage did not come.
    """
    for stage in workflow.stages:
        if stage.source is None:
            continue
        if stage.name not in listings:
            raise BadInputError(
                f"stage {stage.name}: the list of its files was not fetched from the catalog.",
                {"text": ["no list came"]},
            )
        document = stage_document(version, workflow, stage, listings[stage.name])
        task_id = workflow.task_id(version.number, stage.name)
        declare_task(writing.by(None), task_id, document)


def top_up(
    writing: Writing,
    version: WorkflowVersion,
    *,
    workflow: Workflow,
    listings: Mapping[str, FrozenUnits],
) -> dict[str, str]:
    """Add what is new in these lists to the units of their stages.

    Return by stage why that cannot be done.
    """
    problems = {}
    for name, listing in listings.items():
        task_id = workflow.task_id(version.number, name)
        declared = read_listing(writing.connection, writing.store, task_id, version.experiment)
        units = declared["units"]
        listed_before = set(units)
        new_units = [unit for unit in listing["units"] if unit not in listed_before]
        if not new_units:
            continue
        problem = _growth_problem(declared, listing, len(listed_before) + len(new_units))
        if problem:
            problems[name] = problem
            continue
        grown: FrozenUnits = {**listing, "units": [*units, *new_units]}
        document = stage_document(version, workflow, workflow.stage(name), grown)
        declare_task(writing.by(None), task_id, document)
    return problems


def _growth_problem(declared: FrozenUnits, listing: FrozenUnits, unit_count: int) -> str | None:
    """Return why a list cannot grow to the number of units that its catalog lists now."""
    namespace = declared.get("namespace")
    new_namespace = listing.get("namespace")
    if namespace is not None and namespace != new_namespace:
        return f"new files are of namespace {new_namespace}, and those before of {namespace}"
    if unit_count > MOST_UNITS:
        return f"there would be more than {MOST_UNITS} units"
    return None


def read_listing(
    connection: Connection, store: Store, task_id: str, experiment: str
) -> FrozenUnits:
    """Return the frozen list of a stage by its task; an empty one if the stage has none."""
    for task in find_tasks(connection, task_id, experiment):
        declaration = find_declaration(connection, store, task)
        if declaration is None or not isinstance(declaration.units, list):
            break
        listing: FrozenUnits = {"units": declaration.units}
        if declaration.namespace is not None:
            listing["namespace"] = declaration.namespace
        return listing
    return {"units": []}


def stage_document(
    version: WorkflowVersion, workflow: Workflow, stage: Stage, units: Mapping[str, Any]
) -> dict[str, object]:
    """Return the declaration of the task that holds a stage; `units` names or counts its units."""
    software = []
    for code in workflow.software:
        entry = {"name": code.name, "repository": code.repository, "requested_ref": code.ref}
        software.append(entry)
    document: dict[str, object] = {
        "experiment": version.experiment,
        "campaign": workflow.campaign,
        "stage": stage.name,
        **units,
        "outputs_per_unit": len(stage.outputs),
        "output_patterns": stage.output_patterns() or None,
        "dependencies": [stage.after] if stage.after else [],
        "software": software,
        "workflow": {"name": version.name, "version": version.number},
    }
    return {name: value for name, value in document.items() if value is not None}
