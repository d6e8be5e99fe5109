"""What a local archive does with damage, double copies and a disk that refuses."""

import errno
import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobprov.archive.backends import copies, packs
from jobprov.archive.backends.copies import OpenFile
from jobprov.archive.backends.frames import (
    HEADER_BYTES,
    Header,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
)
from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.packs import Pack
from jobprov.archive.digest import digest_of
from jobprov.archive.errors import (
    ArchiveError,
    ArchiveUnreachableError,
    BlobDamagedError,
    BlobMissingError,
    FrameDamagedError,
)
from jobprov.archive.store import FindingKind
from tests.library.tampering import flip_bit, overwrite

LARGE = bytes(range(256)) * 20_000


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "archive")


def loose_path(store: LocalStore, sha256: str) -> Path:
    return store.root / "loose" / sha256[:2] / f"{sha256}.zst"


def pack_paths(store: LocalStore) -> list[Path]:
    return sorted(store.root.glob("packs/*.pack"))


def write_frame(path: Path, header: Header, stored: bytes) -> None:
    overwrite(path, encode_header(header) + stored)


def altered(frame: bytes, **fields: object) -> bytes:
    """The frame with other fields in its header, whose check is right."""
    header = decode_header(frame)
    values = {name: fields.get(name, getattr(header, name)) for name in Header.__slots__}
    return encode_header(Header(**values)) + frame[HEADER_BYTES:]


def test_put_of_a_damaged_loose_blob_mends_it(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    flip_bit(loose_path(store, sha256), 8 * 105)
    with pytest.raises(BlobDamagedError) as caught:
        store.get(sha256)
    assert (caught.value.sha256, caught.value.where) == (sha256, f"loose/{sha256[:2]}/{sha256}.zst")

    assert store.put(b"blob").is_new

    assert store.get(sha256) == b"blob"
    assert list(store.inspect()) == []


def test_put_beside_a_damaged_pack_is_packed_anew(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    store.seal()
    flip_bit(pack_paths(store)[0], 8 * 105)
    mended = LocalStore(store.root)

    assert mended.put_many([b"blob"]) == [sha256]
    assert mended.get(sha256) == b"blob"
    mended.seal()

    assert mended.stats().loose == 0
    assert LocalStore(store.root).get(sha256) == b"blob"


def test_seal_leaves_a_damaged_loose_blob_where_it_is(store: LocalStore) -> None:
    good, bad = store.put(b"good").sha256, store.put(b"bad").sha256
    whole = loose_path(store, bad).read_bytes()
    flip_bit(loose_path(store, bad), 8 * 105)

    report = store.seal()

    assert (report.packed, report.damaged) == (1, (bad,))
    assert store.get(good) == b"good"
    assert loose_path(store, bad).exists()
    assert [finding.kind for finding in store.inspect()] == [FindingKind.BLOB_DAMAGED]
    overwrite(loose_path(store, bad), whole)
    assert store.seal().packed == 1


def test_seal_of_nothing_but_damage_writes_no_pack(store: LocalStore) -> None:
    flip_bit(loose_path(store, store.put(b"bad").sha256), 8 * 105)

    report = store.seal()

    assert (report.packed, report.packs_written) == (0, 0)
    assert pack_paths(store) == []
    assert list((store.root / "arriving").iterdir()) == []


def test_seal_keeps_a_small_pack_with_a_damaged_blob(store: LocalStore) -> None:
    digests = store.put_many([b"one", b"two"])
    store.seal()
    small = pack_paths(store)[0]
    flip_bit(small, 8 * 105)
    mended = LocalStore(store.root)
    mended.put_many([os.urandom(300) for _ in range(5)])

    report = mended.seal()

    assert report.packs_merged == 0
    assert len(report.damaged) == 1
    assert report.damaged[0] in digests
    assert small.exists()


def test_seal_keeps_a_pack_whose_index_is_damaged(store: LocalStore) -> None:
    """A walk may find less than the index named; what it did not find must not be thrown away."""
    store.put_many([b"one", b"two"])
    store.seal()
    pack = pack_paths(store)[0]
    overwrite(pack, pack.read_bytes()[:50])
    mended = LocalStore(store.root)
    mended.put_many([os.urandom(300) for _ in range(5)])

    assert mended.seal().packs_merged == 0
    assert pack.exists()


def test_seal_removes_loose_blobs_that_a_pack_holds(store: LocalStore) -> None:
    """A sealer that died between naming its pack and removing the loose files leaves both."""
    sha256 = store.put(b"blob").sha256
    frame = loose_path(store, sha256).read_bytes()
    store.seal()
    loose_path(store, sha256).write_bytes(frame)

    report = store.seal()

    assert (report.packed, report.packs_written) == (0, 0)
    assert not loose_path(store, sha256).exists()
    assert store.get(sha256) == b"blob"


@pytest.mark.parametrize(
    ("limit", "written"), [(256_000_000, 1), (200, 0)], ids=["same-pack", "too-small-packs"]
)
def test_pack_whose_blob_is_damaged_in_every_other_pack_is_kept(
    store: LocalStore, tmp_path: Path, limit: int, written: int
) -> None:
    """Its blobs seem to lie elsewhere too.

    Packed anew they make the same pack, of the same name.
    """
    sha256 = store.put(b"blob").sha256
    store.seal()
    (needed,) = pack_paths(store)
    other = LocalStore(tmp_path / "other")
    other.put_many([b"blob", b"another blob"])
    other.seal()
    (damaged,) = pack_paths(other)
    start = next(copy.start for copy in Pack.open(damaged).copies() if copy.sha256 == sha256)
    flip_bit(damaged, 8 * (start + 105))
    shutil.copy(damaged, needed.parent)

    report = store.seal(pack_limit_bytes=limit)

    assert (report.packs_written, report.packs_merged) == (written, 0)
    assert needed.exists()
    assert store.get(sha256) == LocalStore(store.root).get(sha256) == b"blob"


def test_many_seals_leave_few_packs(store: LocalStore) -> None:
    for number in range(33):
        store.put(b"%d" % number)
        store.seal()

    assert len(pack_paths(store)) <= 6
    assert store.stats().blobs == 33


def test_blob_that_stays_loose_does_not_keep_small_packs_apart(store: LocalStore) -> None:
    store.put(os.urandom(20_000))
    for number in range(9):
        store.put(b"%d" % number)
        assert store.seal(pack_limit_bytes=10_000).left_loose == 1

    assert len(pack_paths(store)) <= 4


def test_seal_fills_packs_up_to_their_limit(store: LocalStore) -> None:
    store.put_many([os.urandom(500) for _ in range(20)])

    report = store.seal(pack_limit_bytes=3000)

    sizes = [path.stat().st_size for path in pack_paths(store)]
    assert report.packs_written == len(sizes) == 5
    assert max(sizes) <= 3000


def test_blob_removed_under_a_sealer_is_passed_over(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(b"blob")
    monkeypatch.setattr(store._loose, "find", lambda _sha256: None)

    assert store.seal().packed == 0
    assert list(store.inspect()) == []
    assert store.stats().loose == 0


def test_blob_that_a_sealer_takes_from_under_a_writer_is_stored_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = store.put(b"blob").sha256
    with monkeypatch.context() as patch:
        patch.setattr(store._loose, "find", lambda _sha256: None)
        assert store.put(b"blob").is_new

    assert store.get(sha256) == b"blob"


def test_writer_that_loses_a_race_says_that_the_blob_was_there(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(b"blob")
    monkeypatch.setattr(store, "_is_settled", lambda _sha256: False)

    assert not store.put(b"blob").is_new


def test_document_that_loses_a_race_is_not_stored(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_document("name", b"first")
    monkeypatch.setattr(Path, "exists", lambda _path: False)

    assert not store.put_document("name", b"second")
    assert store.get_document("name") == b"first"


def test_document_removed_during_a_check_is_found(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._documents, "names", lambda: iter(["gone"]))

    assert [(finding.kind, finding.name) for finding in store.inspect()] == [
        (FindingKind.DOCUMENT_MISSING, "gone")
    ]


@pytest.mark.parametrize("position", [HEADER_BYTES + 20, -30])
def test_reader_refuses_damage_on_its_way(store: LocalStore, position: int) -> None:
    content = os.urandom(400_000)
    sha256 = store.put(content).sha256
    path = loose_path(store, sha256)
    flip_bit(path, 8 * (position % path.stat().st_size))

    with store.open(sha256) as reader, pytest.raises(BlobDamagedError):
        reader.read()


def test_reader_refuses_a_stored_form_that_zstd_does_not_know(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    path = loose_path(store, sha256)
    frame = path.read_bytes()
    overwrite(path, frame[:HEADER_BYTES] + bytes(len(frame) - HEADER_BYTES))

    with store.open(sha256) as reader, pytest.raises(BlobDamagedError, match="zstd says"):
        reader.read()


def test_bits_that_decode_unchanged_are_found_in_the_stored_form(store: LocalStore) -> None:
    """The content alone would not show a flipped bit that means nothing.

    The header of zstd has such a bit (RFC 8878, 3.1.1.1.1.3).
    """
    content = b"some text " * 50
    sha256 = store.put(content).sha256
    path = loose_path(store, sha256)
    flip_bit(path, 8 * (HEADER_BYTES + 4) + 4)

    assert store.open(sha256).read() == content
    with pytest.raises(BlobDamagedError, match="stored bytes"):
        store.get(sha256)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"sha256": bytes(32)}, "header names"),
        ({"stored_bytes": 5}, "its header says 105"),
        ({"stored_sha256": bytes(32)}, "stored bytes do not match"),
    ],
)
def test_header_that_lies_is_refused(
    store: LocalStore, fields: dict[str, object], detail: str
) -> None:
    sha256 = store.put(b"blob").sha256
    path = loose_path(store, sha256)
    overwrite(path, altered(path.read_bytes(), **fields))

    with pytest.raises(BlobDamagedError, match=detail):
        store.get(sha256)
    assert {finding.name for finding in store.inspect()} == {sha256}


@pytest.mark.parametrize("other_content", [b"bulb", LARGE], ids=["small", "large"])
def test_frame_that_holds_another_content_than_it_says_is_refused(
    store: LocalStore, other_content: bytes
) -> None:
    sha256 = store.put(b"blob" if other_content == b"bulb" else LARGE[::-1]).sha256
    other = encode_frame(other_content, digest_of(other_content))
    overwrite(loose_path(store, sha256), altered(other, sha256=bytes.fromhex(sha256)))

    with pytest.raises(BlobDamagedError, match="content does not match"):
        store.get(sha256)
    assert [finding.detail for finding in store.inspect()] == [
        "the content does not match its digest"
    ]


def test_frame_whose_size_is_wrong_is_refused(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    path = loose_path(store, sha256)
    overwrite(path, altered(path.read_bytes(), size_bytes=9))

    with pytest.raises(BlobDamagedError, match="4 bytes, its header says 9"):
        store.get(sha256)
    with (
        store.open(sha256) as reader,
        pytest.raises(BlobDamagedError, match="4 bytes, its header says 9"),
    ):
        reader.read()
    assert [finding.name for finding in store.inspect()] == [sha256]


def test_frame_of_another_layout_is_refused() -> None:
    frame = encode_frame(b"blob", digest_of(b"blob"))
    fields = frame[:8] + b"jpb9" + frame[12:92]
    check = bytes.fromhex(digest_of(fields))[:8]

    with pytest.raises(FrameDamagedError, match="another layout"):
        decode_frame(fields + check + frame[100:])


def test_stored_form_that_does_not_decode_is_refused() -> None:
    stored = b"no zstd"
    header = Header(len(stored), 4, bytes(32), bytes.fromhex(digest_of(stored)))

    with pytest.raises(FrameDamagedError, match="zstd says"):
        decode_frame(encode_header(header) + stored)


def test_walk_finds_frames_behind_damage_and_across_chunks(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "CHUNK_BYTES", 64)
    contents = [b"blob %d" % number for number in range(20)]
    store.put_many(contents)
    store.seal()
    path = pack_paths(store)[0]
    flip_bit(path, 8 * 30)
    flip_bit(path, 8 * (path.stat().st_size - 10))

    walked = Pack.open(path)

    assert walked.index_damage == "the tail does not match its check"
    assert walked.index.count == 19
    reopened = LocalStore(store.root)
    assert len(reopened.missing(map(digest_of, contents))) == 1
    assert sum(content in contents for content in map(reopened.get, reopened.digests())) == 19


@pytest.mark.parametrize("cut", range(0, 1300, 37))
def test_walk_of_a_cut_pack_finds_every_whole_frame(
    store: LocalStore, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "CHUNK_BYTES", 50)
    store.put_many([b"blob %d" % number for number in range(12)])
    store.seal()
    path = pack_paths(store)[0]
    whole = Pack.open(path)
    starts = sorted(copy.start for copy in whole.copies())
    ends = [*starts[1:], whole.frames_end]
    overwrite(path, path.read_bytes()[:cut])

    readable = 0
    for copy in Pack.open(path).copies():
        try:
            readable += copy.read().startswith(b"blob")
        except BlobDamagedError:
            continue

    assert readable == sum(end <= cut for end in ends)


def test_walk_counts_a_frame_that_is_there_twice_once(store: LocalStore) -> None:
    frame = encode_frame(b"blob", digest_of(b"blob"))
    path = store.root / "packs" / "twice.pack"
    path.write_bytes(frame * 2)

    assert (store.stats().blobs, store.stats().content_bytes) == (1, 4)
    assert store.get(digest_of(b"blob")) == b"blob"


def test_tail_of_another_layout_is_not_read(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    store.seal()
    path = pack_paths(store)[0]
    data = path.read_bytes()
    fields = data[-76:-8].replace(b"jpi1", b"jpi9")
    overwrite(path, data[:-76] + fields + bytes.fromhex(digest_of(fields))[:8])

    assert Pack.open(path).index_damage == "the tail is of another layout"
    assert LocalStore(store.root).get(sha256) == b"blob"


def test_frame_that_runs_into_the_index_is_refused(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    frame = loose_path(store, sha256).read_bytes()
    store.seal()
    path = pack_paths(store)[0]
    overwrite(path, altered(frame, stored_bytes=60) + path.read_bytes()[len(frame) :])

    with pytest.raises(BlobDamagedError, match="runs past"):
        LocalStore(store.root).get(sha256)


def test_blobs_that_share_eight_bytes_of_their_digest_are_told_apart() -> None:
    digests = {bytes(8) + bytes([number]) * 24: number for number in range(5)}
    columns = packs.encode_columns(digests)

    index = packs.Index(5, lambda offset, length: columns[offset : offset + length])

    assert {digest: index.find(digest) for digest in digests} == digests
    assert index.find(bytes(8) + b"x" * 24) is None


def test_index_of_thousands_is_listed_whole() -> None:
    digests = {bytes.fromhex(digest_of(b"%d" % number)): number for number in range(9000)}
    columns = packs.encode_columns(digests)

    index = packs.Index(9000, lambda offset, length: columns[offset : offset + length])

    assert {bytes.fromhex(sha256): offset for sha256, offset in index.entries()} == digests


def test_damaged_loose_header_counts_no_content(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    flip_bit(loose_path(store, sha256), 8 * 20)

    assert (store.stats().loose, store.stats().content_bytes) == (1, 0)
    with pytest.raises(BlobDamagedError):
        store.size(sha256)
    with pytest.raises(BlobDamagedError):
        store.open(sha256)


def test_bytes_that_the_disk_does_not_give_are_damage(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = store.put(b"blob").sha256

    def refuse(*_arguments: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", refuse)

    with pytest.raises(BlobDamagedError, match="cannot be read: Input/output error"):
        store.get(sha256)
    assert [finding.kind for finding in store.inspect()] == [FindingKind.BLOB_DAMAGED]


def test_reads_that_come_in_pieces_are_put_together(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = store.put(b"blob" * 50).sha256
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: pread(fd, min(length, 7), offset))

    assert store.get(sha256) == b"blob" * 50


def test_writes_that_come_in_pieces_are_put_together(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))

    sha256 = store.put(b"blob" * 50).sha256

    assert store.get(sha256) == b"blob" * 50


def test_full_disk_is_an_error_that_says_so_and_leaves_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        for put in (
            lambda: store.put(b"blob"),
            lambda: store.put_many([b"blob"]),
            lambda: store.put_stream([b"blob"], expected=digest_of(b"blob")),
            lambda: store.put_document("name", b"blob"),
        ):
            with pytest.raises(ArchiveUnreachableError, match="No space left"):
                put()

    assert list(store.digests()) == list(store.documents()) == []
    assert list((store.root / "arriving").iterdir()) == []


def test_archive_at_an_impossible_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArchiveUnreachableError, match=str(tmp_path / "file")):
        LocalStore(tmp_path / "file" / "archive")


def test_file_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenFile(tmp_path / "none")


def test_large_blob_is_streamed_in_bounded_memory(store: LocalStore) -> None:
    sha256 = store.put_stream(
        (LARGE[start : start + 65536] for start in range(0, len(LARGE), 65536)),
        expected=digest_of(LARGE),
    ).sha256
    store.seal()

    with store.open(sha256) as reader:
        assert isinstance(reader, io.BufferedReader)
        raw = reader.raw
        assert isinstance(raw, copies.BlobReader)
        assert raw.readinto(bytearray()) == 0
        assert raw.readinto(bytearray(10)) == 10
        reader.seek(3_000_000)
        assert reader.read(4) == LARGE[3_000_000:3_000_004]
        reader.seek(0)
        assert reader.read() == LARGE


def test_large_blob_is_checked_in_its_stored_form_too(store: LocalStore) -> None:
    sha256 = store.put(LARGE).sha256
    assert list(store.inspect()) == []

    flip_bit(loose_path(store, sha256), 8 * 500)

    assert [finding.detail for finding in store.inspect()] == [
        "the stored bytes do not match their digest"
    ]


def test_pack_is_readable_by_the_zstd_program_alone(store: LocalStore, tmp_path: Path) -> None:
    """In thirty years a decoder of zstd may be all that is left."""
    store.put_many([b"one", b"two", LARGE])
    store.seal()

    try:
        run = subprocess.run(
            ["zstd", "-dc", pack_paths(store)[0]], capture_output=True, check=True, cwd=tmp_path
        )
    except FileNotFoundError:
        pytest.skip("the program zstd is not installed here")

    assert len(run.stdout) == 6 + len(LARGE)
    assert LARGE in run.stdout


def test_stale_view_of_the_packs_is_renewed_on_a_miss(store: LocalStore) -> None:
    other = LocalStore(store.root)
    digests = [store.put(b"%d" % number).sha256 for number in range(3)]
    for sha256 in digests:
        assert other.get(sha256)
    store.seal()

    assert other.missing(digests) == set()
    assert [other.get(sha256) for sha256 in digests] == [b"0", b"1", b"2"]
    with pytest.raises(BlobMissingError):
        other.get(digest_of(b"absent"))


def test_every_error_is_an_archive_error_and_drawn_in_the_tree() -> None:
    from jobprov.archive import errors  # noqa: PLC0415 -- its names are what is tested

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(error, ArchiveError) for error in classes)
    assert all(error.__name__ in str(errors.__doc__) for error in classes)


def test_restored_pack_of_the_same_name_is_opened_anew(store: LocalStore) -> None:
    sha256 = store.put(b"blob").sha256
    store.seal()
    path = pack_paths(store)[0]
    whole = path.read_bytes()
    overwrite(path, b"")
    reader = LocalStore(store.root)
    with pytest.raises(BlobMissingError):
        reader.get(sha256)
    path.rename(store.root / "set-aside")

    path.write_bytes(whole)

    assert reader.get(sha256) == b"blob"
