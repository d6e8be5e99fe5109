"""Jobs that start in a folder like /tmp: a container has the job's own in its place, or all share it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, missed_nothing, only_entry

START = "/var/tmp"  # noqa: S108 - a folder that many share
JOB = 'cp "$INPUTS/raw.root" in.root; cat in.root > out.root'
WORDS = ["unshare", "-rm", "sh", "-ec", f'mount --bind . {START}; cd {START}; exec "$@"', "sh"]

with_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="NO MOUNT NAMESPACE CAN BE MADE HERE (unshare -rm)",
)


def record_of_job_in_container(runner: Runner, inputs: Path) -> dict[str, Any]:
    """Return the record of a job whose folder is bound to a shared one, where it starts."""
    inputs.mkdir()
    (inputs / "raw.root").write_text("raw data\n")
    copier = inputs / "cp"
    copier.write_text('#!/bin/sh\nsleep 1\nexec /bin/cp "$@"\n')  # seen however busy we are
    copier.chmod(0o755)
    words = [*WORDS, runner.python, runner.hook, "run", "--", "sh", "-c", JOB]
    subprocess.run(
        words,
        cwd=runner.folder,
        env={
            **runner.environment,
            "INPUTS": str(inputs),
            "PATH": f"{inputs}:{os.environ['PATH']}",
        },
        check=True,
        capture_output=True,
        timeout=60,
    )
    return only_entry(runner)[0]


@pytest.mark.slow
@with_mounts
def test_folder_of_one_job_in_the_place_of_a_shared_one_is_its_own(
    runner: Runner, tmp_path: Path
) -> None:
    record = record_of_job_in_container(runner, tmp_path / "inputs")

    assert [output["path"] for output in record["outputs"]] == ["out.root"]
    (staged,) = record["inputs"]
    # `cp` may have been seen while it held its source open
    assert staged["name"] == "raw.root"
    assert staged["path"] in ("in.root", str(tmp_path / "inputs/raw.root"))
    assert missed_nothing(record["command"]["processes"])


@pytest.mark.slow
@with_mounts
def test_job_in_a_crowded_shared_folder_has_a_gap_and_claims_nothing(
    runner: Runner, tmp_path: Path
) -> None:
    for number in range(1001):
        (runner.folder / f"others-{number}").touch()

    record = record_of_job_in_container(runner, tmp_path / "inputs")

    assert "outputs" not in record
    why = record["command"]["processes"]["why_incomplete"]
    assert why.startswith(f"others keep files in {START}, too: what came there was not seen")


@pytest.mark.slow
def test_each_step_in_the_top_folder_has_the_gap_once(runner: Runner) -> None:
    for words in (["start"], ["step", "--", "true"], ["step", "--", "true"], ["end"]):
        runner(*words, cwd="/")

    record, _ = only_entry(runner)
    why = record["command"]["processes"]["why_incomplete"]
    assert why.startswith("others keep files in /, too: what came there was not seen")


@pytest.mark.slow
def test_shared_folder_that_is_named_is_looked_into(runner: Runner, tmp_path: Path) -> None:
    """Whoever names it knows that what comes there is the job's."""
    store = tmp_path / "store"
    store.mkdir()

    runner("run", "--watch", str(store), "--", "sh", "-c", f"echo data > {store}/out.root", cwd="/")

    record, _ = only_entry(runner)
    assert [output["name"] for output in record["outputs"]] == ["out.root"]
    assert missed_nothing(record["command"]["processes"])
