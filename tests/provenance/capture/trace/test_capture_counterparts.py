"""Jobs of one kind read other files: those of the traced job do not become inputs of the others."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.trace.counterparts import set_apart

RECORD: dict[str, Any] = {
    "inputs": [{"name": "sim.002.art"}],
    "outputs": [{"name": "dig.002.art"}],
    "configurations": [{"main": "./cnf.v1.002.fcl"}],
}


@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        ("/pnfs/sim.001.art", True),
        ("/pnfs/sim.1001.art", True),
        ("/pnfs/cnf.v0.001.fcl", True),
        ("/pnfs/sim.002.art", False),
        ("/pnfs/calib_17.root", False),
        ("/pnfs/field.map", False),
        ("table.txt", False),
    ],
)
def test_file_of_which_this_job_has_another_number_is_the_traced_jobs_own(
    path: str, *, is_own: bool
) -> None:
    used = {"files": [path]}

    set_apart(used, RECORD, "")

    assert used.get("own", []) == ([path] if is_own else [])
    assert used["files"] == ([] if is_own else [path])


@pytest.mark.parametrize(
    ("name", "argv", "is_own"),
    [
        ("cnf.digi.001.fcl", ["sh", "reco.sh", "2"], True),
        ("cnf.digi.1.fcl", ["sh", "reco.sh", "--job=2"], True),
        ("geometry_v1.gdml", ["sh", "reco.sh", "2"], False),  # without one of number 2 beside it
        ("cnf.digi.1.fcl", ["sh", "reco.sh", "1"], False),
        ("cnf.digi.1.fcl", ["sh", "reco.sh", "2", "3"], False),
        ("cnf.digi.1.fcl", ["sh", "reco.sh"], False),
    ],
)
def test_file_with_the_number_of_the_traced_jobs_command_is_its_own(
    tmp_path: Path, name: str, argv: list[str], *, is_own: bool
) -> None:
    """A job without a task has no unit by which its files could be told."""
    for number in (1, 2):
        (tmp_path / f"cnf.digi.{number}.fcl").touch()
        (tmp_path / f"cnf.digi.00{number}.fcl").touch()
    path = str(tmp_path / name)
    used = {"files": [path], "numbers": ["1"]}

    set_apart(used, {"command": {"argv": argv}}, "")

    assert used.get("own", []) == ([path] if is_own else [])


@pytest.mark.parametrize("told_as", ["files", "own"])
def test_file_that_this_job_copied_in_takes_the_place_of_the_traced_jobs(
    tmp_path: Path, told_as: str
) -> None:
    for number in (1, 2):
        (tmp_path / f"sim.00{number}.art").write_text(f"{number}")
    traced, own = str(tmp_path / "sim.001.art"), str(tmp_path / "sim.002.art")

    def after(content: str) -> dict[str, list[str]]:
        used = {told_as: [traced]}
        digest = hashlib.sha256(content.encode()).hexdigest()
        set_apart(used, {"inputs": [{"name": "sim.002.art", "sha256": digest}]}, "")
        return used

    assert after("2") == {"files": [own], "own": []}
    assert after("what another place has") == {"files": [], "own": [traced]}


def test_source_of_what_this_job_copied_in_is_looked_for_beside_that_of_the_traced_jobs_copy(
    tmp_path: Path,
) -> None:
    for number in (1, 2):
        (tmp_path / f"sim.00{number}.art").write_text(f"{number}")
    used = {"own": ["sim.001.art"], "copies": [str(tmp_path / "sim.001.art")]}
    copy = {"name": "sim.002.art", "sha256": hashlib.sha256(b"2").hexdigest()}

    set_apart(used, {"inputs": [copy]}, "")

    assert used["files"] == [str(tmp_path / "sim.002.art")]


def test_raw_file_beside_the_traced_jobs_configuration_stands_for_no_configuration(
    tmp_path: Path,
) -> None:
    (tmp_path / "raw_2.root").write_text("2")
    digest = hashlib.sha256(b"2").hexdigest()
    for path in ("raw_2.root", str(tmp_path / "raw_2.root")):  # a copy, and the file itself
        own = [str(tmp_path / "cnf.1.fcl"), str(tmp_path / "cut_1.root")]
        used = {"own": own[:]}

        set_apart(used, {"inputs": [{"name": "raw_2.root", "path": path, "sha256": digest}]}, "")

        is_copy = path == "raw_2.root"
        assert used["own"] == (own[:1] if is_copy else own)


def test_transferred_input_lies_in_the_folder_of_this_jobs_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In jobsub's jobs, `no_xfer/PROCESS/TRANSFERRED_INPUT_FILES`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "no_xfer/1/TRANSFERRED_INPUT_FILES"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "list.txt").touch()
    (folder / "run.py").touch()
    of_traced = "no_xfer/0/TRANSFERRED_INPUT_FILES"
    used = {
        "files": [f"{of_traced}/sub/list.txt", f"{of_traced}/gone.txt"],
        "code": [f"/other/{of_traced}/run.py"],
    }

    set_apart(used, {}, str(folder))

    assert used["files"] == [
        "no_xfer/1/TRANSFERRED_INPUT_FILES/sub/list.txt",
        f"{of_traced}/gone.txt",
    ]
    assert used["code"] == ["no_xfer/1/TRANSFERRED_INPUT_FILES/run.py"]
