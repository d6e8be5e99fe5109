"""Distributions of what jobs took, against numbers by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.statistics.resources import ResourceSums
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.statistics.resources import BINS, sum_resources
from tests.library.production import Production
from tests.library.records import record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield jobs of 1 to 11 s in stage gen, and one of 100 s in reco.

    A failed job counts nowhere.
    """
    made = Production(database, open_store("memory:"), tmp_path)

    def job(number: int, stage: str, seconds: float, **more: Any) -> dict[str, Any]:
        resources = {"wall_seconds": seconds, "cpu_user_seconds": seconds / 2}
        outputs = [{"name": f"o{number}.root", "size_bytes": 100 * number, "event_count": 10}]
        task = {"task_id": stage, "stage": stage}
        return record_of(
            number,
            **{
                "task": task,
                "resources": resources,
                "outputs": outputs,
                "inputs": [],
                "configurations": [],
                **more,
            },
        )

    made.record(
        *[job(number, "gen", float(number)) for number in range(1, 12)],
        job(20, "reco", 100.0, outputs=[], software=[]),
        job(21, "reco", 7.0, state="failed", exit={"code": 1}),
        job(22, "reco", 7.0, resources={}, outputs=[]),
    )
    yield made
    made.close()


def summed(production: Production, **how: Any) -> ResourceSums:
    with production.database.reading.connect() as connection:
        return sum_resources(connection, JobFilters(), **how)


def test_groups_have_the_quantiles_of_their_jobs(production: Production) -> None:
    found = summed(production)

    gen, reco = found.groups
    assert (found.jobs, gen.name, gen.jobs, reco.name, reco.jobs) == (
        13,
        "gen",
        11,
        "reco",
        2,
    )
    wall = gen.measures["wall_seconds"]
    assert (wall.p10, wall.median, wall.p90, wall.largest, wall.mean) == (
        2,
        6,
        10,
        11,
        6,
    )
    assert gen.measures["cpu_efficiency"].median == pytest.approx(0.5)
    assert gen.measures["bytes_per_event"].largest == pytest.approx(110)
    assert gen.measures["seconds_per_event"].median == pytest.approx(0.6)
    assert reco.measures["wall_seconds"].count == 1
    assert "output_bytes" not in reco.measures


def test_every_job_is_in_one_bin_and_bins_have_the_same_edges(production: Production) -> None:
    found = summed(production)

    edges = found.measures["wall_seconds"].edges
    assert len(edges) == BINS + 1
    assert edges == sorted(edges)
    for group in found.groups:
        for measure in group.measures.values():
            assert sum(measure.bins) == measure.count
    assert found.groups[1].measures["wall_seconds"].bins[-1] == 1


def test_jobs_are_told_apart_by_version(production: Production) -> None:
    assert {(group.name, group.jobs) for group in summed(production, by="version").groups} == {
        ("x v1", 12),
        (None, 1),
    }


def test_nothing_is_measured_where_no_job_is(production: Production) -> None:
    with production.database.reading.connect() as connection:
        found = sum_resources(connection, JobFilters(stage="none"))

    assert (found.jobs, found.measures, found.groups) == (0, {}, [])


def test_unknown_facet_is_refused(production: Production) -> None:
    with pytest.raises(BadInputError, match="one of stage"):
        summed(production, by="colour")
