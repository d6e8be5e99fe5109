"""What README.txt and GAPS.tsv of a bundle say about its job."""

from pathlib import Path

import pytest

from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.plan import Plan
from tests.library.productions.toy_job import Toy


def _file(toy: Toy, name: str, plan: Plan | None = None) -> str:
    plan = plan or toy.plan()
    [member] = [member for member in plan.members if member.path == f"data/{name}"]
    part = toy.blobs.get(member.part_of)
    return part[member.offset : member.offset + member.size].decode()


def _readme(toy: Toy) -> str:
    """README.txt in one line: where its lines end does not matter."""
    return " ".join(_file(toy, "README.txt").split())


def test_readme_of_a_complete_job_says_what_is_here_and_compared(toy: Toy) -> None:
    told = _readme(toy)

    assert "experiment toy, task toy-1, stage join, ended 2026-03-01T10:00:05.5Z" in told
    assert "The job succeeded." in told
    assert "It ran ./wrapper.sh in" in told
    assert "Closure level L2, by the files that are here. Complete in this bundle:" in told
    assert "Nothing that is known of the record speaks against an equal rerun." in told
    assert "- result.txt: the same bytes (SHA-256)." in told
    assert "program: Install it, or put its folder in PATH" in told


def test_readme_names_what_is_missing_and_where_to_get_it(toy: Toy) -> None:
    facts = {"sha256": "ab" * 32, "size_bytes": 7 << 30, "location": "root://eos//beam.root"}
    toy.record["inputs"].append({"name": "beam.root", "path": "/pnfs/beam.root", **facts})

    told = _readme(toy)

    assert "input: Give the folder where the files are: --input-dir FOLDER." in told
    assert (
        f"- beam.root, 7516192768 bytes, digest {'ab' * 32}, was at root://eos//beam.root" in told
    )
    assert "Files of this job that lay at such paths: - /pnfs/beam.root" in told


def test_readme_of_a_failed_job_says_how_it_failed(toy: Toy) -> None:
    message = "[Errno 2] No such file or directory: 'beam.dat'"
    toy.record |= {"state": "failed", "exit": {"code": 1, "message": message}, "outputs": []}
    toy.record["inputs"].append({"name": "beam.dat", "path": "beam.dat", "status": "absent"})

    told = _readme(toy)

    assert f'The job failed with exit code 1. The recorded reason: "{message}".' in told
    assert "These inputs were not there, and must not be there for a rerun: beam.dat." in told
    assert "verify.sh then says R1=" in told
    assert "No output: only the exit code and the recorded reason of the failure." in told


def test_readme_of_a_job_without_outputs_says_that_nothing_can_be_compared(toy: Toy) -> None:
    toy.record["outputs"] = []

    assert "NOTHING CAN BE COMPARED" in _readme(toy)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"status": "dropped"}, "is not required (status dropped)"),
        ({"status": "empty", "size_bytes": 0}, "was empty, and must be empty again"),
        ({"checksums": ["adler32:1"]}, "the recorded checksum adler32:1; adler32 alone"),
        ({}, "no checksum was recorded, so it cannot be compared"),
        ({"file_format": "root"}, "a ROOT file without a recorded content digest"),
        (
            {"file_format": "root", "content_digest": "root-content-2:aa"},
            "a ROOT file: the content must be equal; dates and ids in it may differ.",
        ),
    ],
)
def test_readme_says_how_each_output_is_compared(
    toy: Toy, output: dict[str, object], told: str
) -> None:
    toy.record["outputs"].append({"name": "b", **output})

    assert f"- b: {told}" in _readme(toy)


def test_readme_names_the_experiment_s_rule(toy: Toy) -> None:
    toy.rules = [OutputRule(pattern="*.txt", comparator="numeric", relative=1e-9)]

    rule = "numbers equal within the tolerance of the experiment, by the experiment's rule"
    assert f'- result.txt: {rule} `numeric {{"relative": 1e-09}}`' in _readme(toy)


def test_gaps_are_a_table_and_sentences(toy: Toy) -> None:
    toy.record["software"].append(
        {"name": "offline", "repository": "https://git.example.org/o.git", "requested_ref": "v1"}
    )
    toy.record["extra"] = {"hook_notes": ["git status was cut after 5 s"]}

    table = [line.split("\t") for line in _file(toy, "GAPS.tsv").splitlines()]
    told = _readme(toy)

    assert table[0] == ["code", "stops_level", "message", "how_to_close"]
    unresolved = "offline: its commit was not found in a repository that jobprov knew."
    assert table[1][:3] == ["software-unresolved", "L1", unresolved]
    assert ["log-missing", "-"] in [line[:2] for line in table]
    assert f"- {unresolved} It stops L1 (software-unresolved)." in told
    assert "The recorder noted: - git status was cut after 5 s" in told


def test_gaps_depend_on_what_may_go_into_the_bundle(toy: Toy) -> None:
    without = "input-missing"
    assert without not in _file(toy, "GAPS.tsv")

    del toy.blobs.stored[toy.record["inputs"][0]["sha256"]]

    assert "Input a.txt is small, or of unknown size" in _file(toy, "GAPS.tsv")


def test_recorded_text_is_no_mark_and_no_line_of_the_readme(toy: Toy) -> None:
    toy.record["task"]["stage"] = "@MISSING@\nWhat to do\n  rm -rf /"

    lines = _file(toy, "README.txt").splitlines()

    assert any("stage @MISSING@%0AWhat to do%0A  rm -rf /" in line for line in lines)
    assert lines.count("What to do") == 1


def test_readme_has_no_mark_left_and_no_long_line(toy: Toy, tmp_path: Path) -> None:
    readme = (toy.unpack(tmp_path) / "data/README.txt").read_text()

    assert "@" not in readme
    assert max(map(len, readme.splitlines())) <= 127


def test_run_sh_is_what_a_workflow_program_starts(toy: Toy) -> None:
    crate = _file(toy, "ro-crate-metadata.json")

    assert '"mainEntity": {\n    "@id": "run.sh"\n   }' in crate
    assert '"ComputationalWorkflow"' in crate
