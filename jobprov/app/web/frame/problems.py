"""The page that a reader gets instead of the one asked for: what failed, where, and what to try."""

import http
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple
from urllib.parse import quote

from flask import Response, make_response, render_template, request

from jobprov.app.access.visitors import is_login_on
from jobprov.app.errors import Problem
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.page import SELECTION_PAGE, here
from jobprov.provenance.answers.addresses import (
    LOGIN_DONE,
    configuration_page,
    file_page,
    history_page,
    job_page,
    log_page,
)
from jobprov.provenance.lineage.drawing.captions import safe_url

_MOST_CHOICES = 100
_FILTERED = frozenset({"queue", "arrivals", "errors", "resources", "modules", "throughput"})
"""Pages whose filters may hold a mistyped name."""
_NAMED = ("experiment", "campaign", "stage", "task_id", "site")
_WORDS = {
    300: "Which one?",
    401: "A token, please",
    403: "Not allowed",
    404: "Not found",
    405: "Not that way",
    413: "Too much",
    422: "Cannot be read",
    500: "A mistake of ours",
    503: "Not just now",
}


def problem_page(problem: Problem) -> Response:
    """Return the page of an error; the caller sets its status."""
    given: dict[str, str] = {}
    without, as_now, again = None, None, None
    is_failed_login = request.path == LOGIN_DONE
    if request.method == "GET":
        given, as_now = _given(problem), _as_now()
        # An answer of the provider counts once, so that its address does not help again
        if not is_failed_login:
            again = safe_url(request.full_path.rstrip("?"))
    if given:
        without = safe_url(here(**dict.fromkeys(given)))
    return make_response(
        render_template(
            "frame/problem.html",
            twin=None,
            live_seconds=None,
            problem=problem,
            title=_title(problem),
            nearest=[(name, _neighbour(name)) for name in problem.hints.nearest],
            choices=[_choice(choice) for choice in _choices(problem)],
            untold=_untold(problem, given),
            without=without,
            job=_job(),
            as_now=as_now,
            is_form=request.method == "POST",
            is_failed_login=is_failed_login,
            is_of_ticks=request.path == SELECTION_PAGE and not problem.errors,
            again=again,
        )
    )


class _Untold(NamedTuple):
    """What the first line does not say of a field that cannot be read; '' for what it does."""

    field: str
    messages: str
    given: str


def _untold(problem: Problem, given: Mapping[str, str]) -> list[_Untold]:
    """Return the problems below the first line, which usually says all about the first field."""
    if len(problem.errors) == 1 and not given:
        return []
    rows = []
    for field, messages in problem.errors.items():
        row = _Untold(field, "; ".join(messages), given.get(field, ""))
        if all(message.rstrip(".") in problem.detail for message in messages):
            row = row._replace(messages="")
        if repr(row.given) in problem.detail:
            row = row._replace(given="")
        if row.messages or row.given:
            rows.append(row)
    return rows


def _title(problem: Problem) -> str:
    if problem.status == http.HTTPStatus.UNAUTHORIZED and is_login_on():
        return "Log in, please"
    if request.path == SELECTION_PAGE and not problem.errors:
        return "Which jobs?"
    return _WORDS.get(problem.status, problem.title)


def _given(problem: Problem) -> dict[str, str]:
    """Return what the address says of the fields that cannot be read.

    A page without them is a way out.
    """
    given = {}
    for field in problem.errors:
        if field in request.args:
            given[field] = ", ".join(request.args.getlist(field))
    return given


def _neighbour(name: str) -> str:
    """Return the address of this same page for a name like the one asked for."""
    head, _, rest = request.path.lstrip("/").partition("/")
    if head == "jobs" and "/logs/" in rest:
        return log_page(quote(rest.split("/")[0]), name)
    if head == "jobs" and "/configurations/" in rest:
        return configuration_page(quote(rest.split("/")[0]), name)
    if head == "files":
        return file_page(name)
    if head == "lineage":
        return history_page("lineage", name)
    if head == "samples":
        return address(f"/samples/{quote(name)}", {})
    return _with_filter(head, name)


def _with_filter(head: str, name: str) -> str:
    """Return this same page with a name in the filter that is spelled most like it."""
    filters_by_value = {request.args[field]: field for field in _NAMED if request.args.get(field)}
    if head not in _FILTERED or not filters_by_value:
        return address("/search", {"q": name})
    [mistyped] = get_close_matches(name, filters_by_value, n=1, cutoff=0.0)
    return here(**{filters_by_value[mistyped]: name})


def _as_now() -> str | None:
    """Return the address of this page without the moment in the past that it was asked for."""
    return safe_url(here(as_of=None)) if "as_of" in request.args else None


def _job() -> str | None:
    """Return the address of the job to which the requested log or configuration belongs."""
    head, _, rest = request.path.lstrip("/").partition("/")
    return job_page(quote(rest.split("/")[0])) if head == "jobs" else None


def _choices(problem: Problem) -> list[Mapping[str, str]]:
    """Return which of several there are, or where else a name is known."""
    return [*problem.hints.choices, *problem.hints.known_in][:_MOST_CHOICES]


def _choice(asked: Mapping[str, str]) -> dict[str, str]:
    """Return one of several in words, with the address of this page that asks for it."""
    experiment, other = "", ""
    for field, value in asked.items():
        if "experiment" in field:
            experiment = experiment or value
        else:
            other = other or value
    title = experiment
    if other:
        title = f"{other}: in {experiment}"
    return {"title": title, "url": address(request.path, {**request.args.to_dict(), **asked})}
