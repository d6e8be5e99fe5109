"""The page of errors: why jobs did not succeed, where, since when, and which places stand out."""

from typing import Any

from flask import Blueprint, Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, day
from jobprov.app.web.frame.page import answer, asked, here, table
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.provenance.db.queries.failures.errors import SUMS

_FILTERS = (
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "site",
    "host",
    "revision",
    "started_after",
    "started_before",
)
_FILTER_OF = {
    "stage": "stage",
    "site": "site",
    "host": "host",
    "class": "failure_class",
    "step": "failed_step",
}
_ROWS = 40
_COLUMNS = (
    "count", "by", "class", "words", "transient", "state", "failed_step", "error_class", "exit_code", "signal", "hosts", "sites",
    "last_day", "day_before", "first_at", "last_at", "message", "example",
)  # fmt: skip


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/errors", view_func=show_page, endpoint="errors")


def show_page() -> Response:
    """Show the causes of failure of the jobs that pass the filters of the address."""
    by, sort = asked("by"), asked("sort") or "count"
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    found = read_filtered("errors", asked_filters(_FILTERS), by=by, sort=sort)
    if asked("format") == "csv":
        return table("errors", _COLUMNS, found["causes"])
    causes = linked_causes(found["causes"], filters, by)
    return answer(
        "failures/errors.html",
        twin=address("/statistics/errors", {**filters, "by": by or "", "sort": sort}),
        found=found,
        first_line=first_line(found, is_filtered=bool(filters)),
        causes=cut_rows("causes", causes, _ROWS),
        outliers=cut_rows(
            "outliers", [_linked(outlier, filters) for outlier in found["outliers"]], 20
        ),
        csv=here(format="csv"),
        filters=filters,
        by=by,
        is_sum=by in SUMS,
        sort=sort,
    )


def linked_causes(
    causes: list[dict[str, Any]], filters: dict[str, str], by: str | None = None
) -> list[dict[str, Any]]:
    """Return causes with the address of the list of their jobs, and of the line that told in the log of the newest."""
    return [
        {
            **cause,
            "jobs": address("/jobs", _same_cause(cause, filters, by)),
            "log_link": _log_link(cause),
        }
        for cause in causes
    ]


def _same_cause(cause: dict[str, Any], filters: dict[str, str], by: str | None) -> dict[str, str]:
    """Return the filters of the list of jobs that failed in this way.

    A part that it cannot be narrowed to is left out.
    """
    said = {name: cause[name] for name in ("state", "failed_step", "exit_code", "error_class")}
    said["failure_class"] = cause["class"] if cause["rule"] and by not in SUMS else None
    part = {_FILTER_OF[by]: cause["by"]} if by in _FILTER_OF else {}
    return {
        name: str(value) for name, value in {**filters, **said, **part}.items() if value is not None
    }


def _log_link(cause: dict[str, Any]) -> str | None:
    """Return the address of the line that told, in the log of the example."""
    if cause["log"] is None:
        return None
    line = str(cause["log"]["at"])
    return address(f"{cause['url']}/logs/{cause['log']['name']}", {"line": line}) + "#why"


def _linked(outlier: dict[str, Any], filters: dict[str, str]) -> dict[str, Any]:
    return {**outlier, "link": address("/jobs", {**filters, outlier["kind"]: outlier["name"]})}


def _how(cause: dict[str, Any]) -> str:
    if cause["words"]:
        words: str = cause["words"]
        return words[:1].lower() + words[1:] if not words[1:2].isupper() else words
    if cause["error_class"]:
        return str(cause["error_class"])
    if cause["signal"] is not None:
        return f"signal {cause['signal']}"
    return (
        str(cause["state"] or cause["by"])
        if cause["exit_code"] is None
        else f"exit code {cause['exit_code']}"
    )


def first_line(found: dict[str, Any], *, is_filtered: bool = False) -> str:
    """Return how many jobs failed of how many causes, and the newest of these."""
    if not found["failures"]:
        none = "No job that is over passes these filters." if is_filtered else "No job is over yet."
        return f"No failure in {counted(found['jobs'], 'job')}." if found["jobs"] else none
    newest = max(found["causes"], key=lambda cause: cause["last_at"])
    how = _how(newest)
    where = f" at {counted(newest['sites'], 'site')}" if newest["sites"] else ""
    return (
        f"{counted(found['failures'], 'failure')} in {counted(found['jobs'], 'job')}, {counted(found['cause_count'], 'cause')}; "
        f"newest, {day(newest['last_at'])}{where}: {how}."
    )
