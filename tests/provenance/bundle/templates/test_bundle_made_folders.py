"""Reruns of scripts that make a folder, fetch their inputs into it, and stop at the first failure."""

import hashlib
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy

RAW = b"1 2 3\n"

pytestmark = pytest.mark.slow


@pytest.fixture(params=["--own-root", "--no-own-root"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def let_job_run(toy: Toy, script: str, *, location: str | None) -> None:
    """Make the toy's job a script that has `in/a/raw.dat` and `in/job.fcl`, and made both folders."""
    toy.files = []
    toy.record["software"] = []
    text = b"#!/bin/sh\nset -eu\n" + script.encode()
    toy.record["scripts"] = [
        {"name": "job.sh", "path": "job.sh", "sha256": toy.blobs.write(text), "mode": "0755"},
    ]
    toy.record["configurations"] = []
    step = {"name": "job", "role": "payload", "argv": ["./job.sh"], "exit_code": 0}
    toy.record["command"] |= {"argv": ["./job.sh"], "steps": [step]}
    toy.record["inputs"] = [
        {
            "name": "raw.dat",
            "path": "in/a/raw.dat",
            "sha256": toy.blobs.write(RAW),
            "size_bytes": len(RAW),
            "role": "primary",
        }
    ]
    if location:
        toy.record["inputs"][0]["location"] = location
    toy.record["layout"] = [{"path": "in", "kind": "new folder"}]
    made = RAW * 2
    toy.record["outputs"] = [
        {
            "name": "made.dat",
            "path": "out/made.dat",
            "status": "written",
            "sha256": hashlib.sha256(made).hexdigest(),
            "size_bytes": len(made),
        }
    ]
    toy.record["layout"].append({"path": "out", "kind": "new folder"})


MAKES = {
    "each in a call of its own": "mkdir in; mkdir in/a",
    "by an absolute path": 'mkdir "$PWD/in"; mkdir -m 755 "$PWD"/in/a/',
    "both in one call": "mkdir -v in in/a >/dev/null",
    "with a third, which the rerun has not": "mkdir in in/a in/b; rmdir in/b",
    "with parents": "mkdir -p in/a",
    "once more, which fails": "mkdir in in/a; if mkdir in 2>/dev/null; then exit 7; fi",
    "again after it was removed": 'mkdir in; rm -r in; mkdir in in/a; test -z "$(ls in/a)"',
}


@pytest.mark.parametrize("makes", MAKES)
def test_script_makes_the_folder_in_which_its_input_lies(
    toy: Toy, tmp_path: Path, shell: Run, way: str, makes: str
) -> None:
    script = f"{MAKES[makes]}\nifdh cp /pnfs/raw.dat in/a/raw.dat\nmkdir out\n"
    let_job_run(
        toy, script + "cat in/a/raw.dat in/a/raw.dat >out/made.dat", location="/pnfs/raw.dat"
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert verdict.stdout == "IDENTICAL made.dat\n"


def test_files_that_a_list_names_are_taken_where_they_lie(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """The record of a file that `ifdh cp -f` fetched does not say from where it came."""
    script = "mkdir in in/a out\necho /pnfs/raw.dat in/a/raw.dat >list\nifdh cp -f list\nrm list\n"
    let_job_run(toy, script + "cat in/a/raw.dat in/a/raw.dat >out/made.dat", location=None)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"


@pytest.mark.parametrize("count", [1, 5])
def test_step_that_fails_has_the_gaps_of_the_record_among_its_reasons(
    toy: Toy, tmp_path: Path, shell: Run, count: int
) -> None:
    let_job_run(toy, "cat in/setup.fcl", location=None)
    toy.record["weaknesses"] = [
        {"kind": "reads-unseen", "name": f"a file {number}", "detail": "nobody saw which"}
        for number in range(count)
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    told = shell(bag / "data/run.sh", out).stderr

    assert told.count("- reads-unseen: ") == min(count, 3)
    assert ("and 2 more gaps of the record" in told) == (count == 5)


def test_folder_that_was_there_before_the_job_cannot_be_made(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    script = "mkdir in/a 2>/dev/null || mkdir out\ncat in/a/raw.dat in/a/raw.dat >out/made.dat"
    let_job_run(toy, script, location=None)
    toy.record["layout"] = toy.record["layout"][1:]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert shell(bag / "data/run.sh", way, out).returncode == 0
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"


def test_script_that_the_job_wrote_in_a_folder_of_its_own_is_not_there_before(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """A program with a mkdir of its own stops where the folder is there: Python, `git clone`."""
    written = "cat in/a/raw.dat in/a/raw.dat >out/made.dat\n"
    script = f"/bin/mkdir work out\necho '{written.strip()}' >work/go.sh\nsh work/go.sh\n"
    let_job_run(toy, script, location=None)
    toy.record["layout"] = [
        {"path": "work", "kind": "new folder"},
        {"path": "out", "kind": "new folder"},
    ]
    go = {"name": "go.sh", "path": "work/go.sh", "sha256": toy.blobs.write(written.encode())}
    toy.record["scripts"].append(go | {"evidence": "seen"})
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    verdict = shell(bag / "data/verify.sh", out)
    assert verdict.stdout == "IDENTICAL made.dat\nEXTRA work/go.sh\n"
    assert (bag / "data/scripts/work/go.sh").read_text() == written
