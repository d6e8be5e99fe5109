"""What every backend of the archive does.

Each one's test file runs this suite on a `store` fixture.
"""

import hashlib
import inspect
import io
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from jobprov.archive.errors import (
    BadDigestError,
    BadNameError,
    BlobMissingError,
    BlobTooLargeError,
    DigestMismatchError,
    DocumentDamagedError,
    DocumentMissingError,
)
from jobprov.archive.store import Store

NOISE = random.Random(7).randbytes(300_000)  # noqa: S311 -- only has to be incompressible
CONTENTS = [b"", b"a", b"a line of fcl\n" * 5000, NOISE]


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


ABSENT = sha256_of(b"never stored")


class StoreBehaviour:
    contested_names = 20

    def test_signatures_are_those_of_the_protocol(self, store: Store) -> None:
        for name, method in inspect.getmembers(Store, inspect.isfunction):
            if not name.startswith("_"):
                ours = inspect.signature(getattr(type(store), name))
                assert ours == inspect.signature(method), name

    @pytest.mark.parametrize("content", CONTENTS, ids=len)
    def test_put_blob_is_given_back(self, store: Store, content: bytes) -> None:
        stored = store.put(content)

        assert stored == (type(stored))(sha256_of(content), len(content), is_new=True)
        assert store.get(stored.sha256) == content
        assert store.size(stored.sha256) == len(content)
        with store.open(stored.sha256) as reader:
            assert reader.read() == content

    def test_second_put_says_that_the_blob_was_there(self, store: Store) -> None:
        store.put(b"twice")

        assert not store.put(b"twice").is_new
        assert not store.put_stream([b"tw", b"ice"], expected=sha256_of(b"twice")).is_new
        assert list(store.digests()) == [sha256_of(b"twice")]

    def test_put_of_other_bytes_than_announced_stores_nothing(self, store: Store) -> None:
        with pytest.raises(DigestMismatchError) as caught:
            store.put(b"sent", expected=ABSENT)

        assert (caught.value.expected, caught.value.actual) == (ABSENT, sha256_of(b"sent"))
        assert list(store.digests()) == []
        assert store.put(b"sent", expected=sha256_of(b"sent")).is_new

    @pytest.mark.parametrize("content", CONTENTS, ids=len)
    def test_streamed_blob_is_given_back(self, store: Store, content: bytes) -> None:
        chunks = [content[start : start + 7001] for start in range(0, len(content), 7001)]

        stored = store.put_stream(
            iter(chunks), expected=sha256_of(content), limit_bytes=len(content)
        )

        assert (stored.sha256, stored.size_bytes, stored.is_new) == (
            sha256_of(content),
            len(content),
            True,
        )
        assert store.get(stored.sha256) == content

    def test_stream_past_its_limit_stores_nothing_and_is_not_read_on(self, store: Store) -> None:
        chunks = iter([b"12345"] * 10)

        with pytest.raises(BlobTooLargeError) as caught:
            store.put_stream(chunks, expected=sha256_of(b"12345" * 10), limit_bytes=14)

        assert caught.value.limit_bytes == 14
        assert len(list(chunks)) == 7
        assert list(store.digests()) == []

    def test_stream_of_other_bytes_than_announced_stores_nothing(self, store: Store) -> None:
        with pytest.raises(DigestMismatchError):
            store.put_stream([b"sent"], expected=ABSENT)

        assert list(store.digests()) == []

    def test_known_blob_is_not_taken_on_trust(self, store: Store) -> None:
        """Possession is granted to who uploads a blob, so naming its digest must not be enough."""
        known = store.put(b"a secret").sha256

        with pytest.raises(DigestMismatchError):
            store.put_stream([b"a guess"], expected=known)
        with pytest.raises(BlobTooLargeError):
            store.put_stream([b"a secret"], expected=known, limit_bytes=3)

    def test_error_of_the_sender_passes_through_a_stream(self, store: Store) -> None:
        def broken() -> Iterator[bytes]:
            yield b"first"
            raise ConnectionResetError("the client went away")

        with pytest.raises(ConnectionResetError):
            store.put_stream(broken(), expected=ABSENT)

        assert list(store.digests()) == []

    def test_many_blobs_are_put_in_order(self, store: Store) -> None:
        items = [b"blob %d" % number for number in range(300)] + [b"blob 7", b"", b""]
        store.put(b"blob 9")

        assert store.put_many(items) == [sha256_of(item) for item in items]
        assert [store.get(sha256_of(item)) for item in items] == items
        assert store.put_many([]) == []

    def test_missing_names_what_is_not_there(self, store: Store) -> None:
        items = [b"blob %d" % number for number in range(50)]
        there = store.put_many(items)
        store.seal()
        there.append(store.put(b"a loose one").sha256)

        assert store.missing([*there, ABSENT, ABSENT]) == {ABSENT}
        assert store.missing([]) == set()

    def test_missing_blob_is_an_error_that_names_it(self, store: Store) -> None:
        for use in (store.get, store.open, store.size):
            with pytest.raises(BlobMissingError) as caught:
                use(ABSENT)
            assert caught.value.sha256 == ABSENT

    @pytest.mark.parametrize(
        "text", ["", "abc", ABSENT.upper(), ABSENT + "0", ABSENT + "\n", "../" + ABSENT[3:]]
    )
    def test_text_that_is_no_digest_is_refused(self, store: Store, text: str) -> None:
        for use in (store.get, store.open, store.size, lambda text: store.missing([text])):
            with pytest.raises(BadDigestError):
                use(text)
        with pytest.raises(BadDigestError):
            store.put(b"data", expected=text)
        with pytest.raises(BadDigestError):
            store.put_stream([b"data"], expected=text)

    def test_digests_come_sorted_and_once(self, store: Store) -> None:
        first = store.put_many([b"blob %d" % number for number in range(40)])
        store.seal()
        second = store.put_many([b"blob %d" % number for number in range(30, 60)])

        assert list(store.digests()) == sorted({*first, *second})

    def test_seal_moves_loose_blobs_into_packs(self, store: Store) -> None:
        digests = [store.put(content).sha256 for content in CONTENTS]

        report = store.seal()

        assert (report.packed, report.packs_written, report.left_loose, report.damaged) == (
            4,
            1,
            0,
            (),
        )
        assert [store.get(sha256) for sha256 in digests] == CONTENTS
        assert [store.open(sha256).read() for sha256 in digests] == CONTENTS
        assert [store.size(sha256) for sha256 in digests] == [len(content) for content in CONTENTS]
        assert not store.put(CONTENTS[2]).is_new

    def test_erased_blobs_are_gone_loose_or_packed_and_all_others_stay(self, store: Store) -> None:
        digests = store.put_many([b"one", b"two", NOISE, b"three"])
        store.seal()
        loose = store.put(b"loose").sha256
        kept = store.put(b"kept").sha256

        left = store.erase([digests[0], digests[2], loose, ABSENT])

        assert left == set()
        assert store.missing([*digests, loose, kept]) == {digests[0], digests[2], loose}
        assert [store.get(sha256) for sha256 in (digests[1], digests[3], kept)] == [
            b"two",
            b"three",
            b"kept",
        ]
        assert list(store.inspect()) == []
        with pytest.raises(BlobMissingError):
            store.get(digests[2])
        assert store.put(NOISE).is_new

    def test_pack_of_erased_blobs_alone_is_removed(self, store: Store) -> None:
        digests = store.put_many([b"one", b"two"])
        store.seal()

        store.erase(digests)

        assert (store.stats().packs, store.stats().blobs, store.stats().stored_bytes) == (0, 0, 0)

    def test_seal_of_a_sealed_archive_does_nothing(self, store: Store) -> None:
        store.put(b"blob")
        store.seal()

        report = store.seal()

        assert (report.packed, report.packs_written, report.packs_merged) == (0, 0, 0)

    def test_blob_larger_than_a_pack_stays_loose(self, store: Store) -> None:
        small, large = store.put(b"small").sha256, store.put(NOISE).sha256

        report = store.seal(pack_limit_bytes=100_000)

        assert (report.packed, report.left_loose) == (1, 1)
        assert store.get(small) == b"small"
        assert store.get(large) == NOISE

    def test_reader_seeks(self, store: Store) -> None:
        content = bytes(range(256)) * 4000
        with store.open(store.put(content).sha256) as reader:
            assert reader.seekable()
            assert reader.readable()
            assert reader.seek(-10, io.SEEK_END) == len(content) - 10
            assert reader.read() == content[-10:]
            assert reader.read() == b""
            assert reader.seek(500_000) == 500_000
            assert reader.read(5) == content[500_000:500_005]
            assert reader.seek(100, io.SEEK_CUR) == 500_105
            assert reader.tell() == 500_105
            assert reader.read(5) == content[500_105:500_110]
            reader.seek(0)
            assert reader.read() == content

    def test_reader_gives_lines(self, store: Store) -> None:
        with store.open(store.put(b"one\ntwo\nthree").sha256) as reader:
            assert list(reader) == [b"one\n", b"two\n", b"three"]

    def test_document_is_put_once(self, store: Store) -> None:
        assert store.put_document("ledger/dune/000001", b"segment")
        assert not store.put_document("ledger/dune/000001", b"another")
        assert store.get_document("ledger/dune/000001") == b"segment"

    def test_documents_are_listed_by_prefix(self, store: Store) -> None:
        names = [
            "ledger/dune/000002",
            "ledger/dune/000001",
            "ledger/dune-2/000001",
            "ledger/dune",
            "heads",
            "a.b/c_-d",
        ]
        for name in names:
            store.put_document(name, name.encode())

        assert list(store.documents()) == sorted(names)
        assert list(store.documents("ledger/dune/")) == ["ledger/dune/000001", "ledger/dune/000002"]
        assert list(store.documents("ledger/dune")) == sorted(names[:4])
        assert list(store.documents("nothing/here")) == []

    def test_erased_documents_are_gone_and_all_others_stay(self, store: Store) -> None:
        for name in ("ledger/dune/000001", "ledger/dune/000002", "heads"):
            store.put_document(name, name.encode())

        store.erase_documents(["ledger/dune/000001", "ledger/none/000001"])

        assert list(store.documents()) == ["heads", "ledger/dune/000002"]
        assert list(store.inspect()) == []
        with pytest.raises(DocumentMissingError):
            store.get_document("ledger/dune/000001")
        assert store.put_document("ledger/dune/000001", b"another")
        assert store.get_document("ledger/dune/000001") == b"another"

    def test_part_of_a_packed_document_is_read_alone(self, store: Store) -> None:
        content = zstandard.ZstdCompressor().compress(b"one") + random.Random(1).randbytes(300_000)  # noqa: S311
        store.put_document("ledger/body", content)

        parts = [
            store.read_document("ledger/body", start, length, sha256=sha256_of(content))
            for start, length in (
                (0, 5),
                (123_456, 70_000),
                (len(content) - 3, 3),
                (len(content), 0),
            )
        ]

        assert parts == [content[:5], content[123_456:193_456], content[-3:], b""]
        assert store.get_document("ledger/body") == content
        assert list(store.inspect()) == []

    def test_part_of_any_other_document_is_not_read_alone(self, store: Store) -> None:
        store.put_document("ledger/head", b"{}")

        assert store.read_document("ledger/head", 0, 1, sha256=sha256_of(b"{}")) is None

    def test_part_of_another_or_shorter_document_is_refused(self, store: Store) -> None:
        content = zstandard.ZstdCompressor().compress(b"one")
        store.put_document("ledger/body", content)

        with pytest.raises(DocumentDamagedError):
            store.read_document("ledger/body", 0, 1, sha256=sha256_of(b"another"))
        with pytest.raises(DocumentDamagedError):
            store.read_document("ledger/body", 1, len(content), sha256=sha256_of(content))

    def test_part_of_a_missing_document_is_an_error_that_names_it(self, store: Store) -> None:
        with pytest.raises(DocumentMissingError) as caught:
            store.read_document("ledger/none", 0, 1, sha256=sha256_of(b""))
        assert caught.value.name == "ledger/none"

    def test_missing_document_is_an_error_that_names_it(self, store: Store) -> None:
        with pytest.raises(DocumentMissingError) as caught:
            store.get_document("ledger/none")
        assert caught.value.name == "ledger/none"

    @pytest.mark.parametrize(
        "name",
        [
            *[
                "",
                "/",
                "/etc/passwd",
                "a//b",
                "a/",
                "../a",
                "a/../b",
                ".hidden",
                "a/.b",
                "a b",
                "ä",
                "a\0",
                "a\n",
            ],
            *["x" * 201, "a/" * 250 + "a", "a.document", "a.document/b"],
        ],
    )
    def test_document_name_outside_the_rules_is_refused(self, store: Store, name: str) -> None:
        for use in (
            store.get_document,
            lambda name: store.put_document(name, b""),
            lambda name: store.erase_documents([name]),
            lambda name: store.read_document(name, 0, 1, sha256=sha256_of(b"")),
        ):
            with pytest.raises(BadNameError) as caught:
                use(name)
            assert caught.value.name == name

    def test_documents_are_no_blobs(self, store: Store) -> None:
        store.put_document("name", b"document")

        assert list(store.digests()) == []
        assert store.missing([sha256_of(b"document")])

    def test_stats_count_blobs_wherever_they_lie(self, store: Store) -> None:
        assert store.stats() == type(store.stats())(0, 0, 0, 0, 0)
        store.put_many([b"one" * 100, b"two" * 100])
        store.seal()
        store.put(b"three" * 100)

        stats = store.stats()

        assert (stats.blobs, stats.loose, stats.packs) == (3, 1, 1)
        assert stats.content_bytes == 1100
        assert stats.stored_bytes > 0

    def test_sound_archive_has_no_findings(self, store: Store) -> None:
        store.put_many(CONTENTS)
        store.put_document("ledger/1", b"segment")
        store.seal()
        store.put(b"loose")

        assert list(store.inspect()) == []

    def test_threads_put_the_same_blobs_while_others_seal_and_read(self, store: Store) -> None:
        items = [b"shared blob %d" % number for number in range(120)]

        def write(seed: int) -> int:
            shuffled = items[:]
            random.Random(seed).shuffle(shuffled)  # noqa: S311 -- only has to differ
            new = 0
            for item in shuffled:
                stored = store.put(item)
                new += stored.is_new
                assert store.get(stored.sha256) == item
                assert store.missing([stored.sha256]) == set()
            return new

        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(write, seed) for seed in range(6)]
            while not all(writer.done() for writer in writers):
                assert store.seal().damaged == ()
            new = sum(writer.result() for writer in writers)

        assert new >= len(items)
        assert list(store.digests()) == sorted(map(sha256_of, items))
        assert list(store.inspect()) == []

    def test_threads_agree_who_put_a_document(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = [
                sum(
                    pool.map(
                        lambda writer, name=name: store.put_document(name, b"%d" % writer), range(8)
                    )
                )
                for name in (f"head/{number}" for number in range(self.contested_names))
            ]

        assert won == [1] * self.contested_names
