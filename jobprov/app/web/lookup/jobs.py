"""The list of jobs: filters, counts, orders and a page at a time, all in the address.

Jobs that are ticked are a list of their own, by their ids, from which everything else starts.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from flask import Response, redirect, request

from jobprov.app.csv_rows import Cell
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.page import (
    answer_rows,
    asked,
    asked_file,
    asked_number,
    first_page,
    here,
    next_page,
    pages,
    table,
)
from jobprov.app.web.lookup.list_controls import (
    ORDER_WORDS,
    Facet,
    Head,
    StateCount,
    count_states,
    facets_of,
    first_line,
    head_of,
    shared_by_all,
    why_unsorted,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup.jobs import JobList, JobSummary
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.queries.failures.classes import cause_of
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.services.comparisons.recipes import read_recipe
from jobprov.provenance.services.comparisons.sentences import readable
from jobprov.provenance.services.lookup.job_tables import AroundJobs, files_of, look_around
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.search.unknown_names import refuse_unknown_names

_SHOWN = frozenset({*JobFilters._fields, "recipe_id"})
"""The words of an address that the page shows as filters."""
_LISTED = ("state", "job_id")
"""Filters of several values: a form gives each by itself, addresses with commas between them."""
FILTERS_OF_SUMS = (
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
"""The filters of pages that sum over many jobs."""
_ROWS, _MOST_ROWS, _MOST_MATCHED = 50, 100, 12
_COLUMNS: Mapping[str, Callable[[JobSummary], Cell]] = {
    "job_id": lambda job: job.job_id,
    "experiment": lambda job: job.experiment,
    "state": lambda job: job.state,
    "batch_id": lambda job: job.batch_id,
    "campaign": lambda job: job.task.campaign,
    "stage": lambda job: job.task.stage,
    "task_id": lambda job: job.task.task_id,
    "unit": lambda job: job.task.unit,
    "hostname": lambda job: job.host.hostname,
    "site": lambda job: job.host.site,
    "code": lambda job: job.code,
    "started_at": lambda job: job.started_at,
    "ended_at": lambda job: job.ended_at,
    "exit_code": lambda job: job.exit.code,
    "signal": lambda job: job.exit.signal,
    "failed_step": lambda job: job.exit.failed_step,
    "error_class": lambda job: job.exit.error_class,
    "message": lambda job: job.exit.message,
    "wall_seconds": lambda job: job.resources.wall_seconds,
    "cpu_seconds": lambda job: job.resources.cpu_seconds,
    "max_rss_bytes": lambda job: job.resources.max_rss_bytes,
    "output_count": lambda job: job.output_count,
    "grade": lambda job: job.grade,
}
"""The columns of the list as CSV, each with what it has of a job."""


class JobsQuestion(NamedTuple):
    """Which jobs the address asks for.

    Attributes:
        limit: how many at most.
        cursor: where the page before ended; None for the first.
        sort: the order; None for the newest first.
    """

    filters: JobFilters
    limit: int
    cursor: str | None
    sort: str | None

    @classmethod
    def from_request(cls) -> "JobsQuestion":
        """Return the question in the query of the address.

        Raises:
            BadInputError: a filter or the limit cannot be read.
        """
        limit = asked_number("limit", least=1, most=_MOST_ROWS) or _ROWS
        return cls(asked_filters(), limit, asked("cursor"), asked("sort"))


class MatchedValue(NamedTuple):
    """A value of a parameter or seed that fits the question, and how many jobs have it."""

    key: str
    value: str
    jobs: int


class JobsPage(NamedTuple):
    """What the page shows.

    Attributes:
        files: the first output of jobs, by job id and experiment.
        matched: the most frequent values that fit a question about parameters or seeds.
        filters: as the address has them.
        facets: by what else the list can be narrowed down, by the name of the filter.
        shared: what all of its jobs have in common, in words.
        cause: why all of them failed, in words, where the list is of one cause.
        unsorted: why some columns do not sort; None where all do.
        counted_of: how many jobs the facets were counted among; None where all were.
        csv: the address of the same list as CSV.
    """

    twin: str
    jobs: list[JobSummary]
    files: dict[tuple[str, str], FileName]
    matched: list[MatchedValue]
    filters: dict[str, str]
    sort: str | None
    states: list[StateCount]
    facets: dict[str, Facet]
    shared: list[str]
    heads: dict[str, Head]
    cause: str | None
    unsorted: str | None
    counted_of: int | None
    first_line: str
    first_page: str | None
    next_page: str | None
    next_words: str
    csv: str


@pages.get("/jobs", endpoint="jobs")
def show_list() -> Response:
    """Show the jobs that pass the filters of the address, as a page or as CSV."""
    repeated: dict[str, str | None] = {}
    for name in _LISTED:
        values = request.args.getlist(name)
        if len(values) > 1:
            repeated[name] = ",".join(values)
    if repeated:
        return cast("Response", redirect(here(**repeated), 302))
    question = JobsQuestion.from_request()
    if asked("format") == "csv":
        return _csv(_list(question).jobs)
    with get_service().reading() as connection:
        around = look_around(connection, question.filters)
    question = question._replace(filters=around.filters)

    def page_of(rows: int) -> JobsPage:
        shorter = question._replace(limit=rows)
        return _page(shorter, _list(shorter), around)

    return answer_rows("lookup/jobs.html", question.limit, page_of)


def _csv(jobs: Sequence[JobSummary]) -> Response:
    rows = []
    for job in jobs:
        rows.append({name: cell_of(job) for name, cell_of in _COLUMNS.items()})
    return table("jobs", list(_COLUMNS), rows)


def _list(question: JobsQuestion) -> JobList:
    with get_service().reading() as connection:
        return list_jobs(
            connection,
            question.filters,
            limit=question.limit,
            cursor=question.cursor,
            sort=question.sort,
        )


def _files(jobs: Sequence[JobSummary]) -> dict[tuple[str, str], FileName]:
    with get_service().reading() as connection:
        return files_of(connection, jobs)


def _page(question: JobsQuestion, listed: JobList, around: AroundJobs) -> JobsPage:
    filters = _filters_of_address()
    paging = {
        "limit": str(question.limit),
        "cursor": question.cursor or "",
        "sort": question.sort or "",
    }
    cause = _cause(question, listed)
    facets = around.facets
    line = first_line(
        listed, facets, filters, cause=cause, sort=question.sort, cursor=question.cursor
    )
    shown_facets = facets_of(facets)
    counts_some = any(len(facet.choices) > 1 for facet in shown_facets.values())
    is_whole = question.cursor is None and listed.next is None
    why_columns_do_not_sort = counted_of = None
    if not (around.is_short or is_whole):
        why_columns_do_not_sort = why_unsorted()
    if counts_some and not facets.is_exact:
        counted_of = facets.counted_of
    next_words = "Further"
    if question.sort in (None, "-received_at"):
        next_words = "Older"
    return JobsPage(
        twin=address("/jobs", {**filters, **paging}),
        jobs=listed.jobs,
        files=_files(listed.jobs),
        matched=_matched(listed),
        filters=filters,
        sort=question.sort,
        states=count_states(facets, filters),
        facets=shown_facets,
        shared=shared_by_all(facets, filters),
        heads={name: head_of(name, question.sort, around) for name in ORDER_WORDS},
        cause=cause,
        unsorted=why_columns_do_not_sort,
        counted_of=counted_of,
        first_line=line,
        first_page=first_page(),
        next_page=next_page(listed.next),
        next_words=next_words,
        csv=here(format="csv", limit=str(question.limit)),
    )


def _cause(question: JobsQuestion, listed: JobList) -> str | None:
    """Return why the jobs of one cause failed; they all know, so the first one is asked."""
    if question.filters.cause_id is None or not listed.jobs:
        return None
    job = listed.jobs[0]
    with get_service().reading() as connection:
        return cause_of(connection, job.experiment, job.job_id)


def _matched(listed: JobList) -> list[MatchedValue]:
    """Return the values that fit the question, the most frequent among jobs first."""
    counts: Counter[tuple[str, str]] = Counter()
    for parameters in listed.matched.values():
        counts.update((parameter.key, parameter.value) for parameter in parameters)
    matched = []
    for (key, value), count in counts.most_common(_MOST_MATCHED):
        matched.append(MatchedValue(key, readable(value), count))
    return matched


def _filters_of_address() -> dict[str, str]:
    """Return the filters as the address has them; an empty namespace means a file without one."""
    filters = {}
    for name, value in request.args.to_dict().items():
        if name in _SHOWN and (value or name == "namespace"):
            filters[name] = value
    return filters


def asked_words(names: Iterable[str]) -> dict[str, str]:
    """Return the words of the address that are among these and not empty, by name."""
    return {name: value for name in names if (value := asked(name))}


def refuse_unknown(filters: Mapping[str, str]) -> None:
    """Refuse a question without an answer where a mistyped name is why.

    Raises:
        NotFoundError: nothing recorded has one of the names; it names those that are much alike.
    """
    with get_service().reading() as connection:
        refuse_unknown_names(connection, filters)


def asked_filters(of: Container[str] | None = None) -> JobFilters:
    """Return the filters in the address; only those named `of`, where a page has no others.

    Raises:
        BadInputError: a state, time or number cannot be read, whether or not it is among `of`.
    """
    filters = _all_filters()
    # refuses what is no state or id, on pages that have no such filter too
    job_conditions(JobFilters(state=filters.state, job_id=filters.job_id))
    if of is None:
        return filters
    chosen = {name: value for name, value in filters._asdict().items() if name in of}
    return JobFilters(**chosen)


def _all_filters() -> JobFilters:
    filters = JobFilters(
        experiment=asked("experiment"),
        task_id=asked("task_id"),
        campaign=asked("campaign"),
        stage=asked("stage"),
        state=asked("state"),
        job_id=asked("job_id"),
        host=asked("host"),
        site=asked("site"),
        software=asked("software"),
        revision=asked("revision"),
        file=asked("file"),
        reads=asked("reads"),
        file_experiment=asked("file_experiment"),
        checksum=asked("checksum"),
        unit=asked("unit"),
        batch_id=asked("batch_id"),
        failed_step=asked("failed_step"),
        error_class=asked("error_class"),
        failure_class=asked("failure_class"),
        cause_id=asked("cause_id"),
        parameter=asked("parameter"),
        value=asked("value"),
        variable=asked("variable"),
        seed=asked_number("seed", least=0, most=2**63 - 1),
        started_after=asked_time("started_after"),
        started_before=asked_time("started_before"),
        received_after=asked_time("received_after"),
        exit_code=asked_number("exit_code", least=0, most=2**31),
    )
    if filters.file is not None or filters.reads is not None:
        filters = filters._replace(namespace=asked_file()["namespace"])
    if recipe := asked("recipe_id"):
        filters = filters._replace(recipe=read_recipe(recipe))
    return filters


def asked_time(name: str, *, of_day: str = "00:00:00") -> datetime | None:
    """Return a time of the query, in UTC where it says no zone; None where it is absent.

    A day alone means that time `of_day`.

    Raises:
        BadInputError: it cannot be read.
    """
    value = asked(name)
    if value is None:
        return None
    time = read_time(value) or read_time(f"{value}Z") or read_time(f"{value}T{of_day}Z")
    if time is None:
        raise BadInputError(
            f"{name}: {value[:40]!r} is not a time; write 2026-11-24 or 2026-11-24T16:00:00Z.",
            {name: ["not a time"]},
        )
    return time
