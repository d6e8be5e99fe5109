"""Samples by data tier, counted by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.tasks.samples import list_samples
from tests.library.production import Production
from tests.library.records import record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield a sample of two tiers, and one of which nothing is there.

    The second tier was made twice.
    """
    made = Production(database, open_store("memory:"), tmp_path)
    made.declare(
        "raw", campaign="fd", stage="daq", units=3, outputs_per_unit=2, sample="FD", data_tier="raw"
    )
    made.declare("old", campaign="fd", stage="reco", units=3, sample="FD", is_obsolete=True)
    new = {
        "units": 3,
        "outputs_per_unit": 1,
        "events_per_unit": 10,
        "definition": "fd_reco_v2",
        "release": "R2",
    }
    made.declare("new", campaign="fd", stage="reco", sample="FD", **new)
    made.declare("nd", campaign="near", stage="daq", units=["a"])
    made.declare("mixed", campaign="near", stage="skim", units=1, outputs_per_unit=2)
    made.record(
        *[_job(n, "raw", "daq", _output(n, 0), _output(n, 1)) for n in range(3)],
        *[_job(n, "old", "reco", _output(n, 2, "reco", 9)) for n in range(10, 13)],
        *[_job(n, "new", "reco", _output(n, 3, "reco", 10)) for n in range(20, 22)],
        _job(22, "new", "reco", _output(22, 3, "reco", 10), state="failed", exit={"code": 1}),
        _job(30, "mixed", "skim", _output(30, 4, "skim", 5), _output(30, 5, "sideband", 7)),
    )
    yield made
    made.close()


def _output(
    number: int, stream: int, tier: str | None = None, events: int | None = None
) -> dict[str, Any]:
    return {
        "name": f"{number}_{stream}.root",
        "size_bytes": number + 1,
        "data_tier": tier,
        "event_count": events,
    }


def _job(
    number: int, task: str, stage: str, *outputs: dict[str, Any], **more: Any
) -> dict[str, Any]:
    named = {"task_id": task, "stage": stage, "unit": f"u{number}"}
    return record_of(number, task=named, inputs=[], outputs=list(outputs), **more)


def _samples(production: Production, experiment: str = "nova") -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        samples = list_samples(connection, production.store, experiment)
    answer: dict[str, Any] = msgspec.to_builtins(samples)
    return answer


def test_a_cell_sums_its_tasks_and_leaves_obsolete_ones_out(production: Production) -> None:
    found = _samples(production)

    assert found["data_tiers"] == ["raw", "reco", "daq", "sideband", "skim"]
    fd, near = {
        row["sample"]: {cell["data_tier"]: cell for cell in row["cells"]}
        for row in found["samples"]
    }.values()
    assert [(cell["files"], cell["expected_files"]) for cell in fd.values()] == [(6, 6), (2, 3)]
    reco = fd["reco"]
    assert (reco["events"], reco["expected_events"], reco["tasks"]) == (20, 30, ["new"])
    assert (reco["definitions"], reco["releases"]) == (["fd_reco_v2"], ["R2"])
    assert fd["raw"]["releases"] == ["x v1"]  # what its jobs ran
    assert (near["daq"]["files"], near["daq"]["expected_files"]) == (0, None)


def test_outputs_of_several_tiers_expect_no_number_each(production: Production) -> None:
    near = {row["sample"]: row["cells"] for row in _samples(production)["samples"]}["near"]
    skims = {
        cell["data_tier"]: (cell["files"], cell["expected_files"], cell["events"])
        for cell in near[1:]
    }
    assert skims == {"sideband": (1, None, 7), "skim": (1, None, 5)}


def test_passes_of_the_past_stand_apart(production: Production) -> None:
    (old,) = _samples(production)["archived"]
    assert (old["task_id"], old["sample"], old["data_tier"], old["files"], old["events"]) == (
        "old",
        "FD",
        "reco",
        3,
        27,
    )
    with pytest.raises(NotFoundError, match="No experiment nobody is recorded"):
        _samples(production, "nobody")


def test_only_files_that_count_for_a_unit_are_summed(production: Production) -> None:
    """So a sample has as many files as the page of its task."""
    files = [_output(40, 1, "gen", 10), _output(40, 2, "gen", 10)]
    files[0]["name"] = "gen_40.root"
    beside = [
        {"name": "logs_40.tgz", "size_bytes": 1},
        {"name": "job.fcl", "size_bytes": 1},
    ]
    patterned = {"units": ["u40"], "output_patterns": ["gen_*.root"]}
    production.declare("patterns", campaign="named", stage="gen", data_tier="gen", **patterned)
    production.declare("logs", campaign="packed", stage="gen", data_tier="gen", units=["u41"])
    production.record(
        _job(40, "patterns", "gen", *files, *beside),
        _job(41, "logs", "gen", _output(41, 1, "gen", 10), *beside),
    )

    cells = {row["sample"]: row["cells"] for row in _samples(production)["samples"]}
    for sample in ("named", "packed"):
        [cell] = cells[sample]
        assert (cell["data_tier"], cell["files"], cell["events"]) == ("gen", 1, 10)
