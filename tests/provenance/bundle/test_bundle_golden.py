"""Golden digests: the bytes of a planned bundle never change.

Those of specification 1's files only change with another specification. A plan that was made is
written for ever after by the tar writer and the manifest writer alone: these digests hold every
byte of both. Edition 1 is frozen as of 0.1.0 (`provenance/bundle/templates`). Edition 2 is not
released: it may change, and its digests are added here when it is. `python -m
tests.provenance.bundle.test_bundle_golden` prints them.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.provenance.bundle import tar, templates
from jobprov.provenance.bundle.plan import Plan, make_plan
from jobprov.provenance.bundle.templates import comparison_program, template
from jobprov.provenance.errors import BundleError
from jobprov.provenance.software.packs.reading import tree_files
from tests.library.productions.toy_job import Toy, packed

TAR_1 = "6867621579565eba63a82a858b1408db751e5e64cd081e087e0a7cfdaa891256"
FILES = {1: "9b87cc78cb372e79133795ad8f4fcaf3a274a9c60126192d90c856cb727548dd"}
SCRIPTS = {1: "85ac38af8ca4d1ca7f8c2473d4215b3bcaf138028de86eeaa2b6f3bd7af319ac"}
COMPARISONS = {1: "0e166738ace55bcad37a33b2d616188691d8007b18a183d582da0ce044108ea3"}
PROGRAMS = {"run.sh", "own-root.sh", "verify.sh", "verify.py", "lib.sh"}
"""Their behaviour is held by tests of its own, under three shells; their bytes by edition."""


def _member(path: str, data: bytes, **more: object) -> dict[str, object]:
    digests = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "sha512": hashlib.sha512(data).hexdigest(),
    }
    return {"path": path, "mode": 0o644, "size": len(data), **digests, **more}


def _header() -> dict[str, object]:
    return {
        "spec_version": 1,
        "job_id": "j",
        "revision": 0,
        "top": "j",
        "level": "L1",
        "mtime": 1_700_000_000,
    }


def plan_of_version_1(toy: Toy) -> Plan:
    """A plan as specification 1 stores it: own files in one blob, a tree in a fragment.

    The manifests are made of the others.
    """
    commit, pack = packed(
        [("bin/run", 0o100755, b"#!/bin/sh\n"), ("long.txt", 0o100644, b"long\n" * 20_000)]
    )
    modes, own, large = b"mode\n", b"BagIt\nJOB", b"x" * (1 << 21)
    pack_sha256, part_of = toy.blobs.write(pack), toy.blobs.write(own)
    toy.blobs.write(modes)
    rows = [["data/src/code.modes.tsv", 0o644, *_facts(modes), -1]]
    rows += [
        [f"data/src/code/{file.path}", 0o755, *_facts(file.content), file.offset]
        for file in tree_files(pack, commit)
    ]
    fragment = toy.blobs.write(json.dumps({"pack": pack_sha256, "members": sorted(rows)}).encode())
    derived = {
        "manifest-sha256.txt": 424,
        "manifest-sha512.txt": 744,
        "posix-cksum.txt": 214,
        "tagmanifest-sha256.txt": 330,
        "tagmanifest-sha512.txt": 586,
    }
    members = [
        _member("bagit.txt", own[:6], cksum=3, part_of=part_of, offset=0),
        _member("data/JOB.json", own[6:], cksum=4, part_of=part_of, offset=6),
        {
            "path": "data/large",
            "mode": 0o644,
            "sha256": toy.blobs.write(large),
            "sha512": "",
            "size": len(large),
        },
        *(
            {"path": path, "mode": 0o644, "sha256": "", "sha512": "", "size": size}
            for path, size in derived.items()
        ),
    ]
    return Plan.from_bytes(
        json.dumps(_header() | {"members": members, "fragments": [fragment]}).encode(),
        toy.blobs.get,
    )


def _facts(data: bytes) -> list[object]:
    return [hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest(), len(data), 12_345]


def digest_of_tar(toy: Toy, plan: Plan) -> str:
    """SHA-256 of the tar of a plan."""
    return hashlib.sha256(b"".join(tar.stream(plan, toy.blobs))).hexdigest()


def plan_of_edition(toy: Toy, edition: int) -> Plan:
    """The toy's plan with the scripts of an edition."""
    return make_plan(toy.ingredients(), toy.blobs, toy.blobs.write, edition=edition)


def digest_of_scripts(edition: int) -> str:
    """SHA-256 of the shell scripts and READMEs of an edition, one after the other."""
    scripts = ("lib.sh", "run.sh", "own-root.sh", "verify.sh", "install-os-packages.sh")
    names = (*scripts, "README.txt", "README-campaign.txt")
    return hashlib.sha256(b"".join(template(edition, name) for name in names)).hexdigest()


def digest_of_files(toy: Toy, edition: int) -> str:
    """SHA-256 of the list of digests of the toy's payload, its programs apart."""
    members = [
        member
        for member in plan_of_edition(toy, edition).members
        if member.path.startswith("data/")
    ]
    lines = [
        f"{member.sha256} {member.path}\n"
        for member in members
        if member.path.removeprefix("data/") not in PROGRAMS
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_bundle_that_was_planned_by_specification_1_stays_what_it_is(toy: Toy) -> None:
    assert digest_of_tar(toy, plan_of_version_1(toy)) == TAR_1


@pytest.mark.parametrize("edition", FILES)
def test_files_of_specification_1_are_what_they_were(toy: Toy, edition: int) -> None:
    assert digest_of_files(toy, edition) == FILES[edition]


@pytest.mark.parametrize("edition", SCRIPTS)
def test_scripts_of_an_edition_are_what_they_were(edition: int) -> None:
    assert digest_of_scripts(edition) == SCRIPTS[edition]


@pytest.mark.parametrize("edition", COMPARISONS)
def test_comparison_of_an_edition_is_what_it_was(edition: int) -> None:
    assert hashlib.sha256(comparison_program(edition)).hexdigest() == COMPARISONS[edition]


@pytest.fixture
def next_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Have another edition, with another run.sh, follow the newest; return its number."""
    newest = templates.EDITION
    folder = tmp_path / "templates"
    shutil.copytree(templates.FOLDER, folder)
    (folder / str(newest) / "verify.py.txt").write_bytes(b"# verify.py as it was\n")
    (folder / str(newest + 1)).mkdir()
    (folder / str(newest + 1) / "run.sh").write_bytes(b"#!/bin/sh\n# of the next edition\n")
    monkeypatch.setattr(templates, "FOLDER", folder)
    monkeypatch.setattr(templates, "EDITION", newest + 1)
    _forget_templates()
    yield newest + 1
    _forget_templates()


def _forget_templates() -> None:
    template.cache_clear()
    comparison_program.cache_clear()


def digests_by_path(plan: Plan) -> dict[str, str]:
    return {member.path: member.sha256 for member in plan.members}


def test_next_edition_has_what_it_does_not_change_from_the_one_before(
    toy: Toy, next_edition: int
) -> None:
    before = digests_by_path(plan_of_edition(toy, next_edition - 1))
    after = digests_by_path(plan_of_edition(toy, next_edition))

    changed = {path for path in before if before[path] != after[path] and path.startswith("data/")}
    assert changed == {"data/run.sh", "data/verify.py", "data/ro-crate-metadata.json"}
    assert after["data/run.sh"] == hashlib.sha256(template(next_edition, "run.sh")).hexdigest()
    assert before["data/verify.py"] == hashlib.sha256(b"# verify.py as it was\n").hexdigest()
    comparison = hashlib.sha256(comparison_program(next_edition)).hexdigest()
    assert after["data/verify.py"] == comparison


def test_plan_that_was_stored_with_earlier_scripts_keeps_them(toy: Toy, next_edition: int) -> None:
    earlier = plan_of_edition(toy, 1)
    stored, first = earlier.to_bytes(), digest_of_tar(toy, earlier)

    plan_of_edition(toy, next_edition)
    again = Plan.from_bytes(stored, toy.blobs.get)

    assert digest_of_tar(toy, again) == first
    assert (
        digests_by_path(again)["data/run.sh"] == hashlib.sha256(template(1, "run.sh")).hexdigest()
    )


def test_plan_of_an_unknown_specification_is_refused(toy: Toy) -> None:
    stored = json.loads(plan_of_version_1(toy).to_bytes())

    with pytest.raises(BundleError, match="specification 2, which this version does not know"):
        Plan.from_bytes(json.dumps(stored | {"spec_version": 2}).encode(), toy.blobs.get)


if __name__ == "__main__":
    one = Toy()
    print("specification 1", digest_of_tar(one, plan_of_version_1(one)))
    for number in range(1, templates.EDITION + 1):
        print(
            "edition",
            number,
            "files",
            digest_of_files(Toy(), number),
            "scripts",
            digest_of_scripts(number),
            "comparison",
            hashlib.sha256(comparison_program(number)).hexdigest(),
        )
