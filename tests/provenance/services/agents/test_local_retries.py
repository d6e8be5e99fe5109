"""A recorded job run again by hand.

It runs here to see its error, and on a worker node under the hook by `retry-job.sh`.
"""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.packing import build
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.services.agents.local_retries import run_here
from tests.library.productions.toy_job import CHECKOUT, WORK, Toy

ART = b"""#!/bin/sh
printf '<%s>' "$@"
echo
mkdir -p out
printf '<%s>' "$@" > out/result.txt
exit 65
"""


def a_toy(*arguments: str, program: str = "art") -> Toy:
    """Return a job of one program that prints its arguments and fails."""
    toy = Toy()
    toy.files.append((f"bin/{program}", 0o100755, ART))
    [step] = [step for step in toy.record["command"]["steps"] if step["role"] == "payload"]
    step["argv"] = [f"{CHECKOUT}/bin/{program}", "-c", "top.fcl", *arguments]
    step["exit_code"] = 65
    toy.record["state"], toy.record["exit"] = "failed", {"code": 65}
    return toy


@pytest.mark.parametrize(
    ("arguments", "events", "said"),
    [
        (("-n", "1000", "-s", "a b.root"), 10, "<-c><top.fcl><-s><a b.root><-n><10>"),
        (("--nevts=1000",), 10, "<-c><top.fcl><-n><10>"),
        (("--nevts", "7", "x"), 10, "<-c><top.fcl><x><-n><10>"),
        (("-n7",), 10, "<-c><top.fcl><-n><10>"),
        (("-n", "7"), None, "<-c><top.fcl><-n><7>"),
    ],
)
def test_a_job_runs_here_with_fewer_events(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    events: int | None,
    said: str,
) -> None:
    root = a_toy(*arguments).unpack(tmp_path / "bundle")

    code = run_here(root, tmp_path / "out", events=events)

    assert code == 65
    assert said in capfd.readouterr().out


def test_a_program_that_is_not_arts_runs_as_recorded_and_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = a_toy("-n", "5", program="other").unpack(tmp_path / "bundle")

    run_here(root, tmp_path / "out", events=10)

    shown = capfd.readouterr()
    assert "<-n><5>" in shown.out
    assert "other is not known to take a number of events" in shown.err


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("hook") / "job-end-hook.pyz"
    build(str(file))
    return file


def run_script(
    folder: Path, toy: Toy, hook: Path, *words: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    (folder / "job.tar").write_bytes(toy.tar_bytes())
    shutil.copy(hook, folder)
    (folder / "retry-job.sh").write_text(retry_script())
    environment = {
        "PATH": os.environ["PATH"],
        "JOBPROV_EXPERIMENT": "toy",
        "JOBPROV_SPOOL": str(folder / "spool"),
        "JOBPROV_RETRY_OF": toy.record["job_id"],
        **variables,
    }
    return subprocess.run(
        ["sh", "retry-job.sh", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def spooled(folder: Path) -> dict[str, Any]:
    [file] = (folder / "spool" / "ready").iterdir()
    with zipfile.ZipFile(file) as entry:
        return dict(json.loads(entry.read("record.json")))


@pytest.mark.slow
def test_a_try_on_a_worker_node_has_a_record_of_the_recorded_code_and_inputs(
    tmp_path: Path, hook: Path
) -> None:
    toy = Toy()

    done = run_script(
        tmp_path, toy, hook, "job.tar", JOBPROV_UNIT="it's a 'unit'", JOBPROV_TASK_ID="toy-1"
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "result.txt").read_bytes() == toy.expected
    record = spooled(tmp_path)
    assert (record["state"], record["retry_of"]) == ("succeeded", toy.record["job_id"])
    assert record["task"] == {"task_id": "toy-1", "unit": "it's a 'unit'"}
    [step] = record["command"]["steps"]
    assert step["name"] == "join"
    [code] = record["software"]
    assert code["repository"] == "https://git.example.org/toy-code.git"
    assert (code["revision"], code["is_dirty"]) == (toy.resolved()[0].commit, False)
    recorded = toy.record["inputs"][0]["sha256"]
    assert [(file["sha256"], file["role"]) for file in record["inputs"]] == [(recorded, "primary")]
    assert [file["sha256"] for file in record["outputs"]] == [toy.record["outputs"][0]["sha256"]]
    assert WORK not in json.dumps(record["command"]), "it ran where this machine has room"


@pytest.mark.slow
def test_a_try_ends_as_the_job_does_and_leaves_nothing_behind(tmp_path: Path, hook: Path) -> None:
    done = run_script(tmp_path, a_toy("-n", "5"), hook, "job.tar")

    assert done.returncode == 65
    assert "<-n><5>" in done.stdout
    record = spooled(tmp_path)
    assert (record["state"], record["exit"]["code"]) == ("failed", 65)
    assert not list(tmp_path.glob("retry-[0-9]*"))


@pytest.mark.slow
def test_a_line_of_a_list_names_the_try_of_a_process(tmp_path: Path, hook: Path) -> None:
    job = Toy().record["job_id"]
    lines = ["t0\ts\tc\tu0\t-\tnothing.tar", f"toy 1\tjoin\t\tunit 1\t{job}\tjob.tar"]
    (tmp_path / "retry-1.list").write_text("\n".join(lines) + "\n")

    done = run_script(tmp_path, Toy(), hook, "--list", "retry-1.list", PROCESS="1")

    assert done.returncode == 0, done.stderr
    assert spooled(tmp_path)["task"] == {"task_id": "toy 1", "stage": "join", "unit": "unit 1"}
    missing = run_script(tmp_path, Toy(), hook, "--list", "retry-1.list", PROCESS="9")
    assert missing.returncode == 125
    assert "no line for process 9" in missing.stderr


def test_what_is_no_bundle_is_refused(tmp_path: Path, hook: Path) -> None:
    done = run_script(tmp_path, Toy(), hook, "retry-job.sh")

    assert done.returncode == 125
    assert "is no bundle" in done.stderr


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="NO SHELLCHECK: retry-job.sh is not checked"
)
def test_the_script_is_plain_posix(tmp_path: Path) -> None:
    (tmp_path / "retry-job.sh").write_text(retry_script())

    done = subprocess.run(
        ["shellcheck", "-s", "sh", "retry-job.sh"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
