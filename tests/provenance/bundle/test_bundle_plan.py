"""Plans: what a bundle holds, at which level, and that nothing but its ingredients decides."""

import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import bagit
import pytest

from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.errors import BundleError
from tests.library.productions.toy_job import Run, Toy

ROOT = Path(__file__).parents[3]
DIGEST_OF_TOY = """
from tests.library.productions.toy_job import Toy
import hashlib
toy = Toy()
plan = toy.plan()
print(hashlib.sha256(plan.to_bytes()).hexdigest(), hashlib.sha256(toy.tar_bytes(plan)).hexdigest())
"""


def _lines(bag: Path, name: str) -> list[list[str]]:
    return [line.split("\t") for line in (bag / "data" / name).read_text().splitlines()]


@pytest.mark.slow
def test_same_bytes_under_other_umask_zone_locale_and_hash_seed(tmp_path: Path) -> None:
    digests = set()
    for number, variables in enumerate(
        [
            {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
            {
                "PYTHONHASHSEED": "4242",
                "TZ": "Asia/Kathmandu",
                "LC_ALL": "C.UTF-8",
                "PYTHONUTF8": "1",
            },
            {
                "PYTHONHASHSEED": "17",
                "TZ": "America/Chicago",
                "LC_ALL": "POSIX",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
            },
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        answer = subprocess.run(
            [sys.executable, "-c", DIGEST_OF_TOY],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
            cwd=folder,
            umask=[0o022, 0o077, 0o000][number],
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(answer.stdout)

    assert len(digests) == 1


def test_plan_survives_its_serialised_form(toy: Toy) -> None:
    plan = toy.plan()

    assert Plan.from_bytes(plan.to_bytes(), toy.blobs.get) == plan
    assert Plan.from_bytes(plan.to_bytes(), toy.blobs.get).to_bytes() == plan.to_bytes()


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[1]", b'{"members": [{"path": 1}]}', b'{"members": []}']
)
def test_damaged_plan_is_refused(damaged: bytes) -> None:
    with pytest.raises(BundleError, match="stored plan"):
        Plan.from_bytes(damaged, lambda _sha256: b"")


def test_bundle_is_a_valid_bag(toy: Toy, tmp_path: Path) -> None:
    bag = toy.unpack(tmp_path)

    assert bagit.Bag(str(bag)).validate()
    for kind in ("manifest", "tagmanifest"):
        for bits in ("256", "512"):
            subprocess.run(
                [f"sha{bits}sum", "-c", "--strict", f"{kind}-sha{bits}.txt"],
                cwd=bag,
                check=True,
                capture_output=True,
            )


def test_bag_info_tells_job_level_and_the_day_the_job_ended(toy: Toy, tmp_path: Path) -> None:
    facts = dict(
        line.split(": ", 1)
        for line in (toy.unpack(tmp_path) / "bag-info.txt").read_text().splitlines()
    )

    assert facts["External-Identifier"] == "urn:uuid:0f8b6a4e-3c51-5a0e-9c3f-000000000017"
    assert facts["Closure-Level"] == "L2"
    assert facts["Bundle-Spec-Version"] == "1"
    assert facts["Bagging-Date"] == "2026-03-01"


def test_record_is_kept_byte_for_byte(toy: Toy, tmp_path: Path) -> None:
    assert (toy.unpack(tmp_path) / "data/JOB.json").read_bytes() == toy.ingredients().record_bytes


def test_entries_are_sorted_by_bytes_and_owned_by_nobody(toy: Toy) -> None:
    with tarfile.open(fileobj=__import__("io").BytesIO(toy.tar_bytes())) as archive:
        entries = archive.getmembers()

    names = [(entry.name + "/" if entry.isdir() else entry.name).encode() for entry in entries]
    assert names == sorted(names)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
        (0, 0, "", "")
    }
    assert {entry.mode for entry in entries} == {0o644, 0o755}
    assert {entry.mtime for entry in entries} == {1772359205}


@pytest.mark.parametrize(
    ("field", "level", "kind"),
    [
        ("configurations.0.files.0.sha256", "L0", "configuration"),
        ("scripts.0.sha256", "L0", "script"),
        ("inputs.0.sha256", "L1", "input"),
    ],
)
def test_blob_nobody_uploaded_lowers_the_level_and_is_needed(
    toy: Toy, tmp_path: Path, field: str, level: str, kind: str
) -> None:
    place = toy.record
    *path, last = field.split(".")
    for key in path:
        place = place[int(key)] if key.isdigit() else place[key]
    place[last] = "e" * 64
    plan = toy.plan()

    needs = _lines(toy.unpack(tmp_path, plan), "NEEDS.tsv")

    assert plan.level == level
    assert [line[2] for line in needs if line[0] == kind] == ["e" * 64]


def test_listed_interpreter_and_distributions_are_needed_with_their_versions(
    toy: Toy, tmp_path: Path
) -> None:
    listing = (
        b"interpreter\tcpython\t3.11.7\t/opt/bin/python\nnonsense\n"
        b"pip\tnumpy\t2.1.0\t/opt/site-packages\npip\tdev\t\t/opt\n"
    )
    toy.record["environment"]["packages_sha256"] = toy.blobs.write(listing)
    plan = toy.plan()

    bag = toy.unpack(tmp_path, plan)
    needs = _lines(bag, "NEEDS.tsv")

    assert plan.level == "L2"
    assert ["numpy", "pip", "2.1.0", "-", "/opt/site-packages", "-"] in _lines(
        bag, "env/products.tsv"
    )
    assert [(line[0], line[1], line[5]) for line in needs if line[0] in {"interpreter", "pip"}] == [
        ("interpreter", "cpython 3.11.7", "/opt/bin/python"),
        ("pip", "dev", "/opt"),
        ("pip", "numpy 2.1.0", "/opt/site-packages"),
    ]


def test_repository_without_source_leaves_a_description_only(toy: Toy, tmp_path: Path) -> None:
    toy.files = []
    plan = toy.plan()

    needs = _lines(toy.unpack(tmp_path, plan), "NEEDS.tsv")

    assert plan.level == "L0"
    assert ["software", "toy-code", "https://git.example.org/toy-code.git"] in [
        [line[0], line[1], line[5]] for line in needs
    ]


def test_uncommitted_changes_that_nobody_captured_lower_the_level(toy: Toy) -> None:
    toy.record["software"][0] |= {"is_dirty": True, "worktree_tree": "3" * 40}
    assert toy.plan().level == "L0"

    toy.resolutions = [replace(toy.resolved()[0], worktree_tree=toy.resolved()[0].commit)]
    assert toy.plan().level == "L2"


def test_lower_level_leaves_the_inputs_out(toy: Toy) -> None:
    plan = toy.plan(level="L1")
    paths = {member.path for member in plan.members}

    assert plan.level == "L1"
    assert "data/inputs/files/a.txt" not in paths
    assert "data/src/toy-code/bin/join.sh" in paths


def test_description_holds_no_code(toy: Toy) -> None:
    paths = {member.path for member in toy.plan(level="L0").members}

    assert "data/JOB.json" in paths
    assert not [
        path
        for path in paths
        if re.match(r"data/(src/toy-code/|scripts/wrapper|fcl/path|git/.*pack)", path)
    ]


def test_unknown_level_is_refused(toy: Toy) -> None:
    with pytest.raises(BundleError, match="no closure level 'L9'"):
        toy.plan(level="L9")


@pytest.mark.parametrize(
    ("fields", "expected"), [(("ended_at",), 1772359200), (("ended_at", "started_at"), 1772409600)]
)
def test_bundle_time_falls_back_to_start_and_receipt(toy: Toy, fields: Any, expected: int) -> None:
    for field in fields:
        del toy.record[field]

    assert toy.plan().mtime == expected


@pytest.mark.parametrize(
    "record",
    [{}, {"job_id": "../x", "inputs": 3, "command": [], "outputs": [None, {}], "software": [{}]}],
)
def test_record_that_says_almost_nothing_gives_a_description(
    toy: Toy, tmp_path: Path, record: dict[str, Any]
) -> None:
    toy.record, toy.resolutions = record, []
    plan = toy.plan()

    bag = toy.unpack(tmp_path, plan)

    assert plan.level == "L0"
    assert bag == tmp_path / "job"
    assert bagit.Bag(str(bag)).validate()


ODD_NAMES = [
    "with blank",
    "ü",
    "quo'te",
    "-dash",
    "a\nb",
    "back\\slash",
    "per%cent",
    "n" * 120,
    "UPPER",
    "upper",
    "raw\udcff",
]


@pytest.mark.slow
def test_odd_names_are_stored_by_digest_and_restored(toy: Toy, tmp_path: Path, shell: Run) -> None:
    toy.files += [
        (f"odd/{name}", 0o100644, name.encode("utf-8", "surrogateescape")) for name in ODD_NAMES
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 0, outcome.stderr
    for name in ODD_NAMES:
        path = (
            os.fsencode(out / "src/toy-code/odd") + b"/" + name.encode("utf-8", "surrogateescape")
        )
        assert Path(os.fsdecode(path)).read_bytes() == name.encode("utf-8", "surrogateescape")
    stored = [str(path.relative_to(bag)) for path in bag.rglob("*")]
    assert all(re.fullmatch(r"[A-Za-z0-9._+/-]+", name) for name in stored)
    assert len({name.lower() for name in stored}) == len(stored)


def test_crate_describes_the_job(toy: Toy, tmp_path: Path) -> None:
    graph = json.loads((toy.unpack(tmp_path) / "data/ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    action = entities["#job-0f8b6a4e-3c51-5a0e-9c3f-000000000017"]

    assert [entity["@id"] for entity in graph] == sorted(entities)
    assert entities["./"]["mentions"] == {"@id": action["@id"]}
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert action["object"] == {"@id": "inputs/files/a.txt"}
    assert entities[action["instrument"]["@id"]]["@type"] == "SoftwareApplication"


def test_files_written_beside_the_record_are_read_as_tables(toy: Toy, tmp_path: Path) -> None:
    bag = toy.unpack(tmp_path)

    assert _lines(bag, "src/toy-code.modes.tsv")[-1] == [
        "120000",
        "-",
        "data/link",
        "-",
        "a table.txt",
    ]
    assert _lines(bag, "seeds.tsv")[1] == ["join", "gen", "-", "-", "7", "-", "log", "-"]
    assert ["BEARER_TOKEN", "withheld by the recorder"] in _lines(bag, "env/withheld.tsv")
    commit = toy.resolved()[0].commit
    assert json.loads((bag / "data/git/toy-code/ref.json").read_text())["commit"] == commit
    assert (bag / "data/git/toy-code/shallow").read_text() == commit + "\n"


def test_compiler_and_wheel_digest_are_needed_as_listed(toy: Toy, tmp_path: Path) -> None:
    record = "ab" * 32
    listing = f"compiler\tgcc\t14.2.0\t/usr/bin/gcc\npip\tnumpy\t2.1.0\t/opt\t{record}\n"
    toy.record["environment"]["packages_sha256"] = toy.blobs.write(listing.encode())

    bag = toy.unpack(tmp_path, toy.plan())
    needs = _lines(bag, "NEEDS.tsv")

    assert ["numpy", "pip", "2.1.0", "-", "/opt", record] in _lines(bag, "env/products.tsv")
    assert [line[:3] for line in needs if line[0] in {"compiler", "pip"}] == [
        ["compiler", "gcc 14.2.0", "-"],
        ["pip", "numpy 2.1.0", record],
    ]


@pytest.mark.parametrize(
    ("system", "version", "listing", "place", "told"),
    [
        (
            "debian", "13", "deb\tbash\t5.2.37-2\tamd64\n",
            "https://snapshot.debian.org/archive/debian/20260101T000000Z/", "debootstrap trixie ROOT",
        ),
        (
            "ubuntu", "22.04", "deb\tbash\t5.1-6ubuntu1\tamd64\n",
            "https://snapshot.ubuntu.com/ubuntu/20260101T000000Z/", "NAME_VERSION_amd64.deb",
        ),
        (
            "almalinux", "9.4", "rpm\tbash\t5.1.8-9.el9\tx86_64\nrpm\ttzdata\t1\tnoarch\n",
            "https://vault.almalinux.org/9.4/{BaseOS,AppStream,CRB}/x86_64/os/Packages/", "NAME-VERSION.ARCHITECTURE.rpm",
        ),
        (
            "scientific", "7.9", "rpm\tbash\t4.2.46-34.el7\tx86_64\n",
            "https://ftp.scientificlinux.org/linux/scientific/7.9/x86_64/os/Packages/", "obsolete",
        ),
        ("haiku", "1", "deb\tbash\t5\tamd64\n", "-", "No archive"),
    ],
)  # fmt: skip
def test_packages_of_the_operating_system_come_with_the_way_to_get_them_back(
    toy: Toy, tmp_path: Path, system: str, version: str, listing: str, place: str, told: str
) -> None:
    sha256 = toy.blobs.write(listing.encode())
    toy.record["started_at"] = "2026-01-01T00:00:00Z"
    toy.record["environment"] |= {
        "os": {"id": system, "version": version},
        "system_packages_sha256": sha256,
    }
    plan = toy.plan()

    bag = toy.unpack(tmp_path, plan)

    [need] = [line for line in _lines(bag, "NEEDS.tsv") if line[0] == "os-packages"]
    assert (need[1], need[2], need[5]) == (f"{system} {version}", sha256, place)
    assert (bag / "data/env/os-packages.tsv").read_text() == listing
    text = (bag / "data/env/os-packages.txt").read_text()
    assert f"{listing.count(chr(10))} packages" in text
    assert told in text
    assert "@" not in text
    assert plan.level == "L2"
    sources = bag / "data/env/os-packages.list"
    assert sources.is_file() == (system in {"debian", "ubuntu"})
    if sources.is_file():
        lines = sources.read_text().splitlines()
        assert f"deb [check-valid-until=no] {place} " in lines[0]
        assert all(line.startswith("deb [") and "@" not in line for line in lines)


def test_packages_of_python_come_as_a_list_for_pip_by_folder(toy: Toy, tmp_path: Path) -> None:
    venv, system = "/opt/venv/lib/python3.11/site-packages", "/usr/lib/python3/dist-packages"
    places = {"numpy\t2.1.0": venv, "awkward\t2.6": venv, "six\t1.16": system}
    lines = [f"pip\t{package}\t{place}" for package, place in places.items()]
    lines += [f"pip\t-e .\t1\t{venv}", f"pip\tx\t1; y\t{venv}", "compiler\tgcc\t14\t/usr/bin/gcc"]
    listing = "".join(f"{line}\n" for line in lines).encode()
    toy.record["environment"]["packages_sha256"] = toy.blobs.write(listing)

    bag = toy.unpack(tmp_path, toy.plan())

    assert (bag / "data/env/requirements.txt").read_text().splitlines()[1:] == [
        "",
        f"# {venv}",
        "awkward==2.6",
        "numpy==2.1.0",
        "",
        f"# {system}: of the operating system, see os-packages.tsv",
        "# six==1.16",
    ]


def test_bag_begins_with_words_for_a_reader(toy: Toy, tmp_path: Path) -> None:
    bag = toy.unpack(tmp_path, toy.plan())

    text = (bag / "README.txt").read_text()
    assert len(text.splitlines()) == 2
    for path in ("data/README.txt", "data/run.sh", "data/verify.sh"):
        assert path in text
        assert (bag / path).is_file()


def test_listing_of_packages_that_did_not_arrive_is_a_need(toy: Toy, tmp_path: Path) -> None:
    toy.record["environment"]["system_packages_sha256"] = "e" * 64

    needs = _lines(toy.unpack(tmp_path, toy.plan()), "NEEDS.tsv")

    assert [line[2] for line in needs if line[0] == "os-packages"] == ["e" * 64]
