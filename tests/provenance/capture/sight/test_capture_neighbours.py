"""Several jobs in one working folder at a time, as Snakemake, Parsl or `make -j` have them."""

import io
import json
import os
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, said

pytestmark = pytest.mark.slow

DOUBT = "other jobs had the folder: nothing shows that this one made 1 of its files (b.dat)"
# It is there before the other one comes, and ends after that
WAITS = "touch .here; until [ -e .gone ]; do sleep 0.02; done; echo a > a.dat"


def start(runner: Runner, *words: str) -> "subprocess.Popen[bytes]":
    """Start a job beside others."""
    return subprocess.Popen(
        [runner.python, runner.hook, *words],
        cwd=runner.folder,
        env=runner.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.01)


def run_beside(runner: Runner, script: str, *options: str, waiting: str = WAITS) -> None:
    """Run a script while another job waits in the folder, which goes on once that is recorded."""
    first = start(runner, "run", *options, "--name", "first", "--", "sh", "-c", waiting)
    wait_for(runner.folder / ".here")
    assert runner("run", "--name", "second", "--", "sh", "-c", script).returncode == 0
    (runner.folder / ".gone").touch()
    assert first.wait(60) == 0


def records(runner: Runner) -> dict[str, dict[str, Any]]:
    """Return the records in the spool by the name of their step."""
    found = {}
    for entry in runner.entries():
        archive = zipfile.ZipFile(io.BytesIO(entry.read_bytes()))
        record = json.loads(archive.read("record.json"))
        found[record["command"]["steps"][0]["name"]] = record
    return found


def outputs(record: dict[str, Any]) -> list[str]:
    return [output["name"] for output in record.get("outputs", ())]


def test_jobs_beside_each_other_claim_their_own_files(runner: Runner) -> None:
    (runner.folder / "settings.txt").write_text("lies there before\n")

    run_beside(runner, "echo b > b.dat; echo more >> settings.txt; echo of b > b.log")

    found = records(runner)
    assert outputs(found["first"]) == ["a.dat"]
    assert "inputs" not in found["first"]
    assert [log["name"] for log in found["first"].get("logs", ())] == []
    assert sorted(outputs(found["second"])) == ["b.dat", "settings.txt"]
    assert [log["name"] for log in found["second"]["logs"]] == ["b.log"]
    (doubt,) = [line for line in said(found["first"]) if line.startswith("children-unseen outputs")]
    assert "nothing shows that this one made 2 of its files" in doubt


def test_job_whose_outputs_are_told_has_a_note_and_no_gap(runner: Runner) -> None:
    run_beside(runner, "echo b > b.dat", "--output", "a.dat")

    first = records(runner)["first"]
    assert outputs(first) == ["a.dat"]
    assert DOUBT in first["extra"]["hook_notes"]
    assert not any(line.startswith("children-unseen outputs") for line in said(first))


def test_file_that_a_program_of_the_job_held_open_is_its_own(runner: Runner) -> None:
    run_beside(runner, "n=7; { echo 1; sleep 1; } > part_$n.dat")

    assert outputs(records(runner)["second"]) == ["part_7.dat"]


def test_file_keeps_its_job_under_another_name(runner: Runner) -> None:
    run_beside(runner, "n=7; { echo 1; sleep 1; } > part; mv part $(echo part_$n.dat)")

    assert outputs(records(runner)["second"]) == ["part_7.dat"]


def test_jobs_one_after_the_other_claim_all_that_comes(runner: Runner) -> None:
    for name, number in (("first", 1), ("second", 2)):
        script = f"n={number}; echo quick > part_$n.dat"
        runner("run", "--name", name, "--", "sh", "-c", script)

    found = records(runner)
    assert outputs(found["first"]) == ["part_1.dat"]
    assert outputs(found["second"]) == ["part_2.dat"]


def test_file_that_is_touched_once_its_job_was_sent_is_not_the_next_ones(runner: Runner) -> None:
    """As Snakemake does: another job began while the hook of the first was still sending."""
    with socket.create_server(("127.0.0.1", 0)) as silent_service:
        url = f"http://127.0.0.1:{silent_service.getsockname()[1]}"
        words = ("run", "--url", url, "--no-trace", "--name", "first", "--")
        first = start(runner, *words, "sh", "-c", "mkdir made; echo a > made/a.dat")
        asking, _ = silent_service.accept()  # before its command, for half a second
        sending, _ = silent_service.accept()
        waits = "touch .here; until [ -e .gone ]; do sleep 0.02; done; echo b > b.dat"
        second = start(runner, "run", "--name", "second", "--", "sh", "-c", waits)
        wait_for(runner.folder / ".here")
        asking.close()
        sending.close()
    assert first.wait(60) == 0
    os.utime(runner.folder / "made/a.dat")
    (runner.folder / ".gone").touch()
    assert second.wait(60) == 0

    found = records(runner)
    assert outputs(found["first"]) == ["a.dat"]
    assert outputs(found["second"]) == ["b.dat"]


def test_hook_that_was_killed_is_no_neighbour(runner: Runner) -> None:
    killed = start(runner, "run", "--", "sh", "-c", "echo $$ > .here; exec sleep 60")
    wait_for(runner.folder / ".here")
    killed.kill()
    killed.wait()

    runner("run", "--name", "second", "--", "sh", "-c", "n=8; echo quick > part_$n.dat")

    os.kill(int((runner.folder / ".here").read_text()), signal.SIGKILL)
    assert outputs(records(runner)["second"]) == ["part_8.dat"]


def test_job_claims_what_jobs_that_it_ran_itself_made(runner: Runner) -> None:
    inner = f"{runner.python} {runner.hook} run --name inner -- sh -c 'sleep 0.3; echo 1 > in.dat'"

    runner("run", "--name", "outer", "--", "sh", "-c", f"{inner}; n=8; echo 1 > part_$n.dat")

    found = records(runner)
    assert outputs(found["inner"]) == ["in.dat"]
    assert sorted(outputs(found["outer"])) == ["in.dat", "part_8.dat"]


def test_folder_of_one_job_in_one_of_several_is_its_own(runner: Runner) -> None:
    (runner.folder / "mine").mkdir()
    script = "n=7; echo quick > mine/part_$n.dat"
    first = start(runner, "run", "--name", "first", "--", "sh", "-c", WAITS)
    wait_for(runner.folder / ".here")

    runner("run", "--name", "second", "--watch", "mine", "--", "sh", "-c", script)

    (runner.folder / ".gone").touch()
    assert first.wait(60) == 0
    assert outputs(records(runner)["second"]) == ["part_7.dat"]


def run_below(runner: Runner, script: str, waiting: str) -> None:
    """Run a script in a folder below that of another job, which goes on once that is recorded."""
    below = runner.folder / "run_1"
    below.mkdir()
    first = start(runner, "run", "--name", "first", "--", "sh", "-c", waiting)
    wait_for(runner.folder / ".here")
    done = runner("run", "--name", "second", "--", "sh", "-c", script, cwd=below)
    assert done.returncode == 0
    (runner.folder / ".gone").touch()
    assert first.wait(60) == 0


def test_job_of_the_submit_folder_claims_nothing_of_jobs_in_folders_below(runner: Runner) -> None:
    """As tasks of Slurm have a folder each below the one in which another job runs."""
    run_below(runner, "echo b > b.dat", WAITS)

    found = records(runner)
    assert outputs(found["first"]) == ["a.dat"]
    assert outputs(found["second"]) == ["b.dat"]
    assert f"children-unseen outputs: {DOUBT}" in said(found["first"])


def test_job_that_was_below_before_is_seen_although_it_is_gone(runner: Runner) -> None:
    below = Runner(runner.hook, runner.folder / "run_1")
    below.folder.mkdir()
    below.environment["JOBPROV_SPOOL"] = str(runner.spool)
    waits = "touch ../.here; until [ -e ../.go ]; do sleep 0.02; done; echo b > b.dat"
    second = start(below, "run", "--name", "second", "--", "sh", "-c", waits)
    wait_for(runner.folder / ".here")
    script = "touch .go; until [ -e .gone ]; do sleep 0.02; done; echo a > a.dat"
    first = start(runner, "run", "--name", "first", "--", "sh", "-c", script)
    assert second.wait(60) == 0
    (runner.folder / ".gone").touch()
    assert first.wait(60) == 0

    assert outputs(records(runner)["first"]) == ["a.dat"]


def test_folder_below_where_nobody_else_is_belongs_to_the_job(runner: Runner) -> None:
    """Jobs were there before, and others are beside it."""
    (runner.folder / "run_1").mkdir()
    assert runner("run", "--", "true", cwd=runner.folder / "run_1").returncode == 0

    assert runner("run", "--name", "one", "--", "sh", "-c", "echo 1 > run_1/1.dat").returncode == 0

    assert outputs(records(runner)["one"]) == ["1.dat"]


@pytest.mark.parametrize("is_script", [False, True])
def test_name_with_a_variable_is_the_jobs_where_its_value_is(
    runner: Runner, *, is_script: bool
) -> None:
    """As tasks of Slurm name their files by SLURM_PROCID."""
    runner.environment["SLURM_PROCID"] = "2"
    script = "sleep 0.2\nout=b_${SLURM_PROCID}\necho b > $out.dat; echo c > c_$SLURM_PROCID.dat"
    (runner.folder / "b.sh").write_text(f"#!/bin/sh\n{script}\n")

    run_beside(runner, "sh ./b.sh" if is_script else script)

    assert sorted(outputs(records(runner)["second"])) == ["b_2.dat", "c_2.dat"]
