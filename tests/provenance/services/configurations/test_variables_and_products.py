"""Jobs are found by variables that decide physics, and by products with version and qualifiers."""

from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.configurations.configuration import read_configurations
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.lookup.job import read_job, show_job
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured, found
from tests.library.records import job_id

TEXT = b"physics: { producers: { gen: { seed: 5 } } }\n"
TUNE = "GENIE_XSEC_TUNE"


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


def without_configuration(production: Production, number: int, tune: str) -> dict[str, Any]:
    return {**tuned(production, number, tune), "configurations": None}


def codes_of(production: Production, number: int) -> set[str]:
    """Return the codes of the gaps of a job."""
    with production.database.reading.connect() as connection:
        job = read_job(connection, production.store, job_id(number), experiment="nova")
        return {gap.code for gap in show_job(connection, job).gaps}


def test_jobs_without_a_configuration_are_found_by_their_tune(production: Production) -> None:
    step = {"name": "gen", "argv": ["gevgen"], "variables": {TUNE: "of the step"}}
    production.record(
        without_configuration(production, 1, "one"),
        without_configuration(production, 2, "two"),
        {
            **without_configuration(production, 3, "one"),
            "command": {"argv": ["run.sh"], "steps": [step, {"name": "next", "argv": ["cp"]}]},
        },
        tuned(production, 4, "two"),
    )
    production.work()

    assert found(production, variable=f"{TUNE}=one") == [1, 3]
    assert found(production, variable=f"{TUNE}=of the step") == [3]
    assert found(production, variable=f"{TUNE}=two") == [2, 4]
    assert matches(production, variable=f"{TUNE}=one")[1] == [f'${TUNE} = "one"']
    assert found(production, parameter="*.seed") == [4]


def test_a_rebuilt_database_finds_jobs_without_a_configuration(
    production: Production, tmp_path: Path
) -> None:
    production.record(without_configuration(production, 1, "one"))
    production.work()
    seal_all(production.database, production.writer, production.store)
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(production.store, url, deciding=production.physics_variables)

    rebuilt = open_database(url)
    with rebuilt.reading.connect() as connection:
        jobs = list_jobs(connection, JobFilters(variable=f"{TUNE}=one")).jobs
    rebuilt.dispose()
    assert [job.job_id for job in jobs] == [job_id(1)]


def test_a_job_without_a_configuration_has_no_gap_for_its_variables(
    production: Production,
) -> None:
    production.record(without_configuration(production, 1, "one"))
    production.record({**without_configuration(production, 2, "one"), "environment": {}})
    production.work()

    assert codes_of(production, 1) <= codes_of(production, 2)


def test_an_experiment_names_variables_of_its_own(
    production: Production,
) -> None:
    production.decide_physics_by("nova:FLUX, sbnd:HOME")
    production.record(tuned(production, 1, "tune", FLUX="v2"))
    production.work()

    assert found(production, variable="FLUX=v2") == [1]
    assert found(production, variable="HOME") == []
    assert found(production, variable=TUNE) == []


def test_a_changed_setting_leaves_what_is_known_of_earlier_jobs(production: Production) -> None:
    job = tuned(production, 1, "one")
    production.record(job)
    production.work()
    before = codes_of(production, 1)

    production.decide_physics_by("nova:HOME")
    [outcome] = production.record(job)
    with production.database.reading.connect() as connection:
        [configuration] = read_configurations(connection, production.store, job_id(1))

    assert outcome.change == "same"
    assert configuration.evaluation is not None
    assert codes_of(production, 1) == {gap.code for gap in outcome.gaps} == before


def test_files_made_with_a_tune_are_listed(production: Production) -> None:
    production.record(tuned(production, 1, "one"), tuned(production, 2, "two"))
    production.work()

    with production.database.reading.connect() as connection:
        impact = find_impact(connection, JobFilters(variable=f"{TUNE}=two"))

    assert impact.jobs == 1


def test_a_tune_and_a_product_narrow_the_impact_together(production: Production) -> None:
    for number, tune, version in ((1, "one", "v1"), (2, "one", "v2"), (3, "two", "v2")):
        product = {"manager": "ups", "version": version}
        job = tuned(production, number, tune)
        production.record({**job, "software": [{"name": "larsoft", "product": product}]})
    production.work()

    filters = JobFilters(variable=f"{TUNE}=one", software="larsoft=v2")
    with production.database.reading.connect() as connection:
        assert find_impact(connection, filters).jobs == 1


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
        ("larsoft=09.88.00", [1, 2]),
        ("larsoft=09.*:debug", [2]),
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


def matches(production: Production, **filters: Any) -> dict[int, list[str]]:
    with production.database.reading.connect() as connection:
        matched = list_jobs(connection, JobFilters(**filters)).matched
    return {
        int(job[-4:], 16): [f"{found.key} = {found.value}" for found in parameters]
        for job, parameters in matched.items()
    }


def test_lists_say_which_key_and_value_matched(production: Production) -> None:
    other = TEXT.replace(b"5", b"7")
    production.record(
        tuned(production, 1, "G18_10a_02_11a"),
        {**tuned(production, 2, None), **configured(production, 2, other)},
    )
    production.work()
    key = "physics.producers.gen.seed"

    assert matches(production, parameter="*.seed", value=">1") == {
        1: [f"{key} = 5"],
        2: [f"{key} = 7"],
    }
    assert matches(production, variable=TUNE) == {1: [f'${TUNE} = "G18_10a_02_11a"']}
    assert matches(production, state="succeeded") == {}
    assert matches(production, parameter="none.such") == {}


def test_lists_say_which_random_engines_began_with_the_seed(production: Production) -> None:
    gen = {"step": "make", "module": "gen", "instance": "evt", "engine": "HepJamesRandom"}
    sim = {"module": "sim"}
    long = {"module": "é" * 5000}
    drawn = ([gen, sim, gen, {}], [{"module": f"m{number}"} for number in range(9)], [long])
    for number, engines in enumerate(drawn, 1):
        seeds = [{**engine, "seed": 11} for engine in engines] + [{"module": "other", "seed": 12}]
        production.record({**tuned(production, number, "one"), "seeds": seeds})
    production.work()

    matched = matches(production, seed=11)

    assert matched[1] == [
        "seed of job = 11",
        "seed of make gen evt (HepJamesRandom) = 11",
        "seed of sim = 11",
    ]
    assert matched[2] == [f"seed of m{number} = 11" for number in range(3)]
    assert matched[3] == [f"seed of {'é' * 300} = 11"]
    assert matches(production, seed=12, variable=f"{TUNE}=one")[3] == [
        f'${TUNE} = "one"',
        "seed of other = 12",
    ]


@pytest.mark.slow
def test_matches_of_many_configurations_are_those_of_each_job(production: Production) -> None:
    """More sets than one row of the index holds."""
    texts = [b"a: { b: %d c: %d }\n" % (number, number % 2) for number in range(70)]
    production.record(*[configured(production, at, text) for at, text in enumerate(texts, 1)])
    production.work()

    found_b = matches(production, parameter="a.b")
    assert found_b == {at: [f"a.b = {at - 1}"] for at in range(1, 71)}
    assert matches(production, parameter="a.*", value="1")[70] == ["a.c = 1"]


@pytest.mark.slow
def test_a_parameter_and_a_variable_are_asked_for_at_once(production: Production) -> None:
    other = {
        "configurations": configured(production, 9, TEXT.replace(b"5", b"7"))["configurations"]
    }
    larsoft = {"name": "larsoft", "product": {"manager": "ups", "version": "v1"}}
    production.record(
        tuned(production, 1, "one"),
        {**tuned(production, 2, "one"), **other},
        {**tuned(production, 3, "one"), "software": [larsoft], "seeds": [{"seed": 11}]},
        tuned(production, 4, "two"),
    )
    production.work()
    asked = {"parameter": "*.seed", "value": "5", "variable": f"{TUNE}=one"}

    assert found(production, **asked) == [1, 3]
    assert found(production, **asked, software="larsoft=v1") == [3]
    assert found(production, **asked, seed=11) == [3]
    assert found(production, **asked, seed=12) == []
    assert matches(production, **asked)[1] == [
        "physics.producers.gen.seed = 5",
        f'${TUNE} = "one"',
    ]
    with production.database.reading.connect() as connection:
        assert find_impact(connection, JobFilters(**asked)).jobs == 2
        assert find_impact(connection, JobFilters(**asked, seed=11)).jobs == 1
