"""`jobprov art`: shown to people and programs, held against a record over HTTP, made into one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.commands import run_alone
from tests.library.servers.live_service import LiveService

TOY = str(Path(__file__).parents[3] / "data" / "art" / "toy_reco.root")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("art") / "var")
    yield service
    service.stop()


def test_the_first_line_says_what_made_the_file() -> None:
    ended = run_alone("art", TOY)

    assert ended.returncode == 0
    assert ended.stdout.startswith(
        "toy_reco.root was made by process Reco with ParameterSetID a4422c80"
    )
    assert json.loads(run_alone("art", TOY, "--json").stdout)["metadata"]["event_count"] == 20


def test_a_file_of_another_kind_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_text("no")

    ended = run_alone("art", str(tmp_path / "a.root"))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_file_without_a_record_gets_one_and_then_agrees_with_it(live: LiveService) -> None:
    assert live.run("art", TOY, "--check").returncode == 2

    made = live.run("art", TOY, "--record", "--experiment", "toyexp")
    again = live.run("art", TOY, "--record", "--experiment", "toyexp")
    checked = live.run("art", TOY, "--check")

    assert made.stdout.startswith("created as "), made.stderr
    assert again.stdout.startswith("same as ")
    assert checked.stdout.startswith("agrees: job ")
    assert "toy_gen.root" in live.run("lineage", "toy_reco.root").stdout


@pytest.mark.slow
def test_a_record_that_names_another_set_than_the_file_gets_a_gap(
    live: LiveService, tmp_path: Path
) -> None:
    record = {
        "schema_version": 1,
        "job_id": "0f8b0000-0000-4000-8000-000000000077",
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-11-24T15:00:00Z",
        "ended_at": "2026-11-25T15:00:00Z",
        "configurations": [{"step": "art", "main": "reco.fcl", "parameter_set_id": "0" * 40}],
        "outputs": [{"name": "toy_reco.root"}],
    }
    (tmp_path / "job.json").write_text(json.dumps(record))
    assert live.run("record", str(tmp_path / "job.json")).returncode == 0

    checked = live.run("art", TOY, "--check", "--experiment", "nova")
    again = json.loads(live.run("art", TOY, "--check", "--experiment", "nova", "--json").stdout)

    assert checked.returncode == 1
    assert checked.stdout.startswith(f"differs: job {record['job_id']}.")
    assert again["kept"] is True
    job = json.loads(
        live.run("job", str(record["job_id"]), "--experiment", "nova", "--json").stdout
    )
    codes = [gap["code"] for gap in job["gaps"]]
    assert "configuration-differs-in-file" in codes
    assert "witness-contradiction" not in codes
    assert [witness["witness"] for witness in job["witnesses"]] == ["wrapper", "import"]
