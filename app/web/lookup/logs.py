"""The page of a log: a window of it as harmless text, the line that tells why marked, search, following, the plain bytes to be saved."""

from typing import BinaryIO
from urllib.parse import quote

from flask import Blueprint, Response, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.page import answer, asked, asked_number, experiment_asked, here
from jobprov.app.web.lookup.log_text import (
    WINDOW_BYTES,
    Window,
    find_line,
    find_next,
    fitting_window,
    window_around,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.services.failures.classes import class_of
from jobprov.provenance.services.lookup.job import show_job
from jobprov.provenance.services.lookup.logs import read_log

_FOLLOW_SECONDS = 10
_FARTHEST = 2**62
_LONGEST_SEARCH = 200


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/jobs/<job_id>/logs/<path:name>", view_func=show_page, endpoint="log")


def show_page(job_id: str, name: str) -> Response:
    """Show the end of a log, or the part that the address asks for.

    From a byte (`at`), around one (`line`), or with a text (`q`).
    """
    service, experiment = get_service(), experiment_asked()
    with service.reading() as connection:
        opened = read_log(connection, service.store, job_id, name, experiment=experiment)
        job = show_job(connection, service.store, job_id, experiment=experiment)
        read = class_of(
            connection, job["summary"]["job_id"], experiment=job["summary"]["experiment"]
        )
    searched = (asked("q") or "")[:_LONGEST_SEARCH]
    with opened.stream as stream:
        part, found_at = _part(stream, opened.size_bytes, searched)
    mark = (
        part.mark
        if part.mark is not None
        else find_line(part.lines, job["summary"]["exit"]["message"])
    )
    told_at = read.log_at if read is not None and read.log_name == name and not searched else None
    is_end, is_running = part.end >= opened.size_bytes, job["summary"]["state"] == "running"
    raw = f"/jobs/{job['summary']['job_id']}/logs/{quote(name, safe='')}{address('', {'experiment': experiment or ''})}"
    page = answer(
        "lookup/log.html",
        twin=raw,
        log=opened,
        part=part,
        mark=mark,
        summary=job["summary"],
        read=read,
        path=quote(request.path),
        searched=searched,
        is_found=found_at is not None,
        next_match=_here(q=searched, at=str(found_at + 1)) if found_at is not None else None,
        why=_here(line=str(told_at)) + "#why" if told_at is not None and mark is None else None,
        is_end=is_end,
        is_running=is_running,
        follow=_here(follow="1") if is_running and not asked("follow") else None,
        is_followed=is_running and bool(asked("follow")),
        first=_here(at="0") if part.start > 0 else None,
        earlier=_here(at=str(max(0, part.start - WINDOW_BYTES))) if part.start > 0 else None,
        later=None if is_end else _here(at=str(part.end)),
        last=None if is_end else _here(),
    )
    if is_running and asked("follow"):
        page.headers["Refresh"] = str(_FOLLOW_SECONDS)
    return page


def _part(stream: BinaryIO, size_bytes: int, searched: str) -> tuple[Window, int | None]:
    """Return what to show, and where the text that was searched begins its line.

    None where it is not found, or none was.
    """
    at, line = (
        asked_number("at", least=0, most=_FARTHEST),
        asked_number("line", least=0, most=_FARTHEST),
    )
    if searched:
        found = find_next(stream, size_bytes, searched, at or 0)
        if found is not None:
            return window_around(stream, size_bytes, found.line_at), found.at
        return fitting_window(stream, size_bytes, at), None
    if line is not None:
        return window_around(stream, size_bytes, line), None
    return fitting_window(stream, size_bytes, at), None


def _here(**words: str) -> str:
    """Return the address of this log with these words alone."""
    plain: dict[str, str | None] = dict.fromkeys(("at", "line", "q", "follow"))
    return here(**{**plain, **words})
