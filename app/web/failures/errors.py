"""The page of errors: why jobs failed, where, since when, and which places stand out."""

from typing import NamedTuple

import msgspec
from flask import Blueprint, Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, day
from jobprov.app.web.frame.page import answer, asked, here, table
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.provenance.answers.addresses import jobs_list
from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, Outlier
from jobprov.provenance.db.queries.failures.errors import SUMS
from jobprov.provenance.services.statistics.counting import ERRORS

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
_MOST_CAUSES = 40
_MOST_OUTLIERS = 20
_COLUMNS = (
    "count", "by", "cause", "class", "words", "transient", "state", "failed_step", "error_class",
    "exit_code", "signal", "hosts", "sites", "last_day", "day_before", "first_at", "last_at",
    "message", "example",
)  # fmt: skip


class ErrorsQuestion(NamedTuple):
    """What the page is asked: which jobs, how causes are split, and which come first."""

    filters: dict[str, str]
    by: str | None
    sort: str


class LinkedCause(NamedTuple):
    """A cause, the list of its jobs, and the line in the log of the newest that matched a rule."""

    cause: FailureCause
    jobs_link: str
    log_link: str | None


class LinkedOutlier(NamedTuple):
    """A place that stands out, and the list of its jobs."""

    place: Outlier
    jobs_link: str


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/errors", view_func=show_page, endpoint="errors")


def show_page() -> Response:
    """Show why the jobs that pass the filters of the address failed."""
    question = _asked_question()
    filters, by, sort = question
    errors = read_filtered(ERRORS, asked_filters(_FILTERS), by=by, sort=sort)
    if asked("format") == "csv":
        return table("errors", _COLUMNS, msgspec.to_builtins(errors.causes))

    causes = linked_causes(errors.causes, filters, by)
    outliers = [_linked_outlier(outlier, filters) for outlier in errors.outliers]
    return answer(
        "failures/errors.html",
        twin=address("/statistics/errors", {**filters, "by": by or "", "sort": sort}),
        errors=errors,
        first_line=first_line(errors, is_filtered=bool(filters)),
        causes=cut_rows("causes", causes, _MOST_CAUSES),
        outliers=cut_rows("outliers", outliers, _MOST_OUTLIERS),
        csv=here(format="csv"),
        filters=filters,
        by=by,
        is_sum=by in SUMS,
        sort=sort,
    )


def _asked_question() -> ErrorsQuestion:
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    return ErrorsQuestion(filters, asked("by"), asked("sort") or "count")


def linked_causes(
    causes: list[FailureCause], filters: dict[str, str], by: str | None = None
) -> list[LinkedCause]:
    """Return causes with their links; `filters` are the page's, `by` is what splits causes."""
    linked = []
    for cause in causes:
        jobs_link = jobs_list(**_same_cause(cause, filters, by))
        linked.append(LinkedCause(cause, jobs_link, _log_link(cause)))
    return linked


def _same_cause(cause: FailureCause, filters: dict[str, str], by: str | None) -> dict[str, str]:
    """Return filters for the list of jobs that failed in this way, as far as that list has them."""
    same: dict[str, str | int | None] = {**filters, "cause_id": cause.cause_id}
    if cause.cause_id is None:
        same |= {
            "state": cause.state,
            "failed_step": cause.failed_step,
            "exit_code": cause.exit_code,
            "error_class": cause.error_class,
        }
    if by in _FILTER_OF and cause.by is not None:
        same[_FILTER_OF[by]] = cause.by
    return {name: str(value) for name, value in same.items() if value is not None}


def _log_link(cause: FailureCause) -> str | None:
    """Return the address of the line that matched, in the log of the example."""
    if cause.log is None:
        return None
    return address(f"{cause.url}/logs/{cause.log.name}", {"line": str(cause.log.at)}) + "#why"


def _linked_outlier(outlier: Outlier, filters: dict[str, str]) -> LinkedOutlier:
    return LinkedOutlier(outlier, jobs_list(**{**filters, outlier.kind: outlier.name}))


def first_line(errors: ErrorCounts, *, is_filtered: bool = False) -> str:
    """Return how many jobs failed, for how many causes, and the newest of these."""
    if not errors.failures:
        return _no_failure(errors.jobs, is_filtered=is_filtered)
    newest = max(errors.causes, key=lambda cause: cause.last_at)
    sites = f" at {counted(newest.sites, 'site')}" if newest.sites else ""
    return (
        f"{counted(errors.failures, 'failure')} in {counted(errors.jobs, 'job')}, "
        f"{counted(errors.cause_count, 'cause')}; newest, {day(newest.last_at)}{sites}: "
        f"{_how(newest)}."
    )


def _no_failure(jobs: int, *, is_filtered: bool) -> str:
    if jobs:
        return f"No failure in {counted(jobs, 'job')}."
    if is_filtered:
        return "No finished job matches these filters."
    return "No job has finished yet."


def _how(cause: FailureCause) -> str:
    """Return how jobs failed, to end a sentence with."""
    if cause.words:
        if cause.words[1:2].isupper():  # an abbreviation, such as CVMFS
            return cause.words
        return cause.words[:1].lower() + cause.words[1:]
    if cause.cause or cause.error_class:
        return cause.cause or str(cause.error_class)
    if cause.signal is not None:
        return f"signal {cause.signal}"
    if cause.exit_code is not None:
        return f"exit code {cause.exit_code}"
    return str(cause.state or cause.by)
