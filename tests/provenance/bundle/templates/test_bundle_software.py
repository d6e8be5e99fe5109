"""What a bundle tells of the machine's software, and of what differs: run.sh and verify.sh."""

import hashlib
from pathlib import Path

import pytest

from jobprov.provenance.bundle.plan import make_plan
from jobprov.provenance.bundle.templates import EDITION, template
from tests.library.productions.toy_job import Run, Toy


@pytest.fixture
def traced(toy: Toy, tmp_path: Path) -> Toy:
    """The toy as a job whose use of software was traced: four files, one alike here."""
    same, other = tmp_path / "lib-same.so", tmp_path / "lib-other.so"
    same.write_text("same")
    other.write_text("of a newer release")
    lines = (
        f"{same}\tfile\t0644\t4\t{hashlib.sha256(b'same').hexdigest()}",
        f"{other}\tfile\t0644\t3\t{hashlib.sha256(b'old').hexdigest()}",
        f"/opt/gone/bin/reco-of-2026\tfile\t0755\t3\t{hashlib.sha256(b'reco').hexdigest()}",
        f"/etc/passwd\tfile\t0644\t3\t{hashlib.sha256(b'other users').hexdigest()}",
        "/opt/gone/private\tfile\t0600\t3\t-",
        "/bin\tlink\tusr/bin",
    )
    listing = "".join(line + "\n" for line in lines).encode()
    toy.record["environment"]["touched_sha256"] = toy.blobs.write(listing)
    return toy


def test_check_compares_the_software_here_with_what_the_job_used(
    traced: Toy, tmp_path: Path, shell: Run
) -> None:
    data = traced.unpack(tmp_path / "bag") / "data"

    outcome = shell(data / "run.sh", "--check")

    assert outcome.returncode == 1
    assert (
        "not here: 1 of the 3 files of installed software that the job was seen to use: "
        "/opt/gone/bin/reco-of-2026 (env/touched.tsv lists them)\n"
        "of other versions here: 1 of these 3 files\n"
    ) in outcome.stderr


def test_program_that_lies_elsewhere_here_is_not_called_missing(
    traced: Toy, tmp_path: Path, shell: Run
) -> None:
    listing = b"/opt/gone/bin/cat\tfile\t0755\t3\t" + b"0" * 64 + b"\n"
    traced.record["environment"]["touched_sha256"] = traced.blobs.write(listing)
    data = traced.unpack(tmp_path / "bag") / "data"

    outcome = shell(data / "run.sh", "--check")

    assert outcome.returncode == 0
    assert "not here" not in outcome.stderr


def test_failure_that_was_not_recorded_names_what_the_machine_lacks(
    traced: Toy, tmp_path: Path, shell: Run
) -> None:
    traced.record["command"]["steps"][1]["argv"] = ["sh", "-c", "reco-of-2026"]
    data = traced.unpack(tmp_path / "bag") / "data"

    outcome = shell(data / "run.sh", tmp_path / "out")

    told = outcome.stderr
    assert outcome.returncode == 127
    assert "step join ended with exit code 127, recorded was 0." in told
    assert "- a program is not here, or a library or interpreter that it needs" in told
    assert "/opt/gone/bin/reco-of-2026" in told
    assert told.splitlines()[-1].startswith("run.sh: the job ended with exit code 127")


def test_bundle_of_the_first_edition_has_no_list_of_touched_files_and_no_stand_ins(
    traced: Toy,
) -> None:
    def paths(edition: int) -> set[str]:
        blobs = traced.blobs
        plan = make_plan(traced.ingredients(), blobs, blobs.write, edition=edition)
        return {member.path for member in plan.members}

    new = {"data/clients.sh", "data/env/touched.tsv", "data/mkdir.sh", "data/storage.sh"}
    assert paths(EDITION) - paths(1) == new


@pytest.mark.slow
def test_output_that_differs_is_described(toy: Toy, tmp_path: Path, shell: Run) -> None:
    toy.record["outputs"].append(
        {
            "name": "plot.pdf",
            "path": "out/plot.pdf",
            "status": "written",
            "sha256": "0" * 64,
            "size_bytes": 4,
        }
    )
    data, out = toy.unpack(tmp_path / "bag") / "data", tmp_path / "out"
    shell(data / "run.sh", out)
    (out / "work/out/result.txt").write_text("another\n")
    (out / "work/out/plot.pdf").write_text("2036")

    outcome = shell(data / "verify.sh", out)

    assert outcome.returncode == 1
    assert f"it has 8 bytes, recorded were {len(toy.expected)}" in outcome.stderr
    assert "it has 4 bytes, as recorded" in outcome.stderr
    dated = [line for line in outcome.stderr.splitlines() if "when they were written" in line]
    assert len(dated) == 1
    assert dated[0].endswith(": plot.pdf")


@pytest.mark.parametrize("name", ["run.sh", "verify.sh", "lib.sh", "own-root.sh"])
def test_script_has_no_here_document(name: str) -> None:
    """Several shells write these to /tmp, and go on without their text where it is full."""
    assert b"<<" not in template(EDITION, name)
