"""Counts of the jobs of a list by state, site, stage and so on."""

import pytest

from jobprov.provenance.answers.lookup.job_facets import JOB_FACETS, JobFacets
from jobprov.provenance.db.queries.lookup.lists import job_facets
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.job_facets import count_facets, read_facets
from tests.library.production import Production
from tests.library.records import a_record


def counted(production: Production, filters: JobFilters, *facets: str, limit: int = 9) -> JobFacets:
    with production.database.reading.connect() as connection:
        return count_facets(connection, filters, facets or JOB_FACETS, limit=limit)


def values(facets: JobFacets) -> dict[str, dict[str | int | None, int]]:
    return {
        facet.by: {value.value: value.count for value in facet.values} for facet in facets.facets
    }


def record_some(production: Production) -> None:
    failed = {"state": "failed", "exit": {"code": 65, "failed_step": "art", "error_class": "Bad"}}
    reco = {"task_id": "t1", "campaign": "c", "stage": "reco"}
    wn1, wn2 = {"hostname": "wn1", "site": "FNAL"}, {"hostname": "wn2", "site": "CERN"}
    production.record(
        a_record(1, task=reco, host=wn1),
        a_record(2, task=reco, host=wn2, **failed),
        a_record(3, task=reco, host=wn2, **failed),
        a_record(4, task={**reco, "task_id": "t2", "stage": "gen"}, host=wn1),
        a_record(5, experiment="toy"),
    )


def test_jobs_are_counted_by_every_facet(production: Production) -> None:
    record_some(production)

    everything = counted(production, JobFilters())

    assert (everything.total, everything.is_exact, everything.recorded) == (5, True, 5)
    found = values(everything)
    assert found["state"] == {"succeeded": 3, "failed": 2}
    assert found["experiment"] == {"nova": 4, "toy": 1}
    assert found["campaign"] == {"c": 4, None: 1}
    assert found["stage"] == {"reco": 3, "gen": 1, None: 1}
    assert found["task_id"] == {"t1": 3, "t2": 1, None: 1}
    assert found["site"] == {"CERN": 2, "FNAL": 2, None: 1}
    assert found["host"] == {"wn1": 2, "wn2": 2, None: 1}
    assert found["exit_code"] == {65: 2, None: 3}
    assert found["failed_step"] == {"art": 2, None: 3}
    assert found["error_class"] == {"Bad": 2, None: 3}
    assert sum(found["failure_class"].values()) == 5
    assert [value.value for value in everything.facets[0].values] == ["succeeded", "failed"]


def test_values_beyond_the_limit_are_counted_as_more(production: Production) -> None:
    record_some(production)

    [hosts] = counted(production, JobFilters(), "host", limit=1).facets

    assert ([value.value for value in hosts.values], hosts.more) == (["wn1"], 2)


def test_facet_that_is_filtered_by_counts_what_else_there_is_to_choose(
    production: Production,
) -> None:
    record_some(production)
    failed = counted(production, JobFilters(campaign="c", state="failed"), "state", "host")

    assert failed.total == 2
    assert failed.recorded is None
    assert values(failed) == {"state": {"succeeded": 2, "failed": 2}, "host": {"wn2": 2}}


def test_parameter_that_no_job_has_leaves_nothing_to_count(production: Production) -> None:
    record_some(production)

    nothing = counted(production, JobFilters(parameter="a.b", value="1"), "site")

    assert (nothing.total, values(nothing)) == (0, {"site": {}})


def test_the_newest_of_many_jobs_of_a_host_are_counted(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their states, by which its index would have them in another order."""
    monkeypatch.setattr(job_facets, "MOST_COUNTED", 2)
    monkeypatch.setattr(job_facets, "NEWEST_COUNTED", 2)
    for number, state in enumerate(["succeeded", "succeeded", "failed", "succeeded"], start=1):
        production.record(a_record(number, state=state, host={"hostname": "wn1"}))
    production.record(a_record(5, host={"hostname": "wn2"}))

    newest = counted(production, JobFilters(host="wn1"), "state")

    assert (newest.total, newest.is_exact) == (2, False)
    assert values(newest)["state"] == {"succeeded": 1, "failed": 1}


def test_only_the_newest_of_many_jobs_are_counted(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_some(production)
    monkeypatch.setattr(job_facets, "MOST_COUNTED", 3)
    monkeypatch.setattr(job_facets, "NEWEST_COUNTED", 2)

    everything = counted(production, JobFilters(), "experiment")
    short_task = counted(production, JobFilters(task_id="t1"), "state")
    long_campaign = counted(production, JobFilters(campaign="c"), "stage")

    assert (everything.total, everything.is_exact, everything.recorded) == (2, False, 5)
    assert values(everything) == {"experiment": {"nova": 1, "toy": 1}}
    assert (short_task.total, short_task.is_exact) == (3, True)
    assert values(short_task)["state"] == {"failed": 2, "succeeded": 1}
    assert (long_campaign.total, long_campaign.is_exact) == (2, False)
    assert sum(values(long_campaign)["stage"].values()) == 2


def test_facet_that_is_named_twice_counts_once() -> None:
    assert read_facets("site, state,site") == ["site", "state"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("site,odd", "by: 'odd' is not one of state"),
        ("", "by: '' is not"),
        (",".join(["site"] * 500), "by: at most 11 at a time, not 500"),
    ],
    ids=["unknown", "empty", "too many"],
)
def test_facets_that_cannot_be_read_are_refused(words: str, problem: str) -> None:
    with pytest.raises(BadInputError, match=problem):
        read_facets(words)
