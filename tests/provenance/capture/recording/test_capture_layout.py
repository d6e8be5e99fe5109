"""The record tells how things lay before the job: modes, times, links, folders, pipes."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, only_entry

_OLD = 1_588_655_105_250_000_000
_OLD_TEXT = "2020-05-05T05:05:05.250000000Z"


def _record(runner: Runner, script: str, *words: str) -> dict[str, Any]:
    (runner.folder / "job.sh").write_text(script)
    time.sleep(0.05)  # so that what lies here is older than the job
    runner("run", "--", "sh", "job.sh", *words)
    return only_entry(runner)[0]


def _layout(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in record.get("layout", ())}


@pytest.mark.slow
def test_inputs_and_scripts_have_mode_and_time(runner: Runner) -> None:
    data = runner.folder / "in.dat"
    data.write_text("1\n")
    data.chmod(0o640)
    os.utime(data, ns=(_OLD, _OLD))

    record = _record(runner, "cat in.dat > out.txt", "in.dat")

    [entry] = [entry for entry in record["inputs"] if entry["name"] == "in.dat"]
    assert (entry["mode"], entry["modified_at"]) == ("0640", _OLD_TEXT)
    [script] = record["scripts"]
    assert script["modified_at"].endswith("Z")


@pytest.mark.slow
def test_input_that_the_job_writes_has_no_time(runner: Runner) -> None:
    (runner.folder / "in.dat").write_text("2\n1\n")

    record = _record(runner, "sort -o in.dat in.dat", "in.dat")

    for entry in record["inputs"]:
        assert "modified_at" not in entry


@pytest.mark.slow
def test_links_folders_and_pipes_are_listed(runner: Runner) -> None:
    job = runner.folder
    store = job.parent / "store"
    (store / "v2").mkdir(parents=True)
    (store / "v2" / "a.txt").write_text("7\n")
    (job / "current").symlink_to("../store/v2")
    (job / "nowhere").symlink_to("run-17")
    (job / "drop").mkdir()
    (job / "drop").chmod(0o1777)
    os.mkfifo(job / "pipe", 0o600)

    script = (
        "mkdir -p new/deep drop; echo 1 > new/deep/x; cat $1 > drop/y; echo 1 > pipe & cat pipe"
    )
    layout = _layout(_record(runner, script, "current/a.txt"))

    assert layout["current"]["target"] == "../store/v2"
    assert layout["nowhere"]["target"] == "run-17"
    assert (layout["drop"]["kind"], layout["drop"]["mode"]) == ("folder", "1777")
    assert "modified_at" not in layout["drop"]
    assert layout["pipe"]["kind"] == "pipe"
    assert layout["new"] == {"path": "new", "kind": "new folder"}
    assert not any(path.startswith("new/") for path in layout)


@pytest.mark.slow
def test_empty_folder_of_an_argument_is_listed(runner: Runner) -> None:
    results = runner.folder.parent / "results"
    results.mkdir()

    layout = _layout(_record(runner, 'echo 5 > "$1/a.txt"', str(results)))

    assert layout[str(results)]["kind"] == "folder"


@pytest.mark.slow
def test_two_names_of_one_file_are_told(runner: Runner) -> None:
    (runner.folder / "a.dat").write_text("1\n")
    os.link(runner.folder / "a.dat", runner.folder / "b.dat")

    layout = _layout(_record(runner, "cat a.dat b.dat > out.txt", "a.dat", "b.dat"))

    assert layout["b.dat"] == {**layout["b.dat"], "kind": "hard link"}
    assert layout["b.dat"]["target"].endswith("/a.dat")


@pytest.mark.slow
@pytest.mark.parametrize(("redirection", "kind"), [("<&-", "closed"), ("</dev/null", None)])
def test_closed_standard_input_is_told(runner: Runner, redirection: str, kind: str | None) -> None:
    words = [runner.python, runner.hook, "run", "--", "true"]
    subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *words],
        env=runner.environment,
        cwd=runner.folder,
        check=True,
    )

    assert only_entry(runner)[0]["command"].get("stdin") == kind


@pytest.mark.slow
def test_folder_of_tests_is_no_part_of_the_layout(runner: Runner) -> None:
    layout = _layout(_record(runner, "ls / /usr > out.txt"))

    around = {str(folder) for folder in Path(runner.folder).parents}
    assert not around & set(layout)
    assert not any(path.startswith("/usr") for path in layout)
