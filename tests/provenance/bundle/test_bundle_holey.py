"""Bundles with fetch.txt: what is not in them and has a URL is fetched by whoever unpacks them."""

import hashlib
import subprocess
from pathlib import Path

import bagit
import pytest

from jobprov.provenance.bundle.ingredients import KnownFile
from jobprov.provenance.bundle.plan import Plan
from tests.library.productions.toy_job import Run, Toy

LARGE = b"4 5 6\n"
URL = "https://data.example.org/a b/[1] 100%25.txt"


@pytest.fixture
def lacking(toy: Toy) -> Toy:
    """A job with a second input that the archive does not have."""
    toy.record["inputs"].append(
        {
            "name": "large.txt",
            "path": "in/large.txt",
            "location": URL,
            "sha256": hashlib.sha256(LARGE).hexdigest(),
            "size_bytes": len(LARGE),
        }
    )
    return toy


@pytest.fixture
def bag(lacking: Toy, tmp_path: Path) -> Path:
    return lacking.unpack(tmp_path / "a bag", lacking.plan(is_holey=True))


def fetch(bag: Path) -> None:
    """Do what a BagIt program does that has the network."""
    for line in (bag / "fetch.txt").read_text().splitlines():
        (bag / line.split(" ")[2]).write_bytes(LARGE)


def test_input_with_a_url_is_listed(bag: Path) -> None:
    assert (bag / "fetch.txt").read_text() == (
        "https://data.example.org/a%20b/[1]%20100%25.txt 6 data/inputs/files/large.txt\n"
    )
    assert "data/inputs/files/large.txt" in (bag / "manifest-sha256.txt").read_text()
    assert "large.txt" in (bag / "data/NEEDS.tsv").read_text()


def test_bag_is_valid_when_everything_was_fetched(bag: Path) -> None:
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(bag)).validate()

    fetch(bag)

    bagit.Bag(str(bag)).validate()
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", name], cwd=bag, check=True)


@pytest.mark.slow
def test_bundle_is_as_it_was_made_before_and_after(bag: Path, shell: Run) -> None:
    before = shell(bag / "data/verify.sh", "--bundle")
    fetch(bag)
    after = shell(bag / "data/verify.sh", "--bundle")
    (bag / "data/inputs/files/large.txt").write_bytes(b"other\n")
    damaged = shell(bag / "data/verify.sh", "--bundle")

    assert (before.returncode, after.returncode, damaged.returncode) == (0, 0, 1), (
        before.stderr + after.stderr
    )
    assert "not fetched: data/inputs/files/large.txt" in before.stderr
    assert "not fetched" not in after.stderr
    assert "CHANGED data/inputs/files/large.txt" in damaged.stderr


@pytest.mark.slow
def test_job_runs_with_what_was_fetched_or_is_found_elsewhere(
    bag: Path, tmp_path: Path, shell: Run
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/of another name").write_bytes(LARGE)
    missing = shell(bag / "data/run.sh", "--no-fetch", "--check")
    found = shell(
        bag / "data/run.sh", "--no-fetch", "--input-dir", tmp_path / "here", tmp_path / "one"
    )
    fetch(bag)
    fetched = shell(bag / "data/run.sh", "--no-fetch", tmp_path / "other")

    assert missing.returncode == 1
    assert "missing: input large.txt" in missing.stderr
    assert (found.returncode, fetched.returncode) == (0, 0), found.stderr + fetched.stderr
    for name in ("one", "other"):
        assert (tmp_path / name / "work/in/large.txt").read_bytes() == LARGE
        assert shell(bag / "data/verify.sh", tmp_path / name).returncode == 0


def test_plan_survives_its_serialised_form(lacking: Toy) -> None:
    plan = lacking.plan(is_holey=True)

    again = Plan.from_bytes(plan.to_bytes(), lacking.blobs.get)

    assert lacking.tar_bytes(again) == lacking.tar_bytes(plan)


def test_bundle_that_has_nothing_to_fetch_is_like_any_other(toy: Toy, lacking: Toy) -> None:
    lacking.record["inputs"].pop()

    assert toy.tar_bytes(toy.plan(is_holey=True)) == toy.tar_bytes(toy.plan())


def test_input_of_unknown_size_or_digest_or_place_is_not_listed(
    lacking: Toy, tmp_path: Path
) -> None:
    for number, field in enumerate(("size_bytes", "sha256", "location")):
        entry = dict(lacking.record["inputs"][1])
        entry.pop(field)
        lacking.record["inputs"][1] = {**entry, "checksums": ["adler32:1"]}

        bag = lacking.unpack(tmp_path / str(number), lacking.plan(is_holey=True))

        assert not (bag / "fetch.txt").exists()


def test_input_is_listed_where_catalogs_know_a_copy(lacking: Toy, tmp_path: Path) -> None:
    """The record says a place only within the job; the first copy that can be fetched counts."""
    lacking.record["inputs"][1].pop("location")
    copy = "root://door.example.org//pnfs/large.txt"
    places = ["enstore:/pnfs/large.txt(1@VR1)", copy, "https://door.example.org/large.txt"]
    lacking.known_inputs = {1: KnownFile(places=places)}

    holey = lacking.unpack(tmp_path / "holey", lacking.plan(is_holey=True))
    plain = lacking.unpack(tmp_path / "plain")

    assert (holey / "fetch.txt").read_text() == f"{copy} 6 data/inputs/files/large.txt\n"
    assert not (plain / "fetch.txt").exists()
    for bag in (holey, plain):
        needs = (bag / "data/NEEDS.tsv").read_text().splitlines()
        [need] = [line.split("\t") for line in needs if "large.txt" in line]
        assert need[-1] == "enstore:/pnfs/large.txt(1@VR1)"
        assert copy in (bag / "data/command/layout.sh").read_text()
        bagit.Bag(str(plain)).validate()


def test_place_that_the_record_says_comes_first(lacking: Toy, tmp_path: Path) -> None:
    lacking.known_inputs = {1: KnownFile(places=["https://elsewhere.example.org/large.txt"])}

    bag = lacking.unpack(tmp_path, lacking.plan(is_holey=True))

    assert (bag / "fetch.txt").read_text().startswith("https://data.example.org/")
    assert "elsewhere" not in (bag / "data/NEEDS.tsv").read_text()
