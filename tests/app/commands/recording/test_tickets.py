"""A task is registered at its submission, and its jobs report with the ticket.

docs/how-to/record-jobs.md says so.
"""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jobprov.provenance.client import Client
from tests.library.commands import JOBPROV, clean_environment, run_alone
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

DOCUMENT = (Path(__file__).resolve().parents[4] / "docs/how-to/record-jobs.md").read_text()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """Yield a service that wants a token, known to its commands."""
    service = LiveService(tmp_path_factory.mktemp("register") / "var")
    made = service.run(
        "token",
        "create",
        "--experiment",
        "toy",
        "--name",
        "production",
        "--scope",
        "admin",
        "--json",
    )
    service.environment["JOBPROV_TOKEN"] = json.loads(made.stdout)["token"]
    yield service
    service.stop()


@pytest.fixture
def folder(live: LiveService, tmp_path: Path) -> Path:
    """Return a folder with the hook, and `jobprov` on its PATH."""
    put_hook(tmp_path / "job-end-hook.pyz")
    command = tmp_path / "bin" / "jobprov"
    command.parent.mkdir()
    words = " ".join(f"'{word}'" for word in JOBPROV)
    token = live.environment["JOBPROV_TOKEN"]
    command.write_text(
        f'#!/bin/sh\nJOBPROV_URL={live.url} JOBPROV_TOKEN={token} exec {words} "$@"\n'
    )
    command.chmod(0o755)
    return tmp_path


def run_recipe(folder: Path, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    (recipe,) = re.findall(rf"```sh {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    environment = {
        **clean_environment(),
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    environment["JOBPROV_SPOOL"] = str(folder / "spool")
    return subprocess.run(
        ["sh", "-e", "-c", recipe, "sh", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_job_reports_with_the_ticket_and_the_task_counts_it(
    live: LiveService, folder: Path
) -> None:
    done = run_recipe(folder, "with-ticket")

    client = Client(live.url)
    task = client.task("my-first-task", experiment="toy")
    assert (done.returncode, "jobprov: " in done.stderr) == (0, False), done.stderr
    assert (task.stage, task.expected, task.produced) == ("gen", 10, 1)
    ticket = folder / "jobprov.ticket"
    assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
    [job] = client.jobs(task_id="my-first-task")
    assert ticket.read_text().strip() not in msgspec.json.encode(client.job(job.job_id)).decode()


@pytest.mark.slow
def test_job_of_another_task_is_refused_and_kept_for_another_token(
    live: LiveService, folder: Path
) -> None:
    ticket = live.run("register", "--experiment", "toy", "--task-id", "mine", "--json")
    token = json.loads(ticket.stdout)["settings"]["JOBPROV_TOKEN"]
    environment = {
        **clean_environment(),
        "JOBPROV_URL": live.url,
        "JOBPROV_EXPERIMENT": "toy",
        "JOBPROV_TOKEN": token,
    }

    done = subprocess.run(
        [
            sys.executable,
            "job-end-hook.pyz",
            "run",
            "--task-id",
            "other",
            "--spool",
            "spool",
            "--",
            "sh",
            "-c",
            "exit 3",
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert "The ticket is of toy, task mine alone; the record is of toy, task other." in done.stderr
    assert len(list((folder / "spool" / "ready").glob("*.jobprov"))) == 1
    assert list(Client(live.url).jobs(task_id="other")) == []


@pytest.mark.slow
def test_namespace_of_a_task_is_that_of_its_files(live: LiveService, folder: Path) -> None:
    words = ("register", "--experiment", "toy", "--task-id", "named", "--json")
    answer = json.loads(live.run(*words, "--namespace", "usertests").stdout)

    subprocess.run(
        [sys.executable, "job-end-hook.pyz", "run", "--", "sh", "-c", "echo 1 > found-by-did.root"],
        cwd=folder,
        env={**clean_environment(), **answer["settings"]},
        check=True,
    )

    assert answer["declared"]["namespace"] == "usertests"
    found = live.run("lookup", "usertests:found-by-did.root")
    assert found.stdout.startswith("usertests:found-by-did.root was made by job"), found.stderr
    odd = live.run(*words, "--namespace", "a:b")
    assert (odd.returncode, "letters, digits, _, . and - alone" in odd.stderr) == (2, True)


@pytest.mark.slow
def test_submission_is_noted_as_jobsub_tells_it(live: LiveService, folder: Path) -> None:
    argv = [
        "jobsub_submit",
        "-G",
        "toy",
        "-e",
        "POMS_TASK_ID=77",
        "-e",
        "API_TOKEN=hunter2hunter2",
        "-N",
        "5",
        "file://x",
    ]

    done = run_recipe(folder, "job-info", "81234.0@jobsub01", repr(argv))

    declared = Client(live.url).task("77", experiment="toy").declared
    assert (done.returncode, done.stdout) == (0, "registered task 77\n"), done.stderr
    assert (declared["batch_id"], declared["submitted_jobs"]) == ("81234.0@jobsub01", 5)
    assert declared["submit_command"][:5] == argv[:5]
    assert "hunter2" not in json.dumps(declared)


def test_words_that_lost_their_quotes_on_the_way_are_one_list(live: LiveService) -> None:
    """The list comes through a shell, between double quotes; POMS sets the task beside it."""
    words = ("['jobsub_submit', '-G', 'toy', '-l', '+Image=/a", "b', 'file:///x']")
    poms = {"POMS_TASK_ID": "78", "JOBSUB_EXTRA_ENVIRONMENT": "POMS_TASK_ID,A=1"}

    done = live.run("register", "81235.0@jobsub01", *words, **poms)

    assert done.stdout == "registered task 78\n", done.stderr
    declared = Client(live.url).task("78", experiment="toy").declared
    assert declared["submit_command"][4] == "+Image=/a b"


@pytest.mark.slow
def test_frozen_list_is_not_replaced(live: LiveService, tmp_path: Path) -> None:
    (tmp_path / "units").write_text("/pnfs/toy/a.root\nb.root\n")
    words = ("register", "--experiment", "toy", "--task-id", "frozen", "--no-ticket")
    first = live.run(*words, "--units", str(tmp_path / "units"))

    again = live.run(*words, "--campaign", "prod5")
    other = live.run(*words, "--count", "7")

    assert (first.returncode, again.returncode, other.returncode) == (0, 0, 1)
    assert "frozen already" in other.stderr
    declared = Client(live.url).task("frozen", experiment="toy").declared
    assert (declared["units"], declared["campaign"]) == (["a.root", "b.root"], "prod5")


def test_experiment_is_the_one_that_the_hook_was_told(live: LiveService) -> None:
    told = {"JOBPROV_EXPERIMENT": "toy", "EXPERIMENT": "nova"}

    done = live.run("register", "--task-id", "of-the-environment", "--no-ticket", **told)

    assert "export JOBPROV_EXPERIMENT=toy" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Which experiment?"),
        (("--experiment", "toy"), "Which task?"),
        (("81234.0@s",), "Give both"),
        (("x", "[]"), "not a batch id"),
    ],
)
def test_usage_errors_say_what_is_missing(words: tuple[str, ...], told: str) -> None:
    nowhere = "http://127.0.0.1:9"
    ended = run_alone("register", *words, JOBPROV_URL=nowhere, EXPERIMENT="", POMS_TASK_ID="")

    assert ended.returncode == 2
    assert told in ended.stderr
