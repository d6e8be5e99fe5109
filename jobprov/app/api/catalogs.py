"""Catalogs over HTTP: where a task differs from its catalog, what is late, where files are now."""

from flask import Response

from jobprov.app.api.wire.answers import TEXT, json_answer, text_answer
from jobprov.app.api.wire.asking import asked, asked_of_task, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.catalogs.arrivals import Arrivals
from jobprov.provenance.answers.catalogs.differences import CatalogComparison, DrainingUnits
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.schemas.production_queries import ArrivalsQuery, CatalogQuery, DrainingQuery
from jobprov.provenance.schemas.queries import FileQuery
from jobprov.provenance.services.catalogs.arrivals import list_arrivals
from jobprov.provenance.services.catalogs.differences import compare_catalog
from jobprov.provenance.services.catalogs.draining import draining_text, list_draining
from jobprov.provenance.services.catalogs.replicas import PATIENCE, locate_files, names_of_copies
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.tasks.tasks import find_task

catalogs_section = Section("catalogs", "File catalogs, compared with what jobs report.")
arrivals_section = Section("arrivals", "Files on their way into the catalog.")
replicas_section = Section("replicas", "Where files are now.")


@catalogs_section.get(
    "/tasks/<task_id>/catalog", CatalogComparison, query=CatalogQuery, errors=(300, 404)
)
def get_catalog(task_id: str) -> Response:
    """Return where a task's jobs and its catalog differed at the last `jobprov catalog sync`."""
    task_id, query = asked_of_task(CatalogQuery, task_id)
    hours = query.pop("late_after_hours", None)
    service = get_service()
    catalogs = service.catalogs()
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
        return json_answer(
            compare_catalog(
                connection, service.store, task, catalogs=catalogs, late_after_hours=hours
            )
        )


@catalogs_section.get(
    "/tasks/<task_id>/draining",
    DrainingUnits,
    query=DrainingQuery,
    errors=(300, 404),
    other_types=(TEXT,),
)
def get_draining(task_id: str) -> Response:
    """Return the inputs without an output in the catalog.

    As JSON, a plain list, or what the catalog takes: DIDs or MQL of MetaCat, a SAM dimension.
    """
    task_id, query = asked_of_task(DrainingQuery, task_id)
    form = query.pop("format")
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
        if form == "json":
            return json_answer(DrainingUnits(list_draining(connection, service.store, task)))
        catalogs = service.catalogs()
        return text_answer(draining_text(connection, service.store, task, catalogs, form))


@arrivals_section.get("/arrivals", Arrivals, query=ArrivalsQuery, errors=(404,))
def get_arrivals() -> Response:
    """Return how many files were written and arrived, a day each, and those that are late."""
    query = asked(ArrivalsQuery)
    service = get_service()
    catalogs = service.catalogs()
    with service.reading() as connection:
        return json_answer(list_arrivals(connection, catalogs=catalogs, **query))


@replicas_section.get("/files/<name>/replicas", LocatedFiles, query=FileQuery, errors=(300, 404))
def get_replicas(name: str) -> Response:
    """Return where a file is now, as the experiment's Rucio or SAM says when it is asked.

    A file that is known by several names is looked up by each.
    """
    query = asked(FileQuery)
    service = get_service()
    catalogs = service.catalogs()
    with service.reading() as connection:
        shown = show_file(connection, checked_name(name), **query)
        names = names_of_copies(connection, service.store, shown)
    return json_answer(locate_files(names, catalogs, shown.file.experiment, patience=PATIENCE))
