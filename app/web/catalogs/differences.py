"""The page of a task beside its catalog: what is done but not there, what is there without a job, and what still drains."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, day, number
from jobprov.app.web.frame.page import answer, asked, experiment_asked
from jobprov.app.wiring import get_service
from jobprov.provenance.catalogs.opening import read_catalogs
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.catalogs.differences import compare_catalog, list_draining
from jobprov.provenance.services.tasks.tasks import find_task

_FILES, _UNITS = 20, 30


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/catalog", view_func=show_page, endpoint="catalog")


def show_page() -> Response:
    """Show where the jobs of a task and its catalog differ."""
    name, service = asked("task_id"), get_service()
    if name is None:
        raise BadInputError("task_id: say which task.", {"task_id": ["missing"]})
    with service.reading() as connection:
        task = find_task(connection, name, experiment=experiment_asked())
        found = compare_catalog(
            connection, service.store, task, catalogs=read_catalogs(service.settings.catalogs)
        )
        can_drain = found["synced_at"] is not None and found["units"]["without"] is not None
        draining = (
            list_draining(connection, service.store, task)
            if can_drain and found["units"]["without"]
            else []
        )
    twin = f"/tasks/{quote(task.task_id, safe='')}"
    words = {"experiment": task.experiment}
    return answer(
        "catalogs/catalog.html",
        twin=address(f"{twin}/catalog", words),
        found=found,
        task=task,
        first_line=first_line(found),
        differences=[
            {**kind, "rows": cut_rows(kind["kind"], kind["files"], _FILES)}
            for kind in found["differences"]
        ],
        silent=cut_rows("silent", found["silent"], _UNITS),
        draining=cut_rows("draining", draining, _UNITS),
        plain=f"/api/v1{address(f'{twin}/draining', {**words, 'format': 'plain'})}",
        dimension=f"/api/v1{address(f'{twin}/draining', {**words, 'format': 'sam'})}",
    )


def first_line(found: dict[str, Any]) -> str:
    """Return how far the two sides agree, in words."""
    if found["synced_at"] is None:
        return (
            "Not compared with its catalog yet: an operator names it and runs jobprov catalog sync."
        )
    units, count = found["units"], sum(kind["count"] for kind in found["differences"])
    of = "" if units["expected"] is None else f" of {number(units['expected'])}"
    agree = f"; {counted(count, 'difference')}" if count else "; jobs and catalog say the same"
    return f"The catalog knows outputs of {number(units['in_catalog'])}{of} units{agree}, as of {day(found['synced_at'])}."
