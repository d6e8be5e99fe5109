"""Canonical packs: the same bytes from any repository, and real git takes them."""

import hashlib
import os
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.object_form import object_id
from jobprov.provenance.software.objects import MissingObjectError, RepositoryObjects
from jobprov.provenance.software.packs.canonical import canonical_pack
from jobprov.provenance.software.packs.form import stored_zlib
from jobprov.provenance.software.packs.reading import iterate_objects, tree_files
from tests.library.commands import all_end, running_commands
from tests.library.git import MakeRepository, Repository, git, git_output, pack_of_objects


def stored_size(size_bytes: int) -> int:
    """Bytes of stored zlib.

    Its parts are a header, five bytes a block of at most 65,535, the content, and a checksum.
    """
    blocks = max(1, -(-size_bytes // 65_535))
    return 2 + 5 * blocks + size_bytes + 4


def pack_from(git_dir: Path, commit: str, **more: Any) -> bytes:
    with RepositoryObjects(git_dir) as objects:
        return b"".join(canonical_pack(objects, commit, **more))


def test_pack_is_the_same_from_differently_packed_clones(
    production: Repository, tmp_path: Path
) -> None:
    commit = production.git("rev-parse", "main")
    expected = pack_from(production.path / ".git", commit)
    for name, repack in {
        "tight": ["repack", "-adfq", "--depth=50", "--window=50"],
        "bitmap": ["repack", "-adbq"],
        "fast": ["-c", "pack.compression=1", "repack", "-adFq"],
        "loose": [],
    }.items():
        git(tmp_path, "clone", "-q", "--bare", "--no-local", production.path, name)
        clone = tmp_path / name
        if repack:
            git(clone, *repack)
        else:
            [packed] = (clone / "objects/pack").glob("*.pack")
            kept = packed.rename(tmp_path / "kept.pack").read_bytes()
            git(clone, "unpack-objects", "-q", stdin=kept)

        assert pack_from(clone, commit) == expected, name


def test_pack_bytes_never_change() -> None:
    """A golden digest: bundles of this form exist for ever."""
    blob, tree_of_blob = b"hello\n", bytes.fromhex("ce013625030ba8dba906f756967f9e9ca394464a")
    tree = b"100644 hello\0" + tree_of_blob
    commit = (
        b"tree aaff74984cccd156a469afa7d9ab10e4777beb24\nauthor A <a> 0 +0000\ncommitter A "
        b"<a> 0 +0000\n\nm\n"
    )

    pack = pack_of_objects(
        [("blob", blob), ("commit", commit), ("tree", tree), ("blob", b"x" * 70_000)]
    )

    assert (
        hashlib.sha256(pack).hexdigest()
        == "96f9d1f1b260e17a29c9123a7ede38d3eeb8758fe5252eb375718af630fdf3bf"
    )


def test_objects_stand_once_each_by_type_then_id(production: Repository) -> None:
    commit, tag = production.git("rev-parse", "main"), production.git("rev-parse", "v1")

    found = list(iterate_objects(pack_from(production.path / ".git", commit, tags=[tag])))

    order = [(("commit", "tree", "blob", "tag").index(item.kind), item.oid) for item in found]
    assert order == sorted(set(order))
    listed = production.git("ls-tree", "-r", "-t", "--format=%(objectname)", "main").split()
    assert {item.oid for item in found} == {
        commit,
        tag,
        production.git("rev-parse", "main^{tree}"),
        *listed,
    }


def test_git_checks_out_the_commit_from_pack_and_shallow_file_alone(
    production: Repository, tmp_path: Path
) -> None:
    commit, tag = production.git("rev-parse", "main"), production.git("rev-parse", "v1")
    pack = pack_from(production.path / ".git", commit, tags=[tag])
    out = tmp_path / "out"
    git(tmp_path, "init", "-q", out)
    (out / ".git/shallow").write_text(commit + "\n")

    git(out, "index-pack", "--strict", "--stdin", stdin=pack)
    git(out, "update-ref", "refs/tags/v1", tag)
    git(out, "checkout", "-q", "--detach", "v1")

    assert "missing" not in git(out, "fsck", "--full", "--strict")
    assert (out / "fcl/prolog.fcl").read_text() == "BEGIN_PROLOG\nx: 2\nEND_PROLOG\n"
    assert (out / "latest.fcl").readlink() == Path("fcl/reco.fcl")
    assert os.access(out / "bin/run.sh", os.X_OK)
    assert git(out, "rev-parse", "HEAD^{tree}") == production.git("rev-parse", "main^{tree}")


@pytest.mark.slow
def test_large_files_are_packed_in_bounded_memory(make_repository: MakeRepository) -> None:
    repository = make_repository("large")
    repository.write("noise", os.urandom(12 << 20))
    commit = repository.commit()

    with RepositoryObjects(repository.path / ".git") as objects:
        tracemalloc.start()
        size = sum(len(chunk) for chunk in canonical_pack(objects, commit))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert size > 12 << 20
    assert peak < 2 << 20


def test_pack_that_is_given_up_half_way_leaves_no_git_behind(
    make_repository: MakeRepository,
) -> None:
    repository = make_repository("large")
    repository.write("noise", os.urandom(2 << 20))
    commit = repository.commit()

    with RepositoryObjects(repository.path / ".git") as objects:
        chunks = canonical_pack(objects, commit)
        next(chunks)
        assert "cat-file --batch --buffer" in running_commands(repository.path)
        del chunks

    assert all_end(repository.path)


def test_missing_blob_and_tree_are_reported_with_id_and_path(production: Repository) -> None:
    for path in ("fcl/reco.fcl", "fcl"):
        oid = production.git("rev-parse", f"main:{path}")
        loose = production.path / ".git/objects" / oid[:2] / oid[2:]
        aside = loose.rename(loose.with_name("aside"))

        with pytest.raises(MissingObjectError) as caught:
            pack_from(production.path / ".git", production.git("rev-parse", "main"))

        assert caught.value.missing == [(oid, path)]
        assert oid in str(caught.value)
        aside.rename(loose)


def test_replaced_objects_are_read_as_they_were(production: Repository) -> None:
    commit = production.git("rev-parse", "main")
    before = pack_from(production.path / ".git", commit)
    production.git("replace", commit, production.git("rev-parse", "light-1"))

    assert production.git("rev-parse", "main^{tree}") == production.git(
        "rev-parse", "light-1^{tree}"
    )
    assert pack_from(production.path / ".git", commit) == before


def test_dirty_tree_joins_the_pack_and_what_nothing_leads_to_does_not(
    production: Repository,
) -> None:
    commit = production.git("rev-parse", "main")
    tree = b"100644 dirty\0" + bytes.fromhex(object_id("blob", b"dirty"))
    extra = [("blob", b"dirty"), ("tree", tree), ("blob", b"stray")]

    pack = pack_from(production.path / ".git", commit, trees=[object_id("tree", tree)], extra=extra)

    plain = {item.oid for item in iterate_objects(pack_from(production.path / ".git", commit))}
    assert {item.oid for item in iterate_objects(pack)} - plain == {
        object_id("tree", tree),
        object_id("blob", b"dirty"),
    }
    assert [file.path for file in tree_files(pack, object_id("tree", tree))] == ["dirty"]


def test_incomplete_dirty_tree_is_reported(production: Repository) -> None:
    tree = b"100644 dirty\0" + bytes.fromhex("ab" * 20)

    with pytest.raises(MissingObjectError, match="ab" * 20 + r" \(dirty\)"):
        pack_from(
            production.path / ".git",
            production.git("rev-parse", "main"),
            trees=[object_id("tree", tree)],
            extra=[("tree", tree)],
        )


def test_tree_files_gives_what_git_would_check_out_without_git(
    production: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = production.git("rev-parse", "main")
    pack = pack_from(production.path / ".git", commit)
    monkeypatch.setenv("PATH", "/nonexistent")

    files = {file.path: file for file in tree_files(pack, commit)}

    monkeypatch.undo()
    assert list(files) == sorted(files, key=str.encode)
    assert set(files) == {
        line.split("\t", 1)[1]
        for line in production.git(
            "-c", "core.quotePath=false", "ls-tree", "-r", "-z", "main"
        ).split("\0")
        if line
    }
    assert (files["bin/run.sh"].mode, files["latest.fcl"].mode) == ("100755", "120000")
    assert files["latest.fcl"].content == b"fcl/reco.fcl"
    assert files["table.bin"].content == (production.path / "table.bin").read_bytes()
    assert files["odd näme\twith tab"].content == b"odd\n"


def test_pack_with_compressed_whole_objects_is_read_too(production: Repository) -> None:
    listed = production.git("rev-list", "--objects", "main").encode()
    pack = git_output(
        production.path,
        "pack-objects",
        "--stdout",
        "--depth=0",
        "--window=0",
        "-q",
        stdin=b"\n".join(line.split()[0] for line in listed.splitlines()) + b"\n",
    )

    assert {item.oid for item in iterate_objects(pack)} == {
        line.split()[0].decode() for line in listed.splitlines()
    }


def test_pack_with_differences_is_refused(make_repository: MakeRepository) -> None:
    repository = make_repository("deltas")
    for number in range(3):
        repository.write("big", "".join(f"line {n}\n" for n in range(2000)) + f"{number}\n")
        repository.commit()
    repository.git("repack", "-adfq")
    [path] = (repository.path / ".git/objects/pack").glob("*.pack")

    with pytest.raises(SoftwareError, match="difference"):
        list(iterate_objects(path.read_bytes()))


def test_every_flipped_byte_of_a_pack_is_noticed() -> None:
    pack = pack_of_objects([("blob", b"one"), ("blob", b"two" * 40)])
    assert len(list(iterate_objects(pack))) == 2

    for at in range(len(pack)):
        damaged = bytearray(pack)
        damaged[at] ^= 0x40
        with pytest.raises(SoftwareError):
            list(iterate_objects(bytes(damaged)))


def test_damage_under_a_right_trailer_is_refused_or_gives_other_ids() -> None:
    """Only the five padding bits of a stored block may differ without effect (RFC 1951)."""
    body = pack_of_objects([("blob", b"one"), ("blob", b"two" * 40)])[:-20]
    outcomes = {"refused": 0, "other": 0, "same": 0}

    for at in range(len(body)):
        damaged = bytearray(body)
        damaged[at] ^= 0x10
        pack = bytes(damaged) + hashlib.sha1(damaged, usedforsecurity=False).digest()
        try:
            found = {item.oid: item.content for item in iterate_objects(pack)}
        except SoftwareError:
            outcomes["refused"] += 1
            continue
        same = found == {object_id("blob", content): content for content in (b"one", b"two" * 40)}
        outcomes["same" if same else "other"] += 1

    assert outcomes["same"] == 2
    assert outcomes["refused"] > 100


def test_pack_that_lacks_a_file_says_which(production: Repository) -> None:
    commit = production.git("rev-parse", "main")
    objects = [
        (item.kind, item.content)
        for item in iterate_objects(pack_from(production.path / ".git", commit))
    ]
    lost = production.git("rev-parse", "main:bin/run.sh")

    pack = pack_of_objects(
        [(kind, content) for kind, content in objects if object_id(kind, content) != lost]
    )

    with pytest.raises(SoftwareError, match=r"bin/run\.sh"):
        list(tree_files(pack, commit))


@given(
    content=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    times=st.sampled_from([1, 1000]),
)
def test_stored_blocks_unpack_and_do_not_depend_on_chunks(
    content: bytes, cuts: list[int], times: int
) -> None:
    whole = content * times
    places = [0, *sorted(cut * times for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(places)]

    packed = b"".join(stored_zlib([whole], len(whole)))

    assert zlib.decompress(packed) == whole
    assert len(packed) == stored_size(len(whole))
    assert b"".join(stored_zlib(chunks, len(whole))) == packed
    assert (
        b"".join(stored_zlib((whole[n : n + 7] for n in range(0, len(whole), 7)), len(whole)))
        == packed
    )


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 131_070, 131_071])
def test_blocks_are_full_but_the_last(size: int) -> None:
    packed = b"".join(stored_zlib([b"x" * size], size))

    assert zlib.decompress(packed) == b"x" * size
    assert len(packed) == stored_size(size)


def test_content_shorter_than_its_header_is_an_error() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        list(stored_zlib([b"abc"], 5))
