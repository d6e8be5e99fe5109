"""Lists of a site that runs a large share of all jobs, and of the many that failed."""

import pytest

from jobprov.provenance.answers.lookup.jobs import JobList
from jobprov.provenance.db.queries.lookup.lists import jobs as job_lists
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.job_facets import count_facets
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.records import a_record
from tests.library.statements import statements_sent


def listed(production: Production, *, limit: int = 3, **filters: str) -> list[list[int]]:
    """Return the numbers of the jobs that pass the filters, page by page."""
    pages, cursor = [], None
    with production.database.reading.connect() as connection:
        while True:
            asked = JobFilters(**filters)
            page: JobList = list_jobs(connection, asked, limit=limit, cursor=cursor)
            pages.append([int(job.job_id[-4:], 16) for job in page.jobs])
            cursor = page.next
            if cursor is None:
                return pages


@pytest.mark.parametrize(("gathered", "looked_at"), [(1, 6), (1, 2), (1, 1000), (10_000, 20_000)])
def test_pages_are_the_same_wherever_the_newest_jobs_lie(
    production: Production, monkeypatch: pytest.MonkeyPatch, gathered: int, looked_at: int
) -> None:
    """Near the newest of all, further back, or both on one page."""
    monkeypatch.setattr(job_lists, "_MOST_GATHERED", gathered)
    monkeypatch.setattr(job_lists, "_LOOKED_AT", looked_at)
    sites = ["FNAL", "FNAL", "CERN", "FNAL", "FNAL", "CERN", "CERN", "CERN", "CERN", "FNAL"]
    for number, site in enumerate(sites, start=1):
        state = "failed" if site == "CERN" else "succeeded"
        host = {"hostname": f"wn-{site}", "site": site}
        production.record(a_record(number, host=host, state=state))

    assert listed(production, site="FNAL") == [[10, 5, 4], [2, 1]]
    assert listed(production, site="CERN") == [[9, 8, 7], [6, 3]]
    assert listed(production, site="RAL") == [[]]
    assert listed(production, state="failed") == [[9, 8, 7], [6, 3]]


def test_newest_of_many_failed_jobs_are_found_among_the_newest_jobs(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's index of what failed has them in no order: all would be gathered and sorted."""
    monkeypatch.setattr(job_lists, "_MOST_GATHERED", 1)
    for number in range(1, 5):
        production.record(a_record(number, state="failed"))
    monkeypatch.setattr(job_lists, "newest_keys", None)  # must not sort the keys of all

    with production.database.reading.connect() as connection:
        page = list_jobs(connection, JobFilters(state="failed"), limit=2)

    assert [int(job.job_id[-4:], 16) for job in page.jobs] == [4, 3]


def test_host_of_two_sites_has_the_jobs_of_both_unless_one_is_named(
    production: Production,
) -> None:
    for number, site in enumerate(["FNAL", "CERN", "FNAL"], start=1):
        production.record(a_record(number, host={"hostname": "wn1", "site": site}))
    production.record(a_record(4, host={"hostname": "wn2", "site": "FNAL"}))

    assert listed(production, host="wn1") == [[3, 2, 1]]
    assert listed(production, host="wn1", site="FNAL") == [[3, 1]]
    assert listed(production, host="wn1", state="failed") == [[]]
    assert listed(production, host="wn3") == [[]]


@pytest.mark.parametrize("sort", [None, "started_at"])
def test_host_is_looked_up_once_for_a_list(production: Production, sort: str | None) -> None:
    production.record(a_record(1, host={"hostname": "wn1"}))

    with (
        production.database.reading.connect() as connection,
        statements_sent(connection) as statements,
    ):
        page = list_jobs(connection, JobFilters(host="wn1"), sort=sort)

    assert len(page.jobs) == 1
    assert len([sql for sql, _ in statements if "WHERE hosts.hostname" in sql]) == 1


def test_host_is_looked_up_once_for_the_counts_of_a_list(production: Production) -> None:
    """Unless its own filter is left out, to count what other hosts there are to choose."""
    production.record(a_record(1, host={"hostname": "wn1"}), a_record(2, host={"hostname": "wn2"}))
    filters = JobFilters(host="wn1", state="succeeded")

    with (
        production.database.reading.connect() as connection,
        statements_sent(connection) as statements,
    ):
        counts = count_facets(connection, filters, ["state", "host", "experiment"])

    assert counts.total == 1
    assert [len(facet.values) for facet in counts.facets] == [1, 2, 1]
    assert len([sql for sql, _ in statements if "WHERE hosts.hostname" in sql]) == 1
