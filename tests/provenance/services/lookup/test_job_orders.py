"""Lists of jobs in every order, page by page, and how long they may be."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from jobprov.provenance.answers.lookup.jobs import JOB_ORDERS, JobSummary
from jobprov.provenance.db.queries.lookup.lists import job_orders
from jobprov.provenance.db.queries.lookup.lists.job_filters import MOST_IDS, JobFilters
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.jobs import list_jobs, write_place
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id
from tests.library.statements import plan_of, statements_sent

VALUES: dict[str, Callable[[JobSummary], Any]] = {
    "received_at": lambda job: job.received_at,
    "started_at": lambda job: job.started_at,
    "ended_at": lambda job: job.ended_at,
    "wall_seconds": lambda job: job.resources.wall_seconds,
    "cpu_seconds": lambda job: job.resources.cpu_seconds,
    "max_rss_bytes": lambda job: job.resources.max_rss_bytes,
    "exit_code": lambda job: job.exit.code,
    "output_count": lambda job: job.output_count,
    "state": lambda job: STATES.index(job.state),
    "stage": lambda job: job.task.stage,
    "task_id": lambda job: job.task.task_id,
    "unit": lambda job: job.task.unit,
    "site": lambda job: job.host.site,
    "host": lambda job: job.host.hostname,
}
"""What each order compares, in a job as lists show it."""


def record_some(production: Production) -> None:
    """Record jobs that share values, and some of which nothing is known."""
    records = []
    for number in range(1, 8):
        resources = {"wall_seconds": number % 3 + 0.5, "cpu_seconds": 7.0 - number}
        task = {"task_id": f"t{number % 2}", "campaign": "c", "stage": ("reco", "gen")[number % 2]}
        record = a_record(
            number,
            state=("succeeded", "failed", "killed")[number % 3],
            started_at=f"2026-01-0{number % 4 + 1}T00:00:00Z",
            ended_at=f"2026-01-08T0{number % 5}:00:00Z",
            task={**task, "unit": f"u{9 - number}"},
            host={"hostname": f"wn{number % 3}", "site": f"S{number % 2}"},
            resources={**resources, "max_rss_bytes": 10**9 + number % 4},
            exit={"code": number % 3},
            outputs=[file_entry(f"f{number}.root", number, number)],
        )
        records.append(record)
    bare = [{"task": {"task_id": "t1"}}, {}]
    records += [
        a_record(10 + place, state="lost", started_at=None, ended_at=None, **fields)
        for place, fields in enumerate(bare)
    ]
    production.record(*records)


def pages(
    production: Production, filters: JobFilters, sort: str | None, limit: int = 2
) -> list[JobSummary]:
    """Return the jobs of all pages; none of them may be longer than the limit."""
    listed, cursor = [], None
    with production.database.reading.connect() as connection:
        while True:
            page = list_jobs(connection, filters, limit=limit, cursor=cursor, sort=sort)
            assert len(page.jobs) <= limit
            listed += page.jobs
            cursor = page.next
            if cursor is None:
                return listed


def check_order(jobs: list[JobSummary], sort: str) -> None:
    """Fail where a job does not belong behind the one before it: what is not known comes last."""
    value_of = VALUES[sort.removeprefix("-")]
    values = [value_of(job) for job in jobs]
    known = [value for value in values if value is not None]
    assert values[len(known) :] == [None] * (len(values) - len(known)), sort
    assert known == sorted(known, reverse=sort.startswith("-")), sort


RECORDED_IDS = {job_id(number) for number in (*range(1, 8), 10, 11)}
"""Of the jobs of `record_some`."""


def both_ways(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield f"-{name}"


@pytest.mark.slow
def test_short_list_has_every_order_page_by_page(production: Production) -> None:
    """An index finds its jobs, and they are sorted."""
    record_some(production)
    by_ids = JobFilters(job_id=",".join(RECORDED_IDS))

    for sort in both_ways(JOB_ORDERS):
        jobs = pages(production, by_ids, sort, limit=4)
        assert {job.job_id for job in jobs} == RECORDED_IDS
        assert len(jobs) == len(RECORDED_IDS), sort
        check_order(jobs, sort)


@pytest.mark.slow
def test_long_list_walks_the_index_of_its_order_page_by_page(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_some(production)
    monkeypatch.setattr(job_orders, "MOST_WALKED", 3)

    for sort in both_ways(["received_at", "started_at", "ended_at"]):
        jobs = pages(production, JobFilters(experiment="nova"), sort)
        assert len(jobs) == len(RECORDED_IDS), sort
        assert {job.job_id for job in jobs} == RECORDED_IDS
        check_order(jobs, sort)
        ended_well = pages(production, JobFilters(experiment="nova", exit_code=0), sort)
        assert {job.exit.code for job in ended_well} == {0}
        assert len(ended_well) == 2, sort


def test_order_that_no_index_has_is_of_short_lists(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_some(production)
    monkeypatch.setattr(job_orders, "MOST_SORTED", 3)
    short = JobFilters(task_id="t1", state="killed")

    assert len(pages(production, short, "-wall_seconds")) == 1
    assert len(pages(production, JobFilters(host="wn1"), "-max_rss_bytes")) == 3
    for long in (JobFilters(), JobFilters(experiment="nova", exit_code=0), JobFilters(site="S1")):
        with pytest.raises(BadInputError, match="wall_seconds sorts lists of at most 3 jobs"):
            pages(production, long, "wall_seconds")
        pages(production, long, "started_at")


def test_jobs_in_several_states_are_listed(production: Production) -> None:
    record_some(production)

    def states(wanted: str, sort: str | None = None) -> list[str]:
        return [job.state for job in pages(production, JobFilters(state=wanted), sort)]

    assert sorted(states("failed,killed")) == ["failed"] * 3 + ["killed"] * 2
    assert sorted(states("killed, failed,failed", "-ended_at")) == sorted(states("failed,killed"))
    assert sorted(states("killed,succeeded")) == ["killed"] * 2 + ["succeeded"] * 2
    newest_first = pages(production, JobFilters(state="failed,killed"), None)
    assert all(job.received_at > older.received_at for job, older in pairwise(newest_first))


WRONG: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({"state": "failed,odd"}, {}, "state: 'odd' is not one of running, succeeded"),
    ({"state": ","}, {}, "state: name at least one"),
    ({"job_id": "1"}, {}, "job_id: '1' is not the id of a job"),
    ({"job_id": ",".join(map(job_id, range(MOST_IDS + 1)))}, {}, "job_id: at most 200 ids"),
    ({}, {"sort": "odd"}, "sort: 'odd' is not an order; there are received_at, started_at"),
    ({}, {"sort": "--state"}, "sort: '--state' is not an order"),
    ({}, {"sort": "started_at", "cursor": "7"}, "cursor: not one that a list gave"),
    ({}, {"sort": "started_at", "cursor": "é\0"}, "cursor: not one that a list gave"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("filters", "page", "problem"), WRONG)
def test_list_that_cannot_be_read_is_refused_with_the_parameter(
    production: Production, filters: dict[str, Any], page: dict[str, Any], problem: str
) -> None:
    with (
        production.database.reading.connect() as connection,
        pytest.raises(BadInputError, match=problem),
    ):
        list_jobs(connection, JobFilters(**filters), **page)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_cursor_is_of_one_order(production: Production) -> None:
    production.record(a_record(1), a_record(2))
    forged = [("state", "text", 1), ("unit", 1.0, 1), ("ended_at", "x", 1), ("unit", "a", 2**70)]
    with production.database.reading.connect() as connection:
        cursor = list_jobs(connection, JobFilters(), limit=1, sort="ended_at").next
        with pytest.raises(BadInputError, match="cursor: of a list sorted by ended_at"):
            list_jobs(connection, JobFilters(), cursor=cursor, sort="-ended_at")
        for name, value, key in forged:
            order = job_orders.JobOrder(name, is_descending=False)
            written = write_place(job_orders.PageEnd(value, key), order)
            with pytest.raises(BadInputError, match="cursor: not one that a list gave"):
                list_jobs(connection, JobFilters(task_id="t"), cursor=written, sort=name)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_page_walks_the_index_of_its_order_and_sorts_nothing(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another index has what the list is filtered by."""
    record_some(production)
    monkeypatch.setattr(job_orders, "MOST_SORTED", 2)
    plans: list[str] = []
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            page = list_jobs(connection, JobFilters(site="S1"), sort="-started_at")
        for statement in statements:
            if "CASE WHEN" in statement.sql:
                plans.append(" ".join(plan_of(connection, statement)))

    assert len(page.jobs) == 4
    assert plans
    assert all("SEARCH jobs USING INDEX ix_jobs_started_at" in plan for plan in plans), plans
    assert not any("TEMP B-TREE" in plan for plan in plans), plans
