"""Records that could not be sent travel home with the job's output, and are sent from there."""

import json
from pathlib import Path

import pytest

from tests.library.hook import Runner
from tests.library.servers.hook_service import Service


@pytest.mark.slow
def test_record_that_was_not_sent_lies_where_the_batch_system_brings_files_home(
    runner: Runner, service: Service
) -> None:
    scratch = {"_CONDOR_SCRATCH_DIR": str(runner.folder), "JOBPROV_SPOOL": None}

    done = runner(
        "run",
        "--url",
        "http://127.0.0.1:9",
        "--budget-seconds",
        "1",
        "--",
        "true",
        environment=scratch,
    )

    [entry] = runner.folder.glob("jobprov-*.jobprov")
    assert done.returncode == 0
    assert f"goes home with the output as {entry.name}" in done.stderr.decode()

    home = runner.folder.parent / "home"
    home.mkdir()
    entry.rename(home / entry.name)
    sent = runner("flush", str(home), "--url", service.url)

    assert (sent.returncode, b"sent 1" in sent.stderr + sent.stdout) == (0, True)
    assert service.only_record()["state"] == "succeeded"
    assert list(home.glob("jobprov-*.jobprov")) == []


@pytest.mark.slow
def test_record_that_was_sent_leaves_nothing_to_bring_home(
    runner: Runner, service: Service
) -> None:
    scratch = {"_CONDOR_SCRATCH_DIR": str(runner.folder), "JOBPROV_SPOOL": None}

    runner("run", "--url", service.url, "--", "true", environment=scratch)

    assert service.only_record()["state"] == "succeeded"
    assert list(runner.folder.glob("jobprov-*.jobprov")) == []


def test_spool_elsewhere_brings_nothing_home(runner: Runner, tmp_path: Path) -> None:
    runner(
        "run",
        "--budget-seconds",
        "1",
        "--",
        "true",
        environment={"_CONDOR_SCRATCH_DIR": str(tmp_path / "job")},
    )

    assert list((tmp_path / "job").glob("jobprov-*")) == []


@pytest.mark.slow
def test_flush_sends_what_an_earlier_one_gathered_and_could_not_send(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    runner("run", "--url", "http://127.0.0.1:9", "--budget-seconds", "1", "--", "true")
    [entry] = (runner.spool / "ready").iterdir()
    home = tmp_path / "home"
    home.mkdir()
    entry.rename(home / "jobprov-8470b049.jobprov")
    words = ("flush", str(home), "--budget-seconds", "1", "--url")

    without_service = runner(*words, "http://127.0.0.1:9")
    sent = runner(*words, service.url)

    assert (without_service.returncode, b"left 1" in without_service.stderr) == (3, True)
    assert (sent.returncode, b"sent 1" in sent.stderr) == (0, True)
    assert service.only_record()["state"] == "succeeded"


def test_flush_of_a_folder_without_any_says_so_and_makes_it_no_spool(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    done = runner("flush", str(empty), "--url", service.url)

    assert done.returncode == 0
    assert done.stderr.decode() == f"jobprov: {empty}: no spool, nothing to send\n"
    assert list(empty.iterdir()) == []


def test_flush_of_a_mistyped_folder_says_that_there_is_none(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    mistyped = tmp_path / "spol"

    done = runner("flush", str(mistyped), "--url", service.url, "--json")

    assert done.returncode == 3
    assert done.stderr.decode() == f"jobprov: there is no {mistyped}\n"
    assert json.loads(done.stdout)["problem"] == f"there is no {mistyped}"
    assert not mistyped.exists()
