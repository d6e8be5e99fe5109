"""The how-to for tables runs as it stands, with DuckDB, and with pandas, Polars and Spark if there."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.db.connections.engines import open_database
from tests.library.analysis import export
from tests.library.production import Production
from tests.library.productions.story import configured
from tests.library.records import record_of

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "analyse-an-experiment.md"


@pytest.fixture(scope="module")
def folder(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return tables of a chain of four jobs, the last of which failed, and of four that ran fcl."""
    place = tmp_path_factory.mktemp("tables")
    shutil.copy(sqlite_template, place / "jobprov.db")
    production = Production(open_database(f"sqlite:///{place / 'jobprov.db'}"), folder=place)
    cpu = {"resources": {"cpu_user_seconds": 1800, "wall_seconds": 3600}}
    production.record(*(record_of(number, **cpu) for number in range(1, 4)))
    production.record(record_of(4, state="failed", exit={"code": 65}, outputs=[], **cpu))
    production.record(*configured(production))
    production.work()
    export(production, place / "tables", parameters=("physics.*.threshold",))
    production.close_all()
    return place / "tables"


def run_blocks(kind: str, folder: Path) -> dict[str, Any]:
    """Run the blocks of the how-to of a kind in their order; return the names that they leave."""
    text = HOW_TO.read_text(encoding="utf-8").replace("/data/tables", str(folder))
    blocks = re.findall(rf"^```python {kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(HOW_TO), "exec"), names)  # noqa: S102 - the page of our own docs
    return names


@pytest.mark.slow
def test_blocks_for_duckdb_answer_a_physicist(folder: Path) -> None:
    names = run_blocks("duckdb", folder)

    assert names["cpu_hours"] == [("FNAL", "2026-01", 2.0)]
    assert ("x v1", 7, 1 / 7) in names["shares"]
    assert [row[:4] for row in names["suspects"]] == [
        ("physics.producers.slicer.threshold", "3", 2, 0.0),
        ("physics.producers.slicer.threshold", "4", 1, 0.0),
    ]
    assert names["ancestors"] == [("f0.root",), ("f1.root",), ("f2.root",)]
    assert names["slowest"][0][:2] == ("slicer", "Slicer")


def test_block_for_pandas_gives_the_same(folder: Path) -> None:
    assert dict(run_blocks("pandas", folder)["by_site"]) == {"FNAL": 2.0}


def test_block_for_polars_gives_the_same(folder: Path) -> None:
    if importlib.util.find_spec("polars") is None:
        pytest.skip("NO POLARS: the how-to for it is not tried")

    names = run_blocks("polars", folder)

    assert names["by_month"].rows() == [("2026-01", 2.0)]


@pytest.mark.slow
def test_blocks_for_spark_give_the_same(folder: Path) -> None:
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("NO SPARK: pyspark or Java is missing, so the how-to for Spark is not tried")

    names = run_blocks("spark", folder)

    names["spark"].stop()
    assert [tuple(row) for row in names["cpu_hours"]] == [("FNAL", "2026-01", 2.0)]
    assert ("x v1", 7, 1 / 7) in [tuple(row) for row in names["shares"]]
    assert names["ancestors"] == ["f0.root", "f1.root", "f2.root"]
