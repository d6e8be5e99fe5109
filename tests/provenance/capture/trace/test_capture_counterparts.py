"""Jobs of one kind read other files: those of the traced job do not become inputs of the others."""

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
