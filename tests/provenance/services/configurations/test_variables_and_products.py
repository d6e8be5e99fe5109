"""Jobs are found by variables that decide physics, and by products with version and qualifiers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.histories.impact import find_impact
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured, found

TEXT = b"physics: { producers: { gen: { seed: 5 } } }\n"
TUNE = "GENIE_XSEC_TUNE"


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    made = Production(database, open_store("memory:"), tmp_path)
    yield made
    made.close()


def tuned(production: Production, number: int, tune: str | None, **more: Any) -> dict[str, Any]:
    variables = {"HOME": f"/home/{number}", **({TUNE: tune} if tune else {}), **more}
    job = configured(production, number, TEXT)
    return {**job, "environment": {"variables": variables}}


def test_jobs_are_found_by_the_tune_that_they_ran_with(production: Production) -> None:
    production.record(
        tuned(production, 1, "G18_10a_02_11a"),
        tuned(production, 2, "G18_10a_02_11a"),
        tuned(production, 3, "AR23_20i_00_000"),
        tuned(production, 4, None),
    )
    production.work()

    assert found(production, variable=f"{TUNE}=G18_10a_02_11a") == [1, 2]
    assert found(production, variable=f"{TUNE}!=G18_10a_02_11a") == [3]
    assert found(production, variable=f"{TUNE}~G18*") == [1, 2]
    assert found(production, variable=TUNE) == [1, 2, 3]
    assert found(production, variable="HOME") == []
    assert found(production, parameter="*.seed", value="5") == [1, 2, 3, 4]


def test_variables_of_a_step_count_before_those_of_the_job(production: Production) -> None:
    job = tuned(production, 1, "old")
    step = {"name": "art", "argv": ["gevgen"], "variables": {TUNE: "new"}}
    production.record({**job, "command": {"argv": ["run.sh"], "steps": [step]}})
    production.work()

    assert found(production, variable=f"{TUNE}=new") == [1]
    assert found(production, variable=f"{TUNE}=old") == []


def test_an_experiment_names_variables_of_its_own(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBPROV_PHYSICS_VARIABLES", "nova:FLUX, sbnd:HOME")
    production.record(tuned(production, 1, "tune", FLUX="v2"))
    production.work()

    assert found(production, variable="FLUX=v2") == [1]
    assert found(production, variable="HOME") == []
    assert found(production, variable=TUNE) == []


def test_files_made_with_a_tune_are_listed(production: Production) -> None:
    production.record(tuned(production, 1, "one"), tuned(production, 2, "two"))
    production.work()

    with production.database.reading.connect() as connection:
        impact = find_impact(connection, JobFilters(variable=f"{TUNE}=two"))

    assert impact.jobs == 1


@pytest.mark.parametrize(
    ("software", "numbers"),
    [
        ("larsoft=v09_88_00:e26:prof", [1]),
        ("larsoft=v09_88_00:prof", [1]),
        ("larsoft=v09_88_00", [1, 2]),
        ("larsoft=v09_*:debug", [2]),
        ("larsoft=:e26", [1, 2, 3]),
        ("larsoft=v10_00_00:c14", []),
        ("larsoft", [1, 2, 3]),
        ("geant4=4.11", []),
    ],
)
def test_jobs_are_found_by_version_and_qualifiers_of_a_product(
    production: Production, software: str, numbers: list[int]
) -> None:
    for number, version, qualifiers in (
        (1, "v09_88_00", "e26:prof"),
        (2, "v09_88_00", "e26:debug"),
        (3, "v10_00_00", "e26:prof"),
    ):
        product = {"manager": "ups", "version": version, "qualifiers": qualifiers}
        job = configured(production, number, TEXT)
        production.record({**job, "software": [{"name": "larsoft", "product": product}]})

    assert found(production, software=software) == numbers


@pytest.mark.parametrize(
    "filters",
    [
        {"variable": "A=1", "parameter": "a.b"},
        {"variable": "not a name=1"},
        {"variable": f"{TUNE}="},
    ],
)
def test_a_question_that_cannot_be_read_is_refused(
    production: Production, filters: dict[str, str]
) -> None:
    with pytest.raises(BadInputError):
        found(production, **filters)


def test_jobs_are_found_by_the_seeds_that_they_drew(production: Production) -> None:
    large = 2**63 - 1
    for number, seeds in ((1, [101, 202]), (2, [202, 202, large]), (3, [])):
        drawn = [{"module": "gen", "seed": seed, "source": "log"} for seed in seeds]
        production.record({**configured(production, number, TEXT), "seeds": drawn})

    assert found(production, seed=202) == [1, 2]
    assert found(production, seed=101) == [1]
    assert found(production, seed=large, state="succeeded") == [2]
    assert found(production, seed=7) == []


def test_a_record_that_comes_again_has_its_last_seeds(production: Production) -> None:
    job = configured(production, 1, TEXT)
    production.record({**job, "state": "running", "seeds": [{"seed": 1}]})
    production.record({**job, "seeds": [{"seed": 2}]})

    assert (found(production, seed=1), found(production, seed=2)) == ([], [1])
