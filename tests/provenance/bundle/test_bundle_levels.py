"""Closure levels L0 to L4: what a bundle holds at each.

NEEDS.tsv names by digest whatever it lacks.
"""

from pathlib import Path

import pytest

from jobprov.provenance.bundle.ingredients import SMALL_BYTES, Capsule
from tests.library.productions.toy_job import Toy

IMAGE = Capsule(kind="image", name="toy.sif", sha256="c" * 64, size=7)


def _needs(bag: Path) -> list[list[str]]:
    return [line.split("\t") for line in (bag / "data/NEEDS.tsv").read_text().splitlines()[1:]]


@pytest.fixture
def rich(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Return a job with a large input and a capsule; a file counts as large from five bytes on."""
    monkeypatch.setattr("jobprov.provenance.bundle.payload.inputs.SMALL_BYTES", 8)
    large = toy.blobs.write(b"a large input\n")
    toy.record["inputs"].append(
        {"name": "large.root", "path": "large.root", "sha256": large, "size_bytes": 14}
    )
    toy.capsule = IMAGE
    return toy


HELD = {
    "L0": [],
    "L1": [
        "src/toy-code/bin/join.sh",
        "scripts/wrapper.sh",
        "fcl/path/01/top.fcl",
        "git/toy-code/objects.pack",
    ],
    "L2": ["inputs/files/a.txt"],
    "L3": ["env/capsule.json"],
    "L4": ["inputs/files/large.root"],
}


@pytest.mark.parametrize("level", list(HELD))
def test_level_holds_its_files_and_names_what_it_lacks_by_digest(
    rich: Toy, tmp_path: Path, level: str
) -> None:
    bag = rich.unpack(tmp_path, plan := rich.plan(level=level))

    assert plan.level == level
    held = [path for reached, paths in HELD.items() if reached <= level for path in paths]
    lacked = [
        path
        for reached, paths in HELD.items()
        if reached > level
        for path in paths
        if "capsule" not in path
    ]
    assert all((bag / "data" / path).exists() for path in held)
    assert not [path for path in lacked if (bag / "data" / path).exists()]
    needed = {cells[2] for cells in _needs(bag)}
    digests = {
        "src/toy-code/bin/join.sh": rich.resolved()[0].pack_sha256,
        "git/toy-code/objects.pack": rich.resolved()[0].pack_sha256,
        "scripts/wrapper.sh": rich.record["scripts"][0]["sha256"],
        "fcl/path/01/top.fcl": rich.record["configurations"][0]["files"][0]["sha256"],
        "inputs/files/a.txt": rich.record["inputs"][0]["sha256"],
        "inputs/files/large.root": rich.record["inputs"][1]["sha256"],
    }
    assert {digests[path] for path in lacked} <= needed
    assert not {digests[path] for path in held if path in digests} & needed


def test_capsule_is_a_file_of_its_own_that_needs_names(rich: Toy, tmp_path: Path) -> None:
    bag = rich.unpack(tmp_path)

    [capsule] = [cells for cells in _needs(bag) if cells[0] == "capsule"]
    assert capsule[1:4] == ["toy.sif", "c" * 64, "7"]


def test_without_a_capsule_no_environment_is_complete(rich: Toy) -> None:
    rich.capsule = None

    assert rich.plan().level == "L2"
    assert "data/inputs/files/large.root" in {member.path for member in rich.plan().members}


def test_small_is_up_to_sixteen_mebibytes() -> None:
    assert SMALL_BYTES == 16 * 1024 * 1024


def test_job_of_system_programs_alone_needs_no_code_if_a_hook_recorded_it(
    rich: Toy, tmp_path: Path
) -> None:
    """Its grade was L2 and its bundle L0, for want of the commit of nothing: `java A.java`."""
    rich.record |= {"software": [], "scripts": [], "configurations": []}
    rich.record["command"]["steps"] = [{"name": "sort", "role": "payload", "argv": ["sort", "a"]}]
    rich.resolutions = []
    by_others = rich.plan()
    rich.record["hook"] = {"name": "job-end-hook", "version": "0.1.0"}

    by_hook = rich.plan()

    assert (by_others.level, by_hook.level) == ("L0", "L4")
    assert "code" not in {row[0] for row in _needs(rich.unpack(tmp_path, by_hook))}
