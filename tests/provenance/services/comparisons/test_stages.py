"""Two campaigns or releases stage by stage: what differs, and how many jobs have which value."""

from typing import Any

import pytest

from jobprov.provenance.answers.comparisons.stages import (
    ComparedStage,
    CountedValue,
    ProductionComparison,
    StageDifference,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.services.comparisons.stages import compare_productions
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured

TEXT = b"physics: { producers: { reco: { threshold: 3 } hits: { gain: 1 } } }\n"
OTHER = TEXT.replace(b"3", b"5")
REWRITTEN = b"# a comment\n" + TEXT
COMMIT, LATER = "a" * 40, "b" * 40


def a_job(
    production: Production,
    number: int,
    campaign: str,
    text: bytes = TEXT,
    *,
    stage: str = "reco",
    tune: str | None = "G18_10a",
    version: str = "v09_88_00",
    commit: str = COMMIT,
    **more: Any,
) -> dict[str, Any]:
    product = {"manager": "ups", "version": version, "qualifiers": "prof:e26"}
    return {
        **configured(production, number, text),
        "task": {"campaign": campaign, "stage": stage, "task_id": f"{campaign}-{stage}"},
        "environment": {"variables": {"GENIE_XSEC_TUNE": tune} if tune else {}},
        "software": [
            {"name": "larsoft", "product": product},
            {"name": "novasoft", "revision": commit, "requested_ref": "v1"},
        ],
        **more,
    }


def compared(
    production: Production, *jobs: dict[str, Any], by: str = "campaign", **more: Any
) -> ProductionComparison:
    production.record(*jobs)
    production.work()
    names = more.pop("names", ("old", "new"))
    with production.database.reading.connect() as connection:
        return compare_productions(connection, by, *names, **more)


def rows_of(stage: ComparedStage) -> dict[str, list[StageDifference]]:
    return {facet.name: facet.differences for facet in stage.facets if facet.differences}


def values(counts: list[CountedValue]) -> dict[str | None, int]:
    return {each.value: each.job_count for each in counts}


def test_each_side_of_a_stage_tells_which_jobs_have_which_value(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old"),
        a_job(production, 2, "old"),
        a_job(production, 3, "new", OTHER, tune="AR23", version="v10", commit=LATER),
        a_job(production, 4, "new", tune="AR23", version="v10", commit=LATER),
    )

    [stage] = found.stages
    assert (stage.stage, stage.a_jobs, stage.b_jobs) == ("reco", 2, 2)
    rows = {name: rows[0] for name, rows in rows_of(stage).items()}
    assert {name: (row.key, values(row.a), values(row.b)) for name, row in rows.items()} == {
        "code": ("novasoft", {"v1 aaaaaaaaaaaa": 2}, {"v1 bbbbbbbbbbbb": 2}),
        "configuration": ("physics.producers.reco.threshold", {"3": 2}, {"3": 1, "5": 1}),
        "products": ("larsoft", {"v09_88_00:e26:prof": 2}, {"v10:e26:prof": 2}),
        "variables": ("GENIE_XSEC_TUNE", {"G18_10a": 2}, {"AR23": 2}),
    }
    assert found.first_line == (
        "1 of 1 stage differs: reco in code, configuration, software and variables."
    )
    assert not found.is_same


def test_what_is_only_written_differently_is_the_same(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old"),
        a_job(production, 2, "new", REWRITTEN),
        a_job(production, 3, "new"),
    )

    assert found.is_same
    assert rows_of(found.stages[0]) == {}
    assert found.first_line == "No difference in 1 stage."


def test_a_stage_of_one_campaign_alone_is_named(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old", stage="gen"),
        a_job(production, 2, "old"),
        a_job(production, 3, "new"),
    )

    assert [(stage.stage, stage.a_jobs, stage.b_jobs) for stage in found.stages] == [
        ("gen", 1, 0),
        ("reco", 1, 1),
    ]
    assert found.first_line == "1 of 2 stages differs: gen only in the first."


def test_jobs_without_a_value_are_counted(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old"),
        a_job(production, 2, "new"),
        a_job(production, 3, "new", tune=None),
    )

    [row] = rows_of(found.stages[0])["variables"]
    assert (values(row.a), values(row.b)) == ({"G18_10a": 1}, {"G18_10a": 1, None: 1})


def test_steps_are_compared_by_name(production: Production) -> None:
    def with_steps(number: int, campaign: str, *texts: bytes) -> dict[str, Any]:
        steps = [
            configured(production, number, text, step=f"s{at}")["configurations"][0]
            for at, text in enumerate(texts)
        ]
        return a_job(production, number, campaign, configurations=steps)

    found = compared(
        production,
        with_steps(1, "old", TEXT, TEXT),
        with_steps(2, "new", TEXT, OTHER, TEXT),
    )

    rows = rows_of(found.stages[0])["configuration"]
    assert [(row.key, row.part, values(row.a), values(row.b)) for row in rows] == [
        ("step s2", None, {None: 1}, {"ran": 1}),
        ("physics.producers.reco.threshold", "s1", {"3": 1}, {"5": 1}),
    ]


def test_a_configuration_that_is_not_here_is_told(production: Production) -> None:
    files = [{"name": "job.fcl", "sha256": "c" * 64}]
    missing = [{"step": "art", "main": "job.fcl", "files": files}]

    found = compared(
        production,
        a_job(production, 1, "old"),
        a_job(production, 2, "new", configurations=missing),
    )

    facet = next(each for each in found.stages[0].facets if each.name == "configuration")
    assert facet.count == 0
    assert "1 job of the second ran a configuration that is not evaluated" in facet.problems[0]
    assert not found.is_same
    assert found.first_line == "No difference in 1 stage; not everything could be compared."


def test_variables_of_jobs_without_a_configuration_are_compared(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old", configurations=None),
        a_job(production, 2, "new", configurations=None, tune="AR23"),
        a_job(production, 3, "new", configurations=None, tune="AR23"),
    )

    [row] = rows_of(found.stages[0])["variables"]
    assert (values(row.a), values(row.b)) == ({"G18_10a": 1}, {"AR23": 2})
    configuration = next(each for each in found.stages[0].facets if each.name == "configuration")
    assert configuration.problems == []
    assert "2 jobs of the second without a configuration." in configuration.notes


def test_a_sequence_is_one_difference(production: Production) -> None:
    found = compared(
        production,
        a_job(production, 1, "old", b"a: { path: [x, y] }\n"),
        a_job(production, 2, "new", b"a: { path: [x, z] }\n"),
    )

    [row] = rows_of(found.stages[0])["configuration"]
    assert (row.key, values(row.b)) == ("a.path", {'["x","z"]': 1})


def test_releases_are_compared_by_product_and_by_commit(production: Production) -> None:
    jobs = [
        a_job(production, 1, "one"),
        a_job(production, 2, "one", OTHER, version="v10", commit=LATER),
    ]

    by_product = compared(production, *jobs, by="release", names=("larsoft=v09_*", "larsoft=v10"))
    by_commit = compared(production, by="release", names=(COMMIT[:8], LATER))

    for found in (by_product, by_commit):
        assert set(rows_of(found.stages[0])) == {"code", "configuration", "products"}


def test_a_version_alone_is_that_of_the_product_of_the_release(production: Production) -> None:
    def products(version: str, **others: str) -> list[dict[str, Any]]:
        entries = []
        for name, of_it in {"art": "v3_14_04", "sbndcode": version, **others}.items():
            product = {"manager": "ups", "version": of_it, "qualifiers": "e26:prof"}
            entries.append({"name": name, "product": product})
        return entries

    jobs = [
        a_job(production, 1, "one", software=products("v09_88_00")),
        a_job(production, 2, "one", software=products("v09_93_01")),
        a_job(production, 3, "one", software=products("v09_93_01", icaruscode="v09_93_01")),
    ]
    found = compared(production, *jobs[:2], by="release", names=("v09_88_00", "v09_93_01"))

    assert (found.a.name, found.b.name) == ("sbndcode=v09_88_00", "sbndcode=v09_93_01")
    assert set(rows_of(found.stages[0])) == {"products"}
    with production.database.reading.connect() as connection:
        listed = list_jobs(connection, JobFilters()).jobs
    assert [job.code for job in listed] == ["sbndcode v09_93_01", "sbndcode v09_88_00"]
    with pytest.raises(NotFoundError, match="Several products") as refused:
        compared(production, jobs[2], by="release", names=("v09_88_00", "v09_93_01"))
    assert refused.value.nearest == ["icaruscode=v09_93_01", "sbndcode=v09_93_01"]


def test_more_differences_than_wanted_are_counted(production: Production) -> None:
    texts = [b"a: { b: %d c: %d d: %d }\n" % (number, number, number) for number in (1, 2)]

    found = compared(
        production,
        a_job(production, 1, "old", texts[0]),
        a_job(production, 2, "new", texts[1]),
        limit=2,
    )

    facet = next(each for each in found.stages[0].facets if each.name == "configuration")
    assert (facet.count, len(facet.differences), facet.omitted) == (3, 2, 1)


@pytest.mark.slow
def test_many_configurations_are_compared_over_blocks_of_the_index(
    production: Production,
) -> None:
    """More sets than one row of the index holds."""
    texts = [b"a: { b: %d } c: { d: 1 }\n" % number for number in range(70)]
    jobs = [a_job(production, at, "old", text) for at, text in enumerate(texts, 1)]
    jobs += [a_job(production, 100, "new", texts[0].replace(b"d: 1", b"d: 2"))]

    found = compared(production, *jobs)

    rows = {row.key: row for row in rows_of(found.stages[0])["configuration"]}
    assert (values(rows["c.d"].a), values(rows["c.d"].b)) == ({"1": 70}, {"2": 1})
    assert (len(rows["a.b"].a), rows["a.b"].a_omitted) == (20, 50)


def test_a_campaign_that_is_not_there_or_of_two_experiments_is_an_error(
    production: Production,
) -> None:
    jobs = [a_job(production, 1, "old"), a_job(production, 2, "new")]
    jobs.append({**a_job(production, 3, "new"), "experiment": "sbnd"})

    with pytest.raises(NotFoundError):
        compared(production, *jobs, names=("old", "none"))
    with pytest.raises(AmbiguousError):
        compared(production)
    assert compared(production, experiment="nova").is_same
