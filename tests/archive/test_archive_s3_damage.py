"""What an archive on S3 does with damage; how its objects relate to the files of a local one."""

import random
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from jobprov.archive import fsck
from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.s3 import objects
from jobprov.archive.backends.s3.bucket import PART_BYTES, Bucket, in_parallel
from jobprov.archive.backends.s3.store import S3Store
from jobprov.archive.digest import digest_of
from jobprov.archive.errors import BlobDamagedError, DocumentDamagedError
from jobprov.archive.opening import open_store
from jobprov.archive.store import FindingKind
from tests.library.tampering import stored_files

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

NOISE = random.Random(3).randbytes(PART_BYTES * 2 + 12345)  # noqa: S311 -- only has to be incompressible
CONTENTS = [b"", b"packed", b"packed too" * 300]


@pytest.fixture
def store(s3_url: str) -> S3Store:
    opened = open_store(s3_url)
    assert isinstance(opened, S3Store)
    return opened


@pytest.fixture
def filled(store: S3Store) -> S3Store:
    """Return an archive with a pack, a loose blob and a document, nothing twice."""
    store.put_many(CONTENTS)
    store.seal()
    store.bucket.delete([listed.key for listed in store.bucket.listed("loose")])
    store.put(b"loose")
    store.put_document("ledger/1", b"segment")
    return store


def object_of(store: S3Store, key: str) -> bytes:
    found = store.bucket.first_bytes(key, 1 << 20)
    assert found is not None
    return found[0]


def keys(store: S3Store, place: str = "") -> list[str]:
    places = [place] if place else ["loose", "packs", "documents"]
    return sorted(listed.key for each in places for listed in store.bucket.listed(each))


def test_every_flipped_bit_is_found(filled: S3Store, s3_url: str) -> None:
    chosen = random.Random(4)  # noqa: S311 -- only has to be spread
    for key in keys(filled):
        whole = object_of(filled, key)
        for _ in range(12):
            bit = chosen.randrange(8 * len(whole))
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            filled.bucket.put(key, bytes(damaged))

            assert list(open_store(s3_url).inspect()), f"bit {bit} of {key}"

        filled.bucket.put(key, whole)
    assert list(open_store(s3_url).inspect()) == []


def test_findings_name_blob_document_and_stray(filled: S3Store, s3_url: str) -> None:
    for place, at in (("loose", 105), ("packs", 105), ("documents", 105)):
        (key,) = keys(filled, place)
        data = object_of(filled, key)
        filled.bucket.put(key, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    (pack,) = keys(filled, "packs")
    for key in (
        "loose/notes.txt",
        f"loose/zz/{'0' * 64}.zst",
        "packs/a/b.pack",
        "documents/name",
        "clock",
    ):
        filled.bucket.put(key, b"")
    missing, there = "1" * 64, digest_of(CONTENTS[2])

    found = list(
        fsck.check(
            open_store(s3_url),
            expected=[missing, there],
            expected_documents=["ledger/1", "ledger/2"],
        )
    )

    assert {(each.kind, each.name) for each in found} >= {
        (FindingKind.BLOB_DAMAGED, digest_of(b"loose")),
        (FindingKind.PACK_DAMAGED, pack.rpartition("/")[2]),
        (FindingKind.DOCUMENT_DAMAGED, "ledger/1"),
        (FindingKind.BLOB_MISSING, missing),
        (FindingKind.DOCUMENT_MISSING, "ledger/2"),
    }
    strays = [each.where for each in found if each.kind == FindingKind.STRAY]
    assert strays == [
        "documents/name",
        "loose/notes.txt",
        f"loose/zz/{'0' * 64}.zst",
        "packs/a/b.pack",
    ]


def test_damage_is_refused_when_read_and_mended_by_another_upload(filled: S3Store) -> None:
    for place in ("loose", "packs"):
        for key in keys(filled, place):
            filled.bucket.put(key, object_of(filled, key)[:50])
    filled = S3Store(filled.bucket)
    with pytest.raises(BlobDamagedError):
        filled.get(digest_of(b"loose"))

    assert filled.put(b"loose").is_new
    assert filled.put_stream([CONTENTS[1]], expected=digest_of(CONTENTS[1])).is_new
    filled.put_many(CONTENTS)

    assert [filled.get(digest_of(content)) for content in (*CONTENTS, b"loose")] == [
        *CONTENTS,
        b"loose",
    ]


def test_damaged_document_is_refused(filled: S3Store) -> None:
    (key,) = keys(filled, "documents")
    filled.bucket.put_new("documents/ledger/2.document", object_of(filled, key))  # another's bytes
    filled.bucket.put(key, b"")

    for name in ("ledger/1", "ledger/2"):
        with pytest.raises(DocumentDamagedError) as caught:
            filled.get_document(name)
        assert caught.value.where == f"documents/{name}.document"


def test_empty_object_is_damage(filled: S3Store) -> None:
    (key,) = keys(filled, "loose")
    filled.bucket.put(key, b"")

    with pytest.raises(BlobDamagedError, match="the header has 0 of 100 bytes"):
        filled.get(digest_of(b"loose"))
    assert [finding.kind for finding in filled.inspect()] == [FindingKind.BLOB_DAMAGED]
    assert filled.stats().loose == 1
    assert filled.seal().damaged == (digest_of(b"loose"),)


def test_folder_and_bucket_have_the_same_objects(store: S3Store, tmp_path: Path) -> None:
    """So that either is copied into the other by any tool, and is an archive there."""
    local = LocalStore(tmp_path / "archive")
    for each in (local, store):
        each.put_many(CONTENTS)
        each.seal()
        each.put(b"loose")
        each.put_document("ledger/dune/1", b"segment")
    files = {
        str(path.relative_to(local.root)): path.read_bytes() for path in stored_files(local.root)
    }

    objects = {key: object_of(store, key) for key in keys(store)}

    assert {key: data for key, data in objects.items() if key in files} == files
    # What was packed just now
    assert {key.partition("/")[0] for key in objects.keys() - files.keys()} == {"loose"}


def test_large_blob_goes_up_in_parts_and_is_read_in_windows(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = digest_of(NOISE)
    chunks = (NOISE[start : start + 1_000_000] for start in range(0, len(NOISE), 1_000_000))

    assert store.put_stream(chunks, expected=sha256).is_new
    assert not store.put_stream([NOISE], expected=sha256).is_new
    assert store.get(sha256) == NOISE
    fetched = count_fetched(monkeypatch)
    with store.open(sha256) as reader:
        assert reader.read(1000) == NOISE[:1000]
        assert sum(fetched) <= 2 * objects.FIRST_BYTES
        assert reader.read() == NOISE[1000:]
    assert max(fetched) <= PART_BYTES
    assert sum(fetched) <= len(NOISE) + len(NOISE) // 100
    assert store.seal().packed == 1
    assert store.get(sha256) == NOISE
    assert not store.put_stream([NOISE], expected=sha256).is_new


def count_fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the ranges that are asked for from now on."""
    lengths: list[int] = []
    get_range = obstore.get_range

    def counted(*args: object, start: int, length: int) -> object:
        lengths.append(length)
        return get_range(*args, start=start, length=length)  # type: ignore[call-overload]

    monkeypatch.setattr(obstore, "get_range", counted)
    return lengths


def test_object_that_goes_while_it_is_read_is_damage(store: S3Store) -> None:
    sha256 = store.put(NOISE[:1_000_000]).sha256
    with store.open(sha256) as reader:
        reader.read(10)
        store.bucket.delete(keys(store, "loose"))

        with pytest.raises(BlobDamagedError, match="the object is gone"):
            reader.read()
    assert store.missing([sha256]) == {sha256}


def test_pack_that_goes_between_listing_and_opening_is_passed_over(
    filled: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = list(filled.bucket.listed("packs"))
    filled.bucket.delete(each.key for each in listed)
    monkeypatch.setattr(Bucket, "listed", lambda _bucket, _prefix: iter(listed))

    store = S3Store(filled.bucket)

    assert store.missing([digest_of(b"packed")]) == {digest_of(b"packed")}
    assert filled.missing([digest_of(b"packed")]) == set()  # a view that is a little older
    assert list(filled.inspect()) == []


def test_function_is_applied_in_order_and_not_far_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number * 2, items(), at_once=4)

    assert [next(results) for _ in range(10)] == list(range(0, 20, 2))
    assert len(taken) <= 10 + 8
    assert list(results) == list(range(20, 2000, 2))
