"""Golden digests: the bytes of a planned bundle never change, those of specification 1's files only with another specification.

A plan that was made is written for ever after by the tar writer and the manifest writer alone: these digests hold every byte of both.
Where one of the files changes on purpose before version 1 is released, run
`python -m tests.provenance.bundle.test_bundle_golden` prints the new digests.
"""

import hashlib
import json

import pytest

from provenance.bundle import tar
from provenance.bundle.plan import Plan, make_plan
from provenance.bundle.templates import EDITION, comparison_program, template
from provenance.software.read_pack import tree_files
from tests.library.productions.toy_job import Toy, packed

TAR_0 = "ceccd0a26c8d42a41a72269c14bd68705c2a49cb7d50c735542db09ad6b1e86a"
TAR_1 = "6867621579565eba63a82a858b1408db751e5e64cd081e087e0a7cfdaa891256"
FILES = {
    1: "a75e730b563767b566dfa24445f2f0bf2578bfde9218d4dfa4b595bf6bebbce1",
    2: "0d3e051aa11f0c8f361e55fb47b415d1eb752515f447f29bc9a039cb90400313",
    3: "9dea516522d28fce62810059bf8492e19abb43de1649a731a35cbeca39945a96",
    4: "3e8966e54b8156ca7cd604f4e617080a8bbe5e7cebb77fe86b747203cfd72d24",
}
SCRIPTS = {
    1: "e67a772c86a363433394ed316c7cfae64e34d3b07a07e83c75846fd2ff22f367",
    2: "d7cbe633676d855d8bc47901352c4a40f337ab90678828d6fe1835206237decf",
    3: "5244d1825a049708364bb326034bdfe9a5517382cdc0ae203e6e4aea502c6878",
    4: "5244d1825a049708364bb326034bdfe9a5517382cdc0ae203e6e4aea502c6878",
}
PROGRAMS = {"run.sh", "verify.sh", "verify.py", "lib.sh"}
"""Their behaviour is held by tests of its own, under three shells; run.sh, verify.sh and lib.sh are frozen by edition."""


def _member(path: str, data: bytes, **more: object) -> dict[str, object]:
    digests = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    return {"path": path, "mode": 0o644, "size": len(data), **digests, **more}


def _header(spec_version: int) -> dict[str, object]:
    return {
        "spec_version": spec_version,
        "job_id": "j",
        "revision": 0,
        "top": "j",
        "level": "L1",
        "mtime": 1_700_000_000,
    }


def plan_of_version_0(toy: Toy) -> Plan:
    """A plan as specification 0 stored it: every member a blob, manifests too."""
    files = {"bagit.txt": b"BagIt\n", "data/a": b"1", "data/b/c.sh": b"2\n", "manifest-sha256.txt": b"as stored\n"}
    members = [_member(path, data) for path, data in files.items()]
    for data in files.values():
        toy.blobs.write(data)
    return Plan.from_bytes(json.dumps(_header(0) | {"members": members}).encode(), toy.blobs.get)


def plan_of_version_1(toy: Toy) -> Plan:
    """A plan as specification 1 stores it: own files in one blob, a tree in a fragment, manifests made of the others."""
    commit, pack = packed([("bin/run", 0o100755, b"#!/bin/sh\n"), ("long.txt", 0o100644, b"long\n" * 20_000)])
    modes, own, large = b"mode\n", b"BagIt\nJOB", b"x" * (1 << 21)
    pack_sha256, part_of = toy.blobs.write(pack), toy.blobs.write(own)
    toy.blobs.write(modes)
    rows = [["data/src/code.modes.tsv", 0o644, *_facts(modes), -1]]
    rows += [
        [f"data/src/code/{file.path}", 0o755, *_facts(file.content), file.offset] for file in tree_files(pack, commit)
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
        {"path": "data/large", "mode": 0o644, "sha256": toy.blobs.write(large), "sha512": "", "size": len(large)},
        *({"path": path, "mode": 0o644, "sha256": "", "sha512": "", "size": size} for path, size in derived.items()),
    ]
    return Plan.from_bytes(
        json.dumps(_header(1) | {"members": members, "fragments": [fragment]}).encode(), toy.blobs.get
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
    names = ("lib.sh", "run.sh", "verify.sh", "README.txt", "README-campaign.txt")
    return hashlib.sha256(b"".join(template(edition, name) for name in names)).hexdigest()


def digest_of_files(toy: Toy, edition: int) -> str:
    """SHA-256 of the list of digests of the toy's payload, its programs apart."""
    members = [member for member in plan_of_edition(toy, edition).members if member.path.startswith("data/")]
    lines = [
        f"{member.sha256} {member.path}\n" for member in members if member.path.removeprefix("data/") not in PROGRAMS
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_bundle_that_was_planned_by_specification_0_stays_what_it_is(toy: Toy) -> None:
    assert digest_of_tar(toy, plan_of_version_0(toy)) == TAR_0


def test_bundle_that_was_planned_by_specification_1_stays_what_it_is(toy: Toy) -> None:
    assert digest_of_tar(toy, plan_of_version_1(toy)) == TAR_1


@pytest.mark.parametrize("edition", FILES)
def test_files_of_specification_1_are_what_they_were(toy: Toy, edition: int) -> None:
    assert digest_of_files(toy, edition) == FILES[edition]


@pytest.mark.parametrize("edition", SCRIPTS)
def test_scripts_of_an_edition_are_what_they_were(edition: int) -> None:
    assert digest_of_scripts(edition) == SCRIPTS[edition]


def test_comparison_of_earlier_editions_is_what_it_was() -> None:
    earlier = {hashlib.sha256(comparison_program(edition)).hexdigest() for edition in (1, 2, 3)}

    assert earlier == {"ab0280d18ed872a7ef00033c672a691f008f26500de547485b7e8a4267fdd014"}


def test_plan_that_was_stored_with_earlier_scripts_keeps_them(toy: Toy) -> None:
    earlier = plan_of_edition(toy, 1)
    stored, first = earlier.to_bytes(), digest_of_tar(toy, earlier)

    newest = toy.plan()
    again = Plan.from_bytes(stored, toy.blobs.get)

    assert digest_of_tar(toy, again) == first
    scripts = [{m.path: m.sha256 for m in plan.members}["data/run.sh"] for plan in (again, newest)]
    assert scripts == [hashlib.sha256(template(edition, "run.sh")).hexdigest() for edition in (1, EDITION)]


def test_plan_of_an_earlier_specification_is_stored_as_it_was(toy: Toy) -> None:
    plan = plan_of_version_0(toy)

    assert plan.spec_version == 0
    assert Plan.from_bytes(plan.to_bytes(), toy.blobs.get) == plan
    assert "fragments" not in json.loads(plan.to_bytes())


if __name__ == "__main__":
    for make in (plan_of_version_0, plan_of_version_1):
        one = Toy()
        print(make.__name__, digest_of_tar(one, make(one)))
    for number in SCRIPTS:
        print("edition", number, "files", digest_of_files(Toy(), number), "scripts", digest_of_scripts(number))
