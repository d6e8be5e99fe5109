"""A check finds every flipped bit and everything that is cut, gone, swapped or strange."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from jobprov.archive import fsck
from jobprov.archive.backends.frames import HEADER_BYTES
from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.memory import MemoryStore
from jobprov.archive.digest import digest_of
from jobprov.archive.errors import (
    ArchiveError,
    BadDigestError,
    BlobDamagedError,
    DocumentDamagedError,
)
from jobprov.archive.store import FindingKind
from tests.library.tampering import flip_bit, overwrite, stored_files

LOOSE = b"loose loose loose"
PACKED = [b"packed one", b"packed two"]
DOCUMENT = b"a segment"
NAME = "ledger/1"
ABSENT = digest_of(b"absent")
DIGESTS = [digest_of(content) for content in (*PACKED, LOOSE)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = LocalStore(tmp_path / "archive")
    store.put_many(PACKED)
    store.seal()
    store.put(LOOSE)
    store.put_document(NAME, DOCUMENT)
    return store.root


def loose_file(root: Path) -> Path:
    return next(root.glob("loose/*/*"))


def pack_file(root: Path) -> Path:
    return next(root.glob("packs/*"))


def document_file(root: Path) -> Path:
    return root / "documents" / f"{NAME}.document"


def findings(root: Path) -> set[tuple[FindingKind, str]]:
    found = fsck.check(LocalStore(root), expected=DIGESTS, expected_documents=[NAME])
    return {(finding.kind, finding.name) for finding in found}


def unreadable(root: Path) -> int:
    """How many blobs are refused; one that is given back with other bytes fails the test."""
    store = LocalStore(root)
    refused = 0
    for content in (*PACKED, LOOSE):
        try:
            assert store.get(digest_of(content)) == content
        except ArchiveError:
            refused += 1
    return refused


def test_sound_archive_has_no_findings(root: Path) -> None:
    assert findings(root) == set()
    assert unreadable(root) == 0


@pytest.mark.slow
def test_every_flipped_bit_of_a_loose_blob_is_found(root: Path) -> None:
    path = loose_file(root)
    for bit in range(path.stat().st_size * 8):
        flip_bit(path, bit)

        assert findings(root) == {(FindingKind.BLOB_DAMAGED, digest_of(LOOSE))}, bit
        assert unreadable(root) == 1

        flip_bit(path, bit)
    assert findings(root) == set()


@pytest.mark.slow
def test_every_flipped_bit_of_a_pack_is_found_and_spoils_at_most_one_blob(root: Path) -> None:
    path = pack_file(root)
    for bit in range(path.stat().st_size * 8):
        flip_bit(path, bit)

        assert (FindingKind.PACK_DAMAGED, path.name) in findings(root), bit
        assert unreadable(root) <= 1

        flip_bit(path, bit)


@pytest.mark.slow
def test_every_flipped_bit_of_a_document_is_found(root: Path) -> None:
    path = document_file(root)
    for bit in range(path.stat().st_size * 8):
        flip_bit(path, bit)

        assert findings(root) == {(FindingKind.DOCUMENT_DAMAGED, NAME)}, bit
        with pytest.raises(DocumentDamagedError):
            LocalStore(root).get_document(NAME)

        flip_bit(path, bit)


@pytest.mark.slow
def test_every_flipped_bit_of_a_document_that_is_kept_as_it_came_is_found(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    content = zstandard.ZstdCompressor().compress(b"one")
    store.put_document(NAME, content)
    path = store.root / "documents" / f"{NAME}.document"
    for bit in range(path.stat().st_size * 8):
        flip_bit(path, bit)

        assert [(found.kind, found.name) for found in store.inspect()] == [
            (FindingKind.DOCUMENT_DAMAGED, NAME)
        ], bit
        if bit < 8 * HEADER_BYTES:
            with pytest.raises(DocumentDamagedError):
                store.read_document(NAME, 0, 1, sha256=digest_of(content))

        flip_bit(path, bit)


def test_flipped_bit_in_a_frame_of_a_pack_names_the_blob(root: Path) -> None:
    path = pack_file(root)
    flip_bit(path, 8 * 101)

    found = list(LocalStore(root).inspect())

    assert {finding.kind for finding in found} == {
        FindingKind.BLOB_DAMAGED,
        FindingKind.PACK_DAMAGED,
    }
    assert found[0].name in DIGESTS
    assert found[0].where == f"packs/{path.name} at byte 0"


def test_flipped_bit_in_an_index_is_named_and_the_pack_read_by_walking(root: Path) -> None:
    path = pack_file(root)
    flip_bit(path, 8 * (path.stat().st_size - 100))

    assert findings(root) == {
        (FindingKind.INDEX_DAMAGED, path.name),
        (FindingKind.PACK_DAMAGED, path.name),
    }
    assert unreadable(root) == 0
    assert LocalStore(root).stats().blobs == 3


def test_bit_that_flips_in_an_index_under_an_open_store_is_found(root: Path) -> None:
    store = LocalStore(root)
    store.get(DIGESTS[0])
    path = pack_file(root)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)

    assert FindingKind.INDEX_DAMAGED in {finding.kind for finding in store.inspect()}


@pytest.mark.slow
@pytest.mark.parametrize("find", [loose_file, pack_file, document_file])
def test_file_cut_anywhere_is_found(root: Path, find: Callable[[Path], Path]) -> None:
    path = find(root)
    whole = path.read_bytes()
    for length in range(len(whole)):
        overwrite(path, whole[:length])

        assert findings(root), length
        assert unreadable(root) <= (2 if find is pack_file else 1)


@pytest.mark.parametrize("find", [loose_file, pack_file, document_file])
def test_file_with_bytes_behind_its_end_is_found(root: Path, find: Callable[[Path], Path]) -> None:
    path = find(root)
    overwrite(path, path.read_bytes() + b"\0")

    assert findings(root)


def test_deleted_files_are_found_when_they_are_expected(root: Path) -> None:
    for path in stored_files(root):
        path.unlink()

    assert findings(root) == {
        *((FindingKind.BLOB_MISSING, sha256) for sha256 in DIGESTS),
        (FindingKind.DOCUMENT_MISSING, NAME),
    }


def test_swapped_loose_blobs_are_found(root: Path) -> None:
    other = LocalStore(root).put(b"another loose blob").sha256
    first, second = root.glob("loose/*/*")
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    overwrite(first, second_bytes)
    overwrite(second, first_bytes)

    assert findings(root) == {
        (FindingKind.BLOB_DAMAGED, other),
        (FindingKind.BLOB_DAMAGED, digest_of(LOOSE)),
    }


def test_swapped_documents_are_found(root: Path) -> None:
    LocalStore(root).put_document("ledger/2", b"the next segment")
    first, second = sorted(root.glob("documents/ledger/*"))
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    overwrite(first, second_bytes)
    overwrite(second, first_bytes)

    assert findings(root) == {
        (FindingKind.DOCUMENT_DAMAGED, NAME),
        (FindingKind.DOCUMENT_DAMAGED, "ledger/2"),
    }


def test_renamed_pack_is_found(root: Path) -> None:
    path = pack_file(root)
    path.rename(path.with_name("0" * 64 + ".pack"))

    assert findings(root) == {(FindingKind.PACK_DAMAGED, "0" * 64 + ".pack")}


@pytest.mark.parametrize(
    "place",
    [
        "loose/notes.txt",
        f"loose/00/{ABSENT}.zst",
        f"loose/{ABSENT[:2]}/{ABSENT}.raw",
        "packs/old/x.pack",
        "packs/x.index",
        "documents/README",
        "documents/a b.document",
    ],
)
def test_file_that_the_archive_did_not_put_there_is_found(root: Path, place: str) -> None:
    path = root / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")

    assert findings(root) == {(FindingKind.STRAY, path.name)}


def test_damaged_copy_beside_an_intact_one_is_told_apart(root: Path) -> None:
    """A blob that was damaged in a pack and uploaded again is whole, though the pack is not."""
    path = pack_file(root)
    flip_bit(path, 8 * 101)
    store = LocalStore(root)
    for content in PACKED:
        store.put(content)

    kinds = {finding.kind for finding in store.inspect()}

    assert kinds == {FindingKind.COPY_DAMAGED, FindingKind.PACK_DAMAGED}
    assert unreadable(root) == 0


def test_missing_blobs_are_found_in_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck, "_BATCH", 3)
    store = MemoryStore()
    there = [store.put(b"%d" % number).sha256 for number in range(7)]
    absent = [digest_of(b"absent %d" % number) for number in range(2)]

    found = list(fsck.find_missing(store, [absent[0], *there, absent[1]]))

    assert [finding.name for finding in found] == absent
    assert {finding.kind for finding in found} == {FindingKind.BLOB_MISSING}


def test_expected_text_that_is_no_digest_is_refused() -> None:
    with pytest.raises(BadDigestError):
        list(fsck.check(MemoryStore(), expected=["nonsense"]))


def test_damage_in_memory_is_found_and_mended_by_a_put() -> None:
    store = MemoryStore()
    sha256 = store.put(b"right").sha256
    store.put_document(NAME, b"right")
    store.blobs[sha256] = b"wrong"
    store._documents[NAME] = (sha256, b"wrong")

    found = {(finding.kind, finding.name) for finding in fsck.check(store)}

    assert found == {(FindingKind.BLOB_DAMAGED, sha256), (FindingKind.DOCUMENT_DAMAGED, NAME)}
    with pytest.raises(BlobDamagedError):
        store.get(sha256)
    assert store.put(b"right").is_new
    assert store.get(sha256) == b"right"


def test_plain_copy_of_the_folder_is_a_sound_archive(root: Path, tmp_path: Path) -> None:
    """Backups are made by copying the folder, so nothing in it may depend on where it lies."""
    shutil.copytree(root, tmp_path / "copy")

    assert findings(tmp_path / "copy") == set()
