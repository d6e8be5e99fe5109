"""What art's modules took, against numbers by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.statistics.modules import ModuleSums
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.statistics.modules import sum_modules
from tests.library.production import Production
from tests.library.records import record_of


def _module(label: str, events: int | None, seconds: float | None, **more: Any) -> dict[str, Any]:
    return {
        "path": "reco",
        "label": label,
        "type": label.title(),
        "events": events,
        "seconds_total": seconds,
        **more,
    }


def _job(number: int, tag: str, *modules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return record_of(
        number,
        **{
            "inputs": [],
            "outputs": [],
            "configurations": [],
            "software": [{"name": "reco", "requested_ref": tag, "revision": f"{number % 2:040x}"}],
            "modules": list(modules),
            **more,
        },
    )


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield jobs of two versions, each with one module of its own.

    `slicer` takes 1 s an event and then 2 s, `tracker` the same.
    """
    made = Production(database, open_store("memory:"), tmp_path)
    jitter = (-0.01, 0.0, 0.01)

    def reco(
        number: int, tag: str, events: int, seconds: float, own: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        slicer = _module("slicer", events, seconds + 10 * jitter[number % 3], **more)
        return _job(number, tag, slicer, _module("tracker", 10, 5 + jitter[number % 3]), own)

    v1 = [
        reco(n, "v1", 10, 10.0, _module("old", 10, 1.0), seconds_max=1.5 + n)
        for n in range(2, 14, 2)
    ]
    v2 = [
        reco(n, "v2", 20, 40.0, _module("fresh", None, None), rss_delta_bytes_max=n)
        for n in range(21, 27, 2)
    ]
    made.record(*v1)
    made.record(*v2)
    failed = {"state": "failed", "exit": {"code": 1}}
    made.record(_job(40, "v2", _module("slicer", 1, 1e6), **failed), _job(41, "v2"))
    yield made
    made.close()


def summed(production: Production, **how: Any) -> ModuleSums:
    with production.database.reading.connect() as connection:
        return sum_modules(connection, how.pop("filters", JobFilters()), **how)


def test_sums_are_those_of_the_jobs_that_succeeded(production: Production) -> None:
    found = summed(production)

    v1, v2 = found.groups
    assert (found.jobs, v1.name, v1.jobs, v2.name, v2.jobs) == (
        9,
        "reco v1",
        6,
        "reco v2",
        3,
    )
    slicer = next(row for row in v1.modules if row.label == "slicer")
    assert (slicer.jobs, slicer.events, slicer.seconds) == (6, 60, pytest.approx(60.0))
    assert (slicer.slowest_seconds, slicer.rss_growth_bytes) == (13.5, None)
    assert v1.modules[0] == slicer
    assert sum(row.share for row in v1.modules) == pytest.approx(1)
    newer = {row.label: row for row in v2.modules}
    assert (newer["slicer"].seconds_per_event, newer["slicer"].rss_growth_bytes) == (
        pytest.approx(2.0, rel=0.01),
        25,
    )
    assert (newer["fresh"].seconds, newer["fresh"].seconds_per_event) == (0, None)


def test_the_module_that_became_slower_comes_first(production: Production) -> None:
    compared = summed(production).comparison

    assert (compared.first, compared.second) == ("reco v1", "reco v2")
    assert compared.modules[0].label == "slicer"
    outcomes = {row.label: row.outcome for row in compared.modules}
    assert outcomes == {"slicer": "slower", "tracker": "same", "old": "gone", "fresh": "new"}
    slicer = compared.modules[0]
    assert slicer.change == pytest.approx(1.0, rel=0.02)
    assert slicer.sigma > 3


def test_two_groups_are_compared_by_name(production: Production) -> None:
    compared = summed(production, first="reco v2", second="reco v1").comparison

    assert {row.label: row.outcome for row in compared.modules}["slicer"] == "faster"
    assert summed(production, second="reco v1").comparison.first == "reco v2"
    assert summed(production, filters=JobFilters(revision=f"{0:040x}")).comparison is None
    with pytest.raises(NotFoundError, match="reco v1, reco v2"):
        summed(production, first="reco v9")
    with pytest.raises(BadInputError, match="by: one of"):
        summed(production, by="weather")


def test_a_corrected_record_counts_once(production: Production) -> None:
    production.record(
        _job(2, "v1", _module("slicer", 10, 30.0)), reason="the module was timed twice"
    )

    found = summed(production, by="stage")
    slicer = next(row for row in found.groups[0].modules if row.label == "slicer")
    assert (slicer.jobs, slicer.seconds) == (9, pytest.approx(60 - 10.1 + 30 + 120, abs=0.5))
