"""The page of a log: a window of it as harmless text, the line that tells why marked.

One can search it, follow it, and save its plain bytes.
"""

from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from flask import Response, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.page import answer, asked, asked_number, experiment_asked, here, pages
from jobprov.app.web.lookup.log_text import (
    WINDOW_BYTES,
    Window,
    find_line,
    find_next,
    fitting_window,
    window_around,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup.jobs import Failure, JobSummary
from jobprov.provenance.services.lookup.job import failure_of, read_job, summarize_job
from jobprov.provenance.services.lookup.logs import OpenLog, read_log

_FOLLOW_SECONDS = 10
_FARTHEST = 2**62
_LONGEST_SEARCH = 200


class LogQuestion(NamedTuple):
    """Which part of a log the address asks for; the end by default.

    Attributes:
        at: the byte that the part begins at.
        line: a byte whose line the part is around.
        searched: a text that the part is to have, looked for from `at` on; empty for none.
        is_followed: the page is to come again by itself while the job runs.
    """

    experiment: str | None
    at: int | None
    line: int | None
    searched: str
    is_followed: bool

    @classmethod
    def from_request(cls) -> "LogQuestion":
        """Return the question in the query of the address.

        Raises:
            BadInputError: a position is not a number.
        """
        return cls(
            experiment=experiment_asked(),
            at=asked_number("at", least=0, most=_FARTHEST),
            line=asked_number("line", least=0, most=_FARTHEST),
            searched=(asked("q") or "")[:_LONGEST_SEARCH],
            is_followed=bool(asked("follow")),
        )


class LogPart(NamedTuple):
    """What is shown of a log.

    Attributes:
        found_at: where the line with the searched text begins; None where there is none.
    """

    window: Window
    found_at: int | None = None


class LogPage(NamedTuple):
    """What the page shows; an address is None if there is nothing to link to.

    Attributes:
        mark: which line of the part stands out; None where none does.
        why: where the line is that told what the failure was.
        follow: of this page, brought up to date as the log grows.
        first, earlier, later, last: of other parts.
    """

    twin: str
    log: OpenLog
    part: Window
    mark: int | None
    summary: JobSummary
    failure: Failure | None
    path: str
    searched: str
    is_found: bool
    next_match: str | None
    why: str | None
    is_end: bool
    is_running: bool
    follow: str | None
    is_followed: bool
    first: str | None
    earlier: str | None
    later: str | None
    last: str | None


@pages.get("/jobs/<job_id>/logs/<path:name>", endpoint="log")
def show_page(job_id: str, name: str) -> Response:
    """Show the end of a log, or the part that the address asks for."""
    question, service = LogQuestion.from_request(), get_service()
    with service.reading() as connection:
        job = read_job(connection, service.store, job_id, experiment=question.experiment)
        log = read_log(connection, service.store, job, name)
        summary = summarize_job(connection, job)
        failure = failure_of(connection, job)
    with log.stream:
        part = _part(log, question)
    page = answer("lookup/log.html", **_page(question, log, part, summary, failure)._asdict())
    if summary.state == "running" and question.is_followed:
        page.headers["Refresh"] = str(_FOLLOW_SECONDS)
    return page


def _part(log: OpenLog, question: LogQuestion) -> LogPart:
    stream: BinaryIO = log.stream
    if question.searched:
        match = find_next(stream, log.size_bytes, question.searched, question.at or 0)
        if match is not None:
            window = window_around(stream, log.size_bytes, match.line_at)
            return LogPart(window, match.at)
    elif question.line is not None:
        return LogPart(window_around(stream, log.size_bytes, question.line))
    return LogPart(fitting_window(stream, log.size_bytes, question.at))


def _page(
    question: LogQuestion,
    log: OpenLog,
    part: LogPart,
    summary: JobSummary,
    failure: Failure | None,
) -> LogPage:
    window, searched = part.window, question.searched
    mark = window.mark
    if mark is None:
        mark = find_line(window.lines, summary.exit.message)
    why = None
    if mark is None:
        why = _why(log, failure, searched)
    is_running = summary.state == "running"
    follow = None
    if is_running and not question.is_followed:
        follow = _here(follow="1")
    path = f"/jobs/{summary.job_id}/logs/{quote(log.name, safe='')}"
    return LogPage(
        twin=path + address("", {"experiment": question.experiment}),
        log=log,
        part=window,
        mark=mark,
        summary=summary,
        failure=failure,
        path=quote(request.path),
        searched=searched,
        is_found=part.found_at is not None,
        next_match=_next_match(part, searched),
        why=why,
        is_running=is_running,
        follow=follow,
        is_followed=is_running and question.is_followed,
        **_other_parts(window, log.size_bytes)._asdict(),
    )


class _OtherParts(NamedTuple):
    """Addresses of other parts of a log, and whether this one is its end."""

    is_end: bool
    first: str | None
    earlier: str | None
    later: str | None
    last: str | None


def _other_parts(window: Window, size_bytes: int) -> _OtherParts:
    first, earlier = None, None
    if window.start > 0:
        first = _here(at="0")
        earlier = _here(at=str(max(0, window.start - WINDOW_BYTES)))
    is_end = window.end >= size_bytes
    later, last = None, None
    if not is_end:
        later, last = _here(at=str(window.end)), _here()
    return _OtherParts(is_end, first, earlier, later, last)


def _next_match(part: LogPart, searched: str) -> str | None:
    if part.found_at is None:
        return None
    return _here(q=searched, at=str(part.found_at + 1))


def _why(log: OpenLog, failure: Failure | None, searched: str) -> str | None:
    """Return the address of the line of this log that explained the failure."""
    if failure is None or failure.log_name != log.name or failure.log_at is None or searched:
        return None
    return _here(line=str(failure.log_at)) + "#why"


def _here(**query: str) -> str:
    """Return the address of another part of this log."""
    no_part: dict[str, str | None] = dict.fromkeys(("at", "line", "q", "follow"))
    return here(**{**no_part, **query})
