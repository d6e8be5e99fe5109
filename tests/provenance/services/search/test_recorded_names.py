"""Names that questions use, on both databases: of an experiment or campaign, and page by page."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jobprov.provenance.db.queries.search.recorded_names import KINDS, NameFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.search.recorded_names import list_names
from jobprov.provenance.services.upkeep.archive_growth import count_recorded
from tests.library.production import Production
from tests.library.records import a_record


@pytest.fixture
def filled(production: Production) -> Production:
    spring = {"task_id": "spring-1", "campaign": "spring", "stage": "reco"}
    production.record(
        a_record(1, task=spring, host={"hostname": "a", "site": "FNAL"}),
        a_record(2, task={**spring, "task_id": "spring-2"}, host={"hostname": "b", "site": "FNAL"}),
        a_record(
            3,
            experiment="dune",
            task={"task_id": "autumn-1", "campaign": "autumn", "stage": "sim"},
            host={"hostname": "c", "site": "RAL"},
        ),
        a_record(4, host={"hostname": "d"}),
    )
    return production


def names(filled: Production, kind: str, **filters: Any) -> list[str]:
    with filled.database.reading.connect() as connection:
        return list_names(connection, kind, NameFilters(**filters)).names


def test_each_name_is_listed_once_and_what_has_none_is_not(filled: Production) -> None:
    assert {kind: names(filled, kind) for kind in KINDS} == {
        "experiments": ["dune", "nova"],
        "campaigns": ["autumn", "spring"],
        "stages": ["reco", "sim"],
        "tasks": ["autumn-1", "spring-1", "spring-2"],
        "sites": ["FNAL", "RAL"],
    }


@pytest.mark.parametrize("filters", [{"experiment": "dune"}, {"campaign": "autumn"}])
def test_names_are_those_of_an_experiment_or_campaign(
    filled: Production, filters: dict[str, str]
) -> None:
    assert {kind: names(filled, kind, **filters) for kind in KINDS} == {
        "experiments": ["dune"],
        "campaigns": ["autumn"],
        "stages": ["sim"],
        "tasks": ["autumn-1"],
        "sites": ["RAL"],
    }
    assert names(filled, "tasks", name="spring-1", **filters) == []


def test_pages_follow_each_other_and_wrong_questions_are_refused(filled: Production) -> None:
    with filled.database.reading.connect() as connection:
        first = list_names(connection, "tasks", NameFilters(), limit=2)
        second = list_names(connection, "tasks", NameFilters(), limit=2, cursor=first.next)
        with pytest.raises(BadInputError, match="kind: one of"):
            list_names(connection, "people", NameFilters())
        with pytest.raises(BadInputError, match="limit"):
            list_names(connection, "tasks", NameFilters(), limit=0)

    assert (first.names, second.names) == (["autumn-1", "spring-1"], ["spring-2"])
    assert second.next is None


def test_archive_knows_when_its_first_job_was_recorded(filled: Production) -> None:
    with filled.database.reading.connect() as connection:
        recorded = count_recorded(connection, now=datetime.now(UTC))

    assert recorded.jobs == 4
    assert recorded.first_at is not None
    assert recorded.first_at.tzinfo is not None
