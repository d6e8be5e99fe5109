"""What is remembered of a fragment changes no byte of a bundle."""

from dataclasses import replace

import pytest
from msgspec import structs

from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.draft import Member, member_of
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.bundle.runs import Run, parts_of
from jobprov.provenance.errors import BundleError
from jobprov.provenance.software.packs.reading import tree_files
from tests.library.productions.toy_job import Toy, packed

DEEP = "/".join(["a-folder-of-some-length"] * 5)
TOPS = ("t", "0f8b6a4e-3c51-5a0e-9c3f-000000000001")


def _fragment(toy: Toy, folder: str) -> tuple[Member, ...]:
    files = [
        ("bin/run", 0o100755, b"#!/bin/sh\n"),
        ("empty", 0o100644, b""),
        ("large", 0o100644, b"l" * 200_000),
        (f"{DEEP}/x.h", 0o100644, b"x" * 512),
        (f"{DEEP}/y.h", 0o100644, b"y" * 513),
    ]
    commit, pack = packed([*files, ("which", 0o100644, folder.encode())])
    sha256 = toy.blobs.write(pack)
    modes = f"modes of {folder}\n".encode()
    toy.blobs.write(modes)
    members = [member_of(f"data/src/{folder}.modes.tsv", modes)]
    for file in tree_files(pack, commit):
        mode = 0o755 if file.mode == "100755" else 0o644
        path = f"data/src/{folder}/{file.path}"
        members.append(member_of(path, file.content, mode=mode, pack=sha256, offset=file.offset))
    return tuple(members)


def _plan(
    toy: Toy, top: str, fragments: dict[str, tuple[Member, ...]], mtime: int = 1_700_000_000
) -> Plan:
    own = []
    for path in ("bagit.txt", "data/JOB.json", "data/src/code+/z", "data/verify.sh"):
        own.append(member_of(path, path.encode()))
        toy.blobs.write(path.encode())
    packs = {member.pack for members in fragments.values() for member in members} - {""}
    own += [
        structs.replace(
            member_of(f"data/git/{sha256[:8]}/objects.pack", toy.blobs.get(sha256)),
            sha512="",
            cksum=-1,
        )
        for sha256 in sorted(packs)
    ]
    sizes = _sizes_of_derived(
        [*own, *(member for members in fragments.values() for member in members)]
    )
    own += [
        Member(path=path, mode=0o644, sha256="", sha512="", size=size)
        for path, size in sizes.items()
    ]
    return Plan(
        spec_version=1,
        job_id=top,
        revision=0,
        top=top,
        level="L1",
        mtime=mtime,
        own=tuple(sorted(own, key=lambda member: member.path.encode())),
        fragments=fragments,
    )


def _sizes_of_derived(members: list[Member]) -> dict[str, int]:
    listed = [len(member.path) + 1 for member in members if member.path.startswith("data/")]
    return {
        "manifest-sha256.txt": sum(listed) + len(listed) * 66,
        "manifest-sha512.txt": sum(listed) + len(listed) * 130,
        "posix-cksum.txt": sum(listed) + len(listed) * 24,
    }


def _one_by_one(plan: Plan) -> Plan:
    return replace(plan, own=plan.members, fragments={})


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("mtime", [0, 1_700_000_000, 2**40])
def test_tar_is_that_of_the_members_one_by_one(toy: Toy, top: str, mtime: int) -> None:
    plan = _plan(toy, top, {"1": _fragment(toy, "code"), "2": _fragment(toy, "code-sub")}, mtime)

    assert sum(isinstance(part, Run) for part in parts_of(plan)) == 2
    assert toy.tar_bytes(plan) == toy.tar_bytes(_one_by_one(plan))
    assert tar.size(plan) == len(toy.tar_bytes(plan))


def test_members_between_those_of_a_fragment_take_their_place(toy: Toy) -> None:
    """No builder makes such a plan, but a plan is what it says."""
    one, other = _fragment(toy, "code"), _fragment(toy, "code/empty-not")
    plan = _plan(toy, TOPS[1], {"3": one, "4": other})

    assert not any(isinstance(part, Run) for part in parts_of(plan))
    assert toy.tar_bytes(plan) == toy.tar_bytes(_one_by_one(plan))


def test_pack_that_does_not_hold_what_the_plan_names_is_refused(toy: Toy) -> None:
    members = _fragment(toy, "code")
    wrong = (*members[:-1], structs.replace(members[-1], size=members[-1].size + 1))

    with pytest.raises(
        BundleError, match="data/src/code/which: the stored bytes are not those of blob"
    ):
        toy.tar_bytes(_plan(toy, TOPS[0], {"5": wrong}))


def test_damaged_pack_is_refused(toy: Toy) -> None:
    members = _fragment(toy, "other-code")
    plan = _plan(toy, TOPS[0], {"6": members})
    sha256 = members[-1].pack
    toy.blobs.stored[sha256] = toy.blobs.get(sha256)[:-1] + b"?"

    with pytest.raises(BundleError, match="the stored bytes are not those of blob"):
        toy.tar_bytes(plan)
