"""A job that failed because its input was not there, and its rerun ten years later."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobprov.provenance.bundle.ingredients import Ingredients
from jobprov.provenance.bundle.plan import make_plan
from jobprov.provenance.services.reruns.execution import rerun, unpack
from tests.library.hook import Runner, entry_of
from tests.library.productions.toy_job import Blobs, Toy


@pytest.mark.slow
def test_job_without_its_input_fails_in_the_same_way_again(runner: Runner, tmp_path: Path) -> None:
    ended = runner("run", "--input", "beam.dat", "--", "sh", "-c", "exec cat beam.dat")
    record, blobs = entry_of(runner)

    assert ended.returncode == 1
    [entry] = record["inputs"]
    assert (entry["name"], entry["status"]) == ("beam.dat", "absent")
    toy = Toy()
    toy.blobs = Blobs()
    for content in blobs.values():
        toy.blobs.write(content)
    ingredients = Ingredients(record_bytes=b"{}", record=record, received_at=datetime.now(UTC))
    plan = make_plan(ingredients, toy.blobs, toy.blobs.write)
    tar = tmp_path / "bundle.tar"
    tar.write_bytes(toy.tar_bytes(plan))
    again = rerun(unpack(tar, tmp_path / "bundle"), tmp_path / "out")
    assert again.verified is not None, again.lines
    assert again.verified.level == "R1="


@pytest.mark.slow
def test_input_that_the_job_removed_was_there(runner: Runner) -> None:
    (runner.folder / "beam.dat").write_text("1 2 3\n")

    runner("run", "--input", "beam.dat", "--", "sh", "-c", "rm beam.dat; exit 3")

    [entry] = entry_of(runner)[0]["inputs"]
    assert entry["status"] == "consumed"
    assert entry["size_bytes"] == 6
