"""Packs of strangers are read under limits, and checked."""

import hashlib
import zlib
from pathlib import Path

import pytest

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.object_form import object_id
from jobprov.provenance.software.objects import MissingObjectError, RepositoryObjects
from jobprov.provenance.software.packs.canonical import canonical_pack
from jobprov.provenance.software.packs.form import entry_header, pack_header
from jobprov.provenance.software.packs.reading import tree_files
from jobprov.provenance.software.packs.uploaded import PackedObjects, objects_of_uploaded_pack
from tests.library.git import MakeRepository, Repository, pack_of_objects


@pytest.fixture
def with_differences(make_repository: MakeRepository) -> Repository:
    repository = make_repository("deltas")
    for number in range(3):
        repository.write("big", "".join(f"line {n}\n" for n in range(2000)) + f"{number}\n")
        repository.commit()
    repository.git("repack", "-adfq")
    return repository


def whole_pack(repository: Repository) -> bytes:
    [path] = (repository.path / ".git/objects/pack").glob("*.pack")
    return path.read_bytes()


def test_pack_with_differences_is_read_by_git(with_differences: Repository) -> None:
    found = objects_of_uploaded_pack(whole_pack(with_differences))

    listed = with_differences.git("rev-list", "--objects", "main").splitlines()
    assert {item.oid for item in found} == {line.split()[0] for line in listed}
    assert all(item.oid == object_id(item.kind, item.content) for item in found)


def test_commit_that_was_never_pushed_is_packed_from_mirror_and_upload(
    production: Repository, tmp_path: Path
) -> None:
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)
    mirror.fetch()
    production.write("fcl/reco.fcl", "never pushed\n")
    commit = production.commit("never pushed")
    listed = production.git("rev-list", "--objects", "main", "--not", "v1").splitlines()
    ids = "\n".join(line.split()[0] for line in listed) + "\n"
    name = production.git("pack-objects", "-q", str(tmp_path / "up"), stdin=ids)
    upload = objects_of_uploaded_pack((tmp_path / f"up-{name}.pack").read_bytes())

    with mirror.objects() as objects:
        pack = b"".join(
            canonical_pack(objects, commit, extra=[(item.kind, item.content) for item in upload])
        )

    files = {file.path: file.content for file in tree_files(pack, commit)}
    assert files["fcl/reco.fcl"] == b"never pushed\n"
    assert files["table.bin"] == (production.path / "table.bin").read_bytes()
    assert not mirror.has_commit(commit)


def test_damaged_and_cut_packs_are_refused(with_differences: Repository) -> None:
    pack = whole_pack(with_differences)
    for damaged in (pack[:-1], pack[: len(pack) // 2], b"", b"PACK", pack + b"x", b"x" * 100):
        with pytest.raises(SoftwareError):
            objects_of_uploaded_pack(damaged)


def test_malformed_object_under_a_right_digest_is_refused(with_differences: Repository) -> None:
    body = whole_pack(with_differences)[12:-20]
    tree = zlib.compress(b"100644 ../escape\0" + bytes(20))
    count = len(objects_of_uploaded_pack(whole_pack(with_differences))) + 1
    pack = pack_header(count) + body + entry_header("tree", len(zlib.decompress(tree))) + tree

    with pytest.raises(SoftwareError, match="index-pack"):
        objects_of_uploaded_pack(pack + hashlib.sha1(pack, usedforsecurity=False).digest())


def test_too_large_packs_are_refused_before_they_fill_memory(with_differences: Repository) -> None:
    bomb = zlib.compress(b"\0" * (8 << 20))
    pack = pack_header(1) + entry_header("blob", 8 << 20) + bomb
    pack += hashlib.sha1(pack, usedforsecurity=False).digest()

    with pytest.raises(SoftwareError, match="larger"):
        objects_of_uploaded_pack(pack, max_pack_bytes=1000)
    with pytest.raises(SoftwareError, match="more bytes"):
        objects_of_uploaded_pack(pack, max_bytes=1 << 20)
    with pytest.raises(SoftwareError, match="unpacks to more"):
        objects_of_uploaded_pack(whole_pack(with_differences), max_bytes=30_000)


def test_object_that_lies_about_its_size_is_refused() -> None:
    pack = pack_header(1) + entry_header("blob", 10) + zlib.compress(b"\0" * (8 << 20))
    pack += hashlib.sha1(pack, usedforsecurity=False).digest()

    with pytest.raises(SoftwareError, match="longer than it says"):
        objects_of_uploaded_pack(pack)


def test_canonical_pack_is_read_as_it_is() -> None:
    [item] = objects_of_uploaded_pack(pack_of_objects([("blob", b"x"), ("blob", b"x")]))

    assert (item.kind, item.content, item.oid) == ("blob", b"x", object_id("blob", b"x"))


def test_code_without_a_mirror_is_packed_from_its_upload_alone(production: Repository) -> None:
    commit = production.git("rev-parse", "main")
    with RepositoryObjects(production.path / ".git") as objects:
        expected = b"".join(canonical_pack(objects, commit))
    upload = objects_of_uploaded_pack(expected)

    assert b"".join(canonical_pack(PackedObjects(upload), commit)) == expected
    lost = production.git("rev-parse", "main:bin/run.sh")
    with pytest.raises(MissingObjectError, match=r"bin/run\.sh"):
        list(canonical_pack(PackedObjects(item for item in upload if item.oid != lost), commit))
    with pytest.raises(MissingObjectError, match="commit"):
        list(canonical_pack(PackedObjects([]), commit))
