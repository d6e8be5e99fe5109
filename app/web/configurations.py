"""The page of a configuration: its files as they were, expanded, or evaluated with where each value comes from."""

import io
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from app.web.cuts import address, cut_rows
from app.web.formats import counted
from app.web.frame import answer, asked, asked_number, experiment_asked, here
from app.web.log_text import Window, fitting_window
from app.wiring import get_service
from provenance.errors import BadInputError, NotFoundError
from provenance.fhicl import Configuration
from provenance.services.read_configuration import ConfigurationError, RecordedConfiguration, read_configuration
from provenance.services.show_job import show_job

FORMS = {"files": "Files", "expanded": "Expanded", "evaluated": "Evaluated"}
_ROWS = 100


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/jobs/<job_id>/configurations/<path:step>", view_func=show_page, endpoint="configuration")


def show_page(job_id: str, step: str) -> Response:
    """Show the configuration of a step in one of its forms."""
    form = asked("form") or "files"
    if form not in FORMS:
        raise BadInputError(f"form: one of {', '.join(FORMS)}.", {"form": [f"one of {', '.join(FORMS)}"]})
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        found = read_configuration(connection, service.store, job_id, step, experiment=experiment)
        job = show_job(connection, service.store, job_id, experiment=experiment)
    evaluated, problem = _evaluated(found)
    path = f"/jobs/{job['summary']['job_id']}/configurations/{quote(step, safe='')}"
    return answer(
        "configuration.html",
        twin=path + address("", {"form": form, "experiment": experiment or ""}),
        summary=job["summary"],
        configuration=found.recorded,
        step=step,
        form=form,
        forms={
            word: (title, here(form=word, at=None, file=None, q=None, **{"from": None}))
            for word, title in FORMS.items()
        },
        first_line=first_line(found, evaluated),
        problem=problem,
        is_same=evaluated is not None and evaluated.parameter_set_id == found.recorded.parameter_set_id,
        evaluated_id=evaluated.parameter_set_id if evaluated else None,
        **_shown(form, found, evaluated),
    )


def first_line(found: RecordedConfiguration, evaluated: Configuration | None) -> str:
    """Return how large the configuration is, and its identity."""
    parts = [counted(len(found.recorded.files or ()), "file")]
    if evaluated is not None:
        parts.append(counted(sum(1 for _ in evaluated.parameters()), "parameter"))
    identity = found.recorded.parameter_set_id or (evaluated.parameter_set_id if evaluated else None)
    return ", ".join(parts) + (f"; ParameterSetID {identity[:12]}…" if identity else ".")


def _evaluated(found: RecordedConfiguration) -> tuple[Configuration | None, str | None]:
    try:
        return found.evaluate(), None
    except ConfigurationError as problem:
        return None, str(problem)


def _shown(form: str, found: RecordedConfiguration, evaluated: Configuration | None) -> dict[str, Any]:
    """Return what the chosen form shows: a text, or rows."""
    if form == "files":
        return _files(found)
    if evaluated is None:
        return {}
    if form == "expanded":
        return _text(evaluated.expanded)
    wanted = (asked("q") or "").lower()
    rows = [row for row in evaluated.parameters() if wanted in row.path.lower() or wanted in row.canonical.lower()]
    return {"parameters": cut_rows("parameters", rows, _ROWS), "wanted": asked("q")}


def _files(found: RecordedConfiguration) -> dict[str, Any]:
    listed = found.recorded.files or []
    wanted = asked("file")
    file = next((file for file in listed if file.name == wanted), None)
    if wanted is not None and file is None:
        raise NotFoundError(f"The configuration has no file {wanted}.")
    if wanted is None:
        file = next((file for file in listed if file.name == found.recorded.main), listed[0] if listed else None)
    rows = [
        {"file": row, "is_here": row.sha256 in found.sources, "url": here(form="files", file=row.name, at=None)}
        for row in listed
    ]
    shown = {"files": cut_rows("files", rows, _ROWS), "file": file}
    data = found.sources.get(file.sha256) if file and file.sha256 else None
    return shown if data is None else {**shown, **_text(data)}


def _text(data: bytes) -> dict[str, Any]:
    part: Window = fitting_window(io.BytesIO(data), len(data), asked_number("at", least=0, most=2**62) or 0)
    first_number = data.count(b"\n", 0, part.start) + 1
    return {
        "part": part,
        "size_bytes": len(data),
        "first_number": first_number,
        "earlier": here(at=str(max(0, part.start - 40_000))) if part.start else None,
        "later": here(at=str(part.end)) if part.end < len(data) else None,
    }
