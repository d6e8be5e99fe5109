"""The list of jobs: filters, newest first, a page at a time, all in the address."""

from collections.abc import Container
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import moment
from jobprov.app.web.frame.page import answer_rows, asked, asked_file, asked_number, here, table
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, job_conditions
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.comparisons.recipes import read_recipe
from jobprov.provenance.services.lookup.jobs import list_jobs

_WORDS = (
    "experiment",
    "task_id",
    "campaign",
    "stage",
    "state",
    "host",
    "site",
    "software",
    "revision",
    "file",
    "reads",
    "file_experiment",
    "unit",
    "batch_id",
    "failed_step",
    "error_class",
    "failure_class",
)
_PARAMETER = ("parameter", "value")
_TIMES = ("started_after", "started_before", "received_after")
_ROWS = 100
_COLUMNS = (
    "job_id",
    "experiment",
    "state",
    "batch_id",
    "campaign",
    "stage",
    "task_id",
    "unit",
    "hostname",
    "site",
    "code",
)
_MORE_COLUMNS = (
    "started_at",
    "ended_at",
    "exit_code",
    "signal",
    "failed_step",
    "error_class",
    "message",
)


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/jobs", view_func=show_list, endpoint="jobs")


def show_list() -> Response:
    """Show the jobs that pass the filters of the address, as a page or as CSV."""
    filters = asked_filters()
    limit = asked_number("limit", least=1, most=_ROWS) or _ROWS
    if asked("format") == "csv":
        return _csv(_list(filters, limit)["jobs"])
    return answer_rows("lookup/jobs.html", limit, lambda rows: _values(filters, rows))


def _list(filters: JobFilters, limit: int) -> dict[str, Any]:
    with get_service().reading() as connection:
        return list_jobs(connection, filters, limit=limit, cursor=asked("cursor"))


def _values(filters: JobFilters, limit: int) -> dict[str, Any]:
    """Return what the page shows of so many jobs."""
    found = _list(filters, limit)
    set_filters = {
        name: str(value)
        for name, value in request.args.to_dict().items()
        if name in (*filters._fields, "recipe_id") and (value or name == "namespace")
    }
    return {
        "twin": address(
            "/jobs", {**set_filters, "limit": str(limit), "cursor": asked("cursor") or ""}
        ),
        "jobs": found["jobs"],
        "filters": set_filters,
        "words": first_line(len(found["jobs"]), set_filters, is_more=found["next"] is not None),
        "next_page": here(cursor=found["next"]) if found["next"] else None,
        "first_page": here(cursor=None) if asked("cursor") else None,
        "csv": here(format="csv", limit=str(limit)),
    }


def asked_filters(of: Container[str] | None = None) -> JobFilters:
    """Return the filters in the address; only those named `of`, where a page has no others.

    It counts what it says.

    Raises:
        BadInputError: a time or number cannot be read.
    """
    found = _all_filters()
    job_conditions(
        JobFilters(state=found.state)
    )  # a word that is no state is refused, also where it counts nothing
    return (
        found
        if of is None
        else JobFilters(**{name: v for name, v in found._asdict().items() if name in of})
    )


def _all_filters() -> JobFilters:
    words: dict[str, Any] = {name: asked(name) for name in (*_WORDS, *_PARAMETER)}
    words |= {name: asked_time(name) for name in _TIMES}
    if words["file"] is not None:
        words["namespace"] = asked_file()["namespace"]
    recipe = asked("recipe_id")
    words["recipe"] = None if recipe is None else read_recipe(recipe)
    return JobFilters(**words, exit_code=asked_number("exit_code", least=0, most=2**31))


def asked_time(name: str) -> datetime | None:
    """Return a time of the query, in UTC where it says no zone; None where it is absent.

    Raises:
        BadInputError: it cannot be read.
    """
    value = asked(name)
    if value is None:
        return None
    found = moment(value) or moment(f"{value}Z") or moment(f"{value}T00:00:00Z")
    if found is None:
        raise BadInputError(
            f"{name}: {value[:40]!r} is no time; write 2026-11-24 or 2026-11-24T16:00:00Z.",
            {name: ["not a time"]},
        )
    return found


def first_line(count: int, filters: dict[str, str], *, is_more: bool) -> str:
    """Return what the list is, in words."""
    told = ", ".join(
        f"{name.replace('_', ' ')} {value}" if value else f"no {name}"
        for name, value in filters.items()
    )
    of_what = f" with {told}" if told else ""
    if not count:
        return f"No job{of_what} is recorded."
    if is_more:
        return f"The {count} newest jobs{of_what}; there are more."
    return f"{count} jobs{of_what}." if count > 1 else f"One job{of_what}."


def _csv(jobs: list[dict[str, Any]]) -> Response:
    """Return the same rows as CSV."""
    names = (*_COLUMNS, *_MORE_COLUMNS, "wall_seconds", "cpu_seconds", "max_rss_bytes", "grade")
    return table("jobs", names, map(_flat, jobs))


def _flat(job: dict[str, Any]) -> dict[str, Any]:
    parts = {**job["task"], **job["host"], **job["resources"], **job["exit"]}
    return {
        **parts,
        **job,
        "exit_code": job["exit"]["code"],
    }  # `code` of a job is what ran, that of its exit a number
