"""Reruns of jobs whose outputs have a time or an id in their names."""

import hashlib
from pathlib import Path

import pytest

from jobprov.provenance.bundle.plan import make_plan
from tests.library.productions.toy_job import Run, Toy
from tests.provenance.bundle.templates.test_bundle_storage import DOOR, let_job_run

NAMED_BY_TIME = 'name=m_$(date +%Y%m%dT%H%M%S).dat; echo "$(cat raw.dat)" >$name\n'


def expect(toy: Toy, *contents: bytes, **more: object) -> None:
    """Have the record name outputs, made a second apart in 2026."""
    outputs = []
    for second, content in enumerate(contents):
        name = f"m_20260301T10150{second}.dat"
        digest = hashlib.sha256(content).hexdigest()
        output = {"name": name, "path": name, "status": "written", "sha256": digest}
        outputs.append({**output, "size_bytes": len(content), **more})
    toy.record["outputs"] = outputs


@pytest.mark.slow
def test_output_with_another_time_in_its_name_is_compared(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    let_job_run(toy, NAMED_BY_TIME)
    expect(toy, b"1 2 3\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)
    (made,) = (out / "work").glob("m_*.dat")

    verdict = shell(bag / "data/verify.sh", out)
    made.write_bytes(b"1 2 4\n")
    other = shell(bag / "data/verify.sh", out)

    assert verdict.stdout == "IDENTICAL m_20260301T101500.dat\n"
    assert f"note: m_20260301T101500.dat is {made.name} here" in verdict.stderr
    assert "level R7" in verdict.stderr
    assert other.stdout == "DIFFERENT m_20260301T101500.dat\n"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_output_that_is_stored_under_another_name_is_found(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """As larbatch's scripts do with `uuidgen`, and DUNE's with the time."""
    let_job_run(toy, NAMED_BY_TIME + f"xrdcp $name {DOOR}/out/$name; rm $name\n")
    expect(toy, b"1 2 3\n", location=f"{DOOR}/out/m_20260301T101500.dat")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert verdict.stdout == "IDENTICAL m_20260301T101500.dat\n"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
@pytest.mark.parametrize("store", [f"xrdcp $name {DOOR}/out/", "ifdh cp -D $name /pnfs/out"])
def test_output_of_a_folder_that_the_job_made_and_removed_is_found_where_it_was_stored(
    toy: Toy, tmp_path: Path, shell: Run, way: str, store: str
) -> None:
    """As `condor_lar.sh` of larbatch does; the folder has another name in each run, too."""
    let_job_run(
        toy, f"w=$(mktemp -d w.XXXXXX); cp raw.dat $w; cd $w\n{NAMED_BY_TIME}{store}\nrm -r ../$w\n"
    )
    door = DOOR if "xrdcp" in store else "/pnfs"
    expect(
        toy,
        b"1 2 3\n",
        location=f"{door}/out/m_20260301T101500.dat",
        path="w.Ab3dEf/m_20260301T101500.dat",
    )
    toy.record["layout"] = [{"path": "w.Ab3dEf", "kind": "new folder"}]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert verdict.stdout == "IDENTICAL m_20260301T101500.dat\n"


@pytest.mark.slow
def test_of_several_files_the_equal_ones_are_meant(toy: Toy, tmp_path: Path, shell: Run) -> None:
    let_job_run(toy, "for i in 2 1; do echo $i >m_2026030$i.dat; done; echo 3 >m_20260303.dat\n")
    expect(toy, b"1\n", b"2\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)

    verdict = shell(bag / "data/verify.sh", out)

    assert verdict.stdout.splitlines() == [
        "IDENTICAL m_20260301T101500.dat",
        "IDENTICAL m_20260301T101501.dat",
        "EXTRA m_20260303.dat",
    ]


@pytest.mark.slow
def test_of_several_files_none_of_which_is_equal_none_is_chosen(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    let_job_run(toy, "for i in 2 1; do echo $i >m_2026030$i.dat; done\n")
    expect(toy, b"3\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)

    verdict = shell(bag / "data/verify.sh", out)

    assert verdict.returncode == 2
    assert "and 2 files here may be it" in verdict.stdout


@pytest.mark.slow
def test_file_that_lay_there_before_is_none(toy: Toy, tmp_path: Path, shell: Run) -> None:
    let_job_run(toy, "true\n")
    expect(toy, b"1 2 3\n")
    toy.record["inputs"][0] |= {"name": "m_20260201.dat", "path": "m_20260201.dat"}
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    shell(bag / "data/run.sh", out)

    verdict = shell(bag / "data/verify.sh", out)

    assert verdict.stdout == "MISSING m_20260301T101500.dat\n"


def test_first_edition_names_no_pattern(toy: Toy, tmp_path: Path) -> None:
    expect(toy, b"1 2 3\n")

    def line(edition: int) -> str:
        plan = make_plan(toy.ingredients(), toy.blobs, toy.blobs.write, edition=edition)
        bag = toy.unpack(tmp_path / str(edition), plan)
        return (bag / "data/outputs/expected.sh").read_text().rstrip("\n")

    assert line(2) == line(1) + " 'm_*.dat'"
