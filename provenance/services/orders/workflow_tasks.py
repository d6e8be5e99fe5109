"""The tasks that hold the stages of a workflow, and the lists of stages with files in a catalog.

A list is frozen when the workflow is declared. A stage that follows its source gets at its end what
appears there later; what left the source stays a unit.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.db.queries.orders.orders import WorkflowFound
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import BadInputError, ProvenanceError
from jobprov.provenance.launchers.workflow import Stage, Workflow
from jobprov.provenance.services.catalogs.frozen_units import fetch_units
from jobprov.provenance.services.tasks.declarations import (
    MOST_UNITS,
    UnitSource,
    declare_task,
    read_task_document,
)
from jobprov.provenance.services.writing import Writing

Listing = dict[str, Any]
"""`{units, units_from, namespace}` of what a catalog selects, as a task's declaration says it."""


class Followed(NamedTuple):
    """What catalogs list now of the stages that follow them, and why not of the others.

    Both are by stage.
    """

    listings: dict[str, Listing]
    problems: dict[str, str]


def fetch_listings(workflow: Workflow, catalog_of: Callable[[str], Catalog]) -> dict[str, Listing]:
    """Return what the catalog lists now for each stage that takes its files from there.

    Args:
        workflow: the declaration.
        catalog_of: opens the catalog of an experiment.

    Raises:
        BadInputError: a source is none of this catalog, or selects nothing, unless it is followed.
        NotFoundError: no catalog is named, or it does not know the source.
        UnreachableError, ForbiddenError, LimitError: the catalog does not give it.
    """
    return {
        stage.name: _fetch(workflow, stage, catalog_of)
        for stage in workflow.stages
        if stage.source is not None
    }


def fetch_followed(workflow: Workflow, catalog_of: Callable[[str], Catalog]) -> Followed:
    """Return what the catalog lists now for each stage that follows it.

    One that cannot be asked keeps nothing else waiting.
    """
    found = Followed({}, {})
    for stage in workflow.stages:
        if stage.follow:
            try:
                found.listings[stage.name] = _fetch(workflow, stage, catalog_of)
            except ProvenanceError as problem:
                found.problems[stage.name] = str(problem)
    return found


def _fetch(workflow: Workflow, stage: Stage, catalog_of: Callable[[str], Catalog]) -> Listing:
    said = stage.source.declared() if stage.source is not None else {}
    try:
        return fetch_units(
            catalog_of(workflow.experiment), UnitSource(**said), may_be_empty=stage.follow
        )
    except BadInputError as problem:
        raise BadInputError(f"stage {stage.name}: {problem}", problem.fields) from None


def declare_listings(
    writing: Writing,
    found: WorkflowFound,
    *,
    workflow: Workflow,
    listings: Mapping[str, Listing],
) -> None:
    """Declare the task of each stage that takes its files from a catalog, with the list.

    Raises:
        BadInputError: of a stage no list came.
    """
    for stage in workflow.stages:
        if stage.source is None:
            continue
        if stage.name not in listings:
            raise BadInputError(
                f"stage {stage.name}: the list of its files was not fetched from the catalog.",
                {"text": ["no list came"]},
            )
        document = stage_document(found, workflow, stage, listings[stage.name])
        task_id = workflow.task_id(found.version, stage.name)
        declare_task(writing.by(None), task_id, document)


def top_up(
    writing: Writing,
    found: WorkflowFound,
    *,
    workflow: Workflow,
    listings: Mapping[str, Listing],
) -> dict[str, str]:
    """Put what is new in these lists behind the units of their stages.

    Return why not, by stage, where that cannot be.
    """
    problems = {}
    for name, listing in listings.items():
        task_id = workflow.task_id(found.version, name)
        held = read_listing(writing.connection, writing.store, task_id, found.experiment)
        seen = set(held.get("units", ()))
        fresh = [unit for unit in listing["units"] if unit not in seen]
        if not fresh:
            continue
        where = held.get("namespace")
        if where is not None and where != listing.get("namespace"):
            problems[name] = (
                f"new files are of namespace {listing.get('namespace')}, and those before of "
                f"{where}"
            )
        elif len(seen) + len(fresh) > MOST_UNITS:
            problems[name] = f"there would be more than {MOST_UNITS} units"
        else:
            document = stage_document(
                found,
                workflow,
                workflow.stage(name),
                {**listing, "units": [*held.get("units", ()), *fresh]},
            )
            declare_task(writing.by(None), task_id, document)
    return problems


def read_listing(connection: Connection, store: Store, task_id: str, experiment: str) -> Listing:
    """Return the declaration of the task that holds the list of a stage.

    It is empty where there is none yet.
    """
    tasks = find_tasks(connection, task_id, experiment)
    return (read_task_document(connection, store, tasks[0]) if tasks else None) or {}


def stage_document(
    found: WorkflowFound, workflow: Workflow, stage: Stage, units: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the declaration of the task that holds a stage; `units` says which there are."""
    document: dict[str, Any] = {
        "experiment": found.experiment,
        "campaign": workflow.campaign,
        "stage": stage.name,
        **units,
        "outputs_per_unit": len(stage.outputs),
        "dependencies": [stage.after] if stage.after else [],
        "software": [
            {"name": code.name, "repository": code.repository, "requested_ref": code.ref}
            for code in workflow.software
        ],
        "workflow": {"name": found.name, "version": found.version},
    }
    return {name: value for name, value in document.items() if value is not None}
