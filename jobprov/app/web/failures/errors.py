"""The page of errors: why jobs failed, where, since when, and which places stand out."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from flask import Response

from jobprov.app.kept_answers import read_filtered
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, minute, with_full_stop
from jobprov.app.web.frame.page import answer, asked, here, pages, table
from jobprov.app.web.lookup.jobs import (
    FILTERS_OF_SUMS,
    asked_filters,
    asked_words,
    refuse_unknown,
)
from jobprov.provenance.answers.addresses import jobs_list
from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, Outlier
from jobprov.provenance.db.queries.failures.errors import SUMS
from jobprov.provenance.services.kept_answers.counting import ERRORS

_FILTER_OF = {
    "stage": "stage",
    "site": "site",
    "host": "host",
    "class": "failure_class",
    "step": "failed_step",
}
_WINDOWS = (
    ("24 hours", timedelta(hours=24)),
    ("7 days", timedelta(days=7)),
    ("28 days", timedelta(days=28)),
)
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


class Window(NamedTuple):
    """Jobs that started lately; no address where the page shows these already."""

    words: str
    url: str | None


class LinkedCause(NamedTuple):
    """A cause on a page, with links for the place where it is shown.

    Attributes:
        filters: those of the page.
        by: what splits causes.
    """

    cause: FailureCause
    filters: dict[str, str]
    by: str | None

    @property
    def jobs_link(self) -> str:
        """The address of the list of its jobs."""
        return jobs_list(**_same_cause(self.cause, self.filters, self.by))

    @property
    def log_link(self) -> str | None:
        """The address of the line that matched a rule, in the log of the newest of its jobs."""
        if self.cause.log is None:
            return None
        place = f"{self.cause.url}/logs/{self.cause.log.name}"
        return address(place, {"line": str(self.cause.log.at)}) + "#why"


class LinkedOutlier(NamedTuple):
    """A host or site that stands out."""

    place: Outlier
    filters: dict[str, str]

    @property
    def jobs_link(self) -> str:
        """The address of the list of its jobs."""
        return jobs_list(**{**self.filters, self.place.kind: self.place.name})


@pages.get("/errors", endpoint="errors")
def show_page() -> Response:
    """Show why the jobs that pass the filters of the address failed."""
    question = _asked_question()
    filters, by, sort = question
    errors = read_filtered(ERRORS, asked_filters(FILTERS_OF_SUMS), by=by, sort=sort)
    if asked("format") == "csv":
        return table("errors", _COLUMNS, msgspec.to_builtins(errors.causes))
    if not errors.jobs:
        refuse_unknown(filters)

    causes = linked_causes(errors.causes, filters, by)
    outliers = [LinkedOutlier(outlier, filters) for outlier in errors.outliers]
    return answer(
        "failures/errors.html",
        twin=address("/statistics/errors", {**filters, "by": by or "", "sort": sort}),
        errors=errors,
        first_line=first_line(errors, is_filtered=bool(filters)),
        causes=cut_rows("causes", causes, _MOST_CAUSES),
        outliers=cut_rows("outliers", outliers, _MOST_OUTLIERS),
        csv=here(format="csv"),
        filters=filters,
        windows=windows(filters, datetime.now(UTC)),
        by=by,
        is_sum=by in SUMS,
        sort=sort,
    )


def recent_errors(now: datetime) -> str:
    """Return the address of the page for jobs that started in the last day."""
    return address("/errors", {"started_after": _start(now, timedelta(hours=24))})


def _start(now: datetime, length: timedelta) -> str:
    """Return when a window of time began, at a full hour: within it the page keeps its address."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return f"{hour - length:%Y-%m-%dT%H:%M:%SZ}"


def windows(filters: dict[str, str], now: datetime) -> list[Window]:
    """Return the lengths of time that a shifter asks for, and all time."""
    shown_start = filters.get("started_after")
    choices = []
    for words, length in _WINDOWS:
        start = _start(now, length)
        url = None
        if start != shown_start or "started_before" in filters:
            url = here(started_after=start, started_before=None)
        choices.append(Window(words, url))
    is_all_time = shown_start is None and "started_before" not in filters
    url = None if is_all_time else here(started_after=None, started_before=None)
    choices.append(Window("all time", url))
    return choices


def _asked_question() -> ErrorsQuestion:
    filters = asked_words(FILTERS_OF_SUMS)
    return ErrorsQuestion(filters, asked("by"), asked("sort") or "count")


def linked_causes(
    causes: list[FailureCause], filters: dict[str, str], by: str | None = None
) -> list[LinkedCause]:
    """Return causes with their links; `filters` are the page's, `by` is what splits causes."""
    return [LinkedCause(cause, filters, by) for cause in causes]


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


def first_line(errors: ErrorCounts, *, is_filtered: bool = False) -> str:
    """Return how many jobs failed, for how many causes, and the newest of these."""
    if not errors.failures:
        return _no_failure(errors.jobs, is_filtered=is_filtered)
    newest = max(errors.causes, key=lambda cause: cause.last_at)
    sites = f" at {counted(newest.sites, 'site')}" if newest.sites else ""
    return (
        f"{counted(errors.failures, 'failure')} in {counted(errors.jobs, 'job')}, "
        f"{counted(errors.cause_count, 'cause')}; newest, {minute(newest.last_at)}{sites}: "
        f"{with_full_stop(_how(newest))}"
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
