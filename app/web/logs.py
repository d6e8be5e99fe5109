"""The page of a log: a window of it as harmless text, the line that tells why marked, the plain bytes to be saved."""

from urllib.parse import quote

from flask import Blueprint, Response

from app.web.cuts import address
from app.web.frame import answer, asked_number, experiment_asked, here
from app.web.log_text import WINDOW_BYTES, find_line, fitting_window
from app.wiring import get_service
from provenance.services.read_log import read_log
from provenance.services.show_job import show_job


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/jobs/<job_id>/logs/<path:name>", view_func=show_page, endpoint="log")


def show_page(job_id: str, name: str) -> Response:
    """Show the end of a log, or the part that the address asks for (`at`, in bytes)."""
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        opened = read_log(connection, service.store, job_id, name, experiment=experiment)
        job = show_job(connection, service.store, job_id, experiment=experiment)
    with opened.stream as stream:
        part = fitting_window(stream, opened.size_bytes, asked_number("at", least=0, most=2**62))
    raw = f"/jobs/{job['summary']['job_id']}/logs/{quote(name, safe='')}{address('', {'experiment': experiment or ''})}"
    is_end = part.end >= opened.size_bytes
    return answer(
        "log.html",
        twin=raw,
        log=opened,
        part=part,
        mark=find_line(part.lines, job["summary"]["exit"]["message"]),
        summary=job["summary"],
        is_end=is_end,
        first=here(at="0") if part.start > 0 else None,
        earlier=here(at=str(max(0, part.start - WINDOW_BYTES))) if part.start > 0 else None,
        later=None if is_end else here(at=str(part.end)),
        last=None if is_end else here(at=None),
    )
