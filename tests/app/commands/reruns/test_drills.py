"""`jobprov drill`, `bundle`, `rerun` and `verify`, as an operator types them, on real jobs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.work.queue import Parts
from tests.library.productions.joining import BAD, GOOD, joining_repository, record_sample


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a service that holds the sample's two jobs.

    The bundle of the good one is beside it.
    """
    folder = tmp_path_factory.mktemp("drill")
    assert run("migrate", "--data", str(folder / "var")).exit_code == 0
    service = open_service(load_settings({"JOBPROV_DATA": str(folder / "var")}, {}))
    parts = Parts(service.database, service.writer, service.store, folder / "git")
    record_sample(parts, service.store, joining_repository(folder / "upstream"))
    bundle = build_bundle(service.database, service.writer, service.store, GOOD)
    (folder / "good.tar").write_bytes(b"".join(bundle.stream()))
    service.close()
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(jobprov, words, catch_exceptions=False)


@pytest.mark.slow
def test_drill_says_of_each_job_how_it_compared(data: Path) -> None:
    ended = run("drill", "--data", str(data / "var"), "--jobs", "2")
    again = run("drill", "--data", str(data / "var"), "--json")

    assert ended.exit_code == 0, ended.output
    assert "2 of 2 jobs reproduced" in ended.output
    assert {
        line.split()[0]: line.split()[1] for line in ended.output.splitlines() if line[:4] == "0f8b"
    } == {
        GOOD: "R7",
        BAD: "R1=",
    }
    assert json.loads(again.stdout) == {"is_busy": False, "jobs": []}


@pytest.mark.slow
def test_drill_of_an_experiment_that_nobody_knows_is_not_done(data: Path) -> None:
    with pytest.raises(NotFoundError, match="No experiment nosuch is recorded"):
        run("drill", "--data", str(data / "var"), "--experiment", "nosuch")


@pytest.mark.slow
def test_rerun_answers_programs_with_one_document(data: Path, tmp_path: Path) -> None:
    ended = run("rerun", str(data / "good.tar"), "--into", str(tmp_path / "again"), "--json")
    said = json.loads(ended.stdout)

    assert ended.exit_code == 0, ended.output
    assert (said["job_id"], said["is_started"], said["exit_code"], said["decision"]) == (
        GOOD,
        True,
        0,
        "equal",
    )
    assert said["verdict"]["level"] == "R7"
    assert Path(said["log"]).is_file()
    assert said["posted"] is None
    assert f"Running {GOOD}" in ended.stderr


@pytest.mark.slow
def test_rerun_of_a_bundle_is_verified_and_verifies_again(data: Path, tmp_path: Path) -> None:
    ended = run("rerun", str(data / "good.tar"), "--into", str(tmp_path / "again"), "--apart")
    verified = run("verify", str(data / "good.tar"), str(tmp_path / "again/out"), "--json")

    assert ended.exit_code == 0, ended.output
    assert "was reproduced, level R7" in ended.output
    assert json.loads(verified.stdout)["verdict"]["level"] == "R7"
    (tmp_path / "again/out/work/joined.txt").write_text("else")
    assert run("verify", str(data / "good.tar"), str(tmp_path / "again/out")).exit_code == 1
