"""What a campaign cost by site, release and week, against jobs by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobprov.app.reports.rows import cost_words, silent_words, spent_row
from jobprov.provenance.answers.statistics.spending import Spending, Spent
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.statistics.spending import count_spending
from tests.library.production import Production
from tests.library.records import a_record

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def job(number: int, ended: datetime, site: str, version: str, **more: Any) -> dict[str, Any]:
    """Return a job of two CPU hours."""
    software = [
        {
            "name": "novasoft",
            "repository": "https://git.example.org/n.git",
            "requested_ref": version,
        }
    ]
    fields: dict[str, Any] = {
        "ended_at": ended.isoformat(),
        "software": software,
        "host": {"hostname": f"n.{site}", "site": site} if site else {},
        "task": {"task_id": "t1", "campaign": "c", "stage": "reco"},
        "resources": {"wall_seconds": 7200, "cpu_user_seconds": 7000, "cpu_system_seconds": 200},
        **more,
    }
    return a_record(number, **fields)


def spending(production: Production, **filters: Any) -> Spending:
    with production.database.reading.connect() as connection:
        return count_spending(connection, JobFilters(**filters), NOW)


def told(costs: list[Spent]) -> list[tuple[str | None, int, int, float, float]]:
    return [
        (spent.name, spent.jobs, spent.failures, spent.cpu_hours, spent.lost_cpu_hours)
        for spent in costs
    ]


def test_costs_are_added_up_by_week_site_and_release(production: Production) -> None:
    original = "0f8b0000-0000-4000-8000-000000000001"
    other_campaign = {"task_id": "t2", "campaign": "d", "stage": "reco"}
    production.record(
        job(1, NOW - DAY, "FNAL", "v2"),
        job(2, NOW - DAY, "FNAL", "v2", state="failed"),
        job(3, NOW - 8 * DAY, "CERN", "v1"),
        job(4, NOW - 20 * DAY, "CERN", "v1", state="killed"),
        job(5, NOW - 20 * DAY, "CERN", "v1", resources={}),
        job(6, NOW - DAY, "", "v2", software=[]),
        job(7, NOW - DAY, "FNAL", "v2", rerun_of=original),
        job(8, NOW - DAY, "FNAL", "v2", task=other_campaign),
        job(9, NOW - DAY, "FNAL", "v2", state="running", ended_at=None),
    )

    found = spending(production, experiment="nova", campaign="c")

    assert told([found.total]) == [("all", 6, 2, pytest.approx(10), pytest.approx(4))]
    assert told(found.weeks) == [
        ("last 7 days", 3, 1, pytest.approx(6), pytest.approx(2)),
        ("7 days before", 1, 0, pytest.approx(2), 0),
    ]
    assert told(found.sites) == [
        ("CERN", 3, 1, pytest.approx(4), pytest.approx(2)),
        ("FNAL", 2, 1, pytest.approx(4), pytest.approx(2)),
        (None, 1, 0, pytest.approx(2), 0),
    ], "those of most CPU hours first, then by name"
    assert told(found.releases) == [
        ("novasoft v1", 3, 1, pytest.approx(4), pytest.approx(2)),
        ("novasoft v2", 2, 1, pytest.approx(4), pytest.approx(2)),
        (None, 1, 0, pytest.approx(2), 0),
    ]


def test_job_whose_clock_is_ahead_is_of_no_week_before_it(production: Production) -> None:
    production.record(
        job(1, NOW - DAY, "FNAL", "v1"),
        job(2, NOW + 30 * DAY, "FNAL", "v1"),
    )

    found = spending(production, experiment="nova", campaign="c")

    assert (found.total.jobs, [week.jobs for week in found.weeks]) == (2, [1, 0])


def test_jobs_that_do_not_say_their_cpu_time_did_not_cost_nothing(production: Production) -> None:
    production.record(
        job(1, NOW - DAY, "FNAL", "v1"),
        job(2, NOW - DAY, "FNAL", "v1", resources={}),
        job(3, NOW - DAY, "CERN", "v1", resources={}, state="failed"),
    )

    found = spending(production, experiment="nova", campaign="c")

    [fnal, cern] = found.sites
    assert (fnal.cpu_hours, fnal.silent_jobs) == (pytest.approx(2), 1)
    assert (cern.cpu_hours, cern.lost_cpu_hours, cern.silent_jobs) == (None, None, 1)
    assert spent_row(fnal, "Site") == ("FNAL", "2", "0", "2.0", "0")
    assert spent_row(cern, "Site")[3:] == ("not known", "not known")
    assert cost_words(found) == "2.0 CPU hours"
    assert silent_words(found) == "CPU hours of 2 jobs are not known."


def test_nothing_cost_nothing(production: Production) -> None:
    found = spending(production, experiment="nova", campaign="c")

    assert told([found.total]) == [("all", 0, 0, 0, 0)]
    assert (found.sites, found.releases) == ([], [])
