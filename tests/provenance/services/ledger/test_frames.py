"""Single entries of sealed segments are read alone where they can be.

They are the same as from the whole.
"""

import hashlib
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from jobprov.archive.backends.frames import HEADER_BYTES, Header, encode_header
from jobprov.archive.backends.local import LocalStore
from jobprov.provenance.services.ledger.frames import (
    SegmentError,
    body_name,
    head_name,
    read_outline,
)
from jobprov.provenance.services.ledger.segments import (
    GENESIS,
    SealedEntry,
    SegmentReader,
    read_bodies,
    write_segment,
)
from jobprov.provenance.services.upkeep.cleared_erasures import erase_bodies

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


class CountingStore(LocalStore):
    """An archive that notes what is read of its documents."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.whole: list[str] = []
        self.parts: list[int] = []

    def get_document(self, name: str) -> bytes:
        self.whole.append(name.rpartition(".")[2])
        return super().get_document(name)

    def read_document(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        self.parts.append(length)
        return super().read_document(name, start, length, sha256=sha256)


def entries_of(count: int) -> list[SealedEntry]:
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    return [
        SealedEntry(
            "record",
            MOMENT,
            "hook" if number % 3 else None,
            chance.randbytes(16),
            chance.randbytes(number % 50),
        )
        for number in range(count)
    ]


@pytest.fixture
def entries() -> list[SealedEntry]:
    """Return entries that fill ten frames and a part of another one; some bodies are empty."""
    return entries_of(1300)


@pytest.fixture
def store(tmp_path: Path, entries: list[SealedEntry]) -> CountingStore:
    """Return an archive with one segment of these entries."""
    store = CountingStore(tmp_path)
    head, body = write_segment("nova", 1, GENESIS, entries)
    store.put_document(body_name("nova", 1, hashlib.sha256(body).hexdigest()), body)
    store.put_document(head_name("nova", 1), head)
    return store


def body_path(store: LocalStore) -> Path:
    [path] = store.root.rglob("*.body.document")
    path.chmod(0o644)
    return path


@pytest.mark.slow
def test_each_entry_read_alone_is_what_was_sealed(
    store: CountingStore, entries: list[SealedEntry]
) -> None:
    for position, entry in enumerate(entries):
        assert read_bodies(store, "nova", 1, {position}) == {position: entry.body}

    assert store.whole == ["head"]


def test_entry_read_alone_reads_its_frame_alone(store: CountingStore) -> None:
    read_bodies(store, "nova", 1, {0, 500, 501})

    assert len(store.parts) == 2
    assert sum(store.parts) < 0.3 * body_path(store).stat().st_size


def test_entries_of_many_frames_are_read_at_once(
    store: CountingStore, entries: list[SealedEntry]
) -> None:
    wanted = set(range(100, 1300, 7))

    assert read_bodies(store, "nova", 1, wanted) == {
        position: entries[position].body for position in wanted
    }
    assert len(store.parts) == 1


def test_entries_beside_an_erased_one_are_read_from_the_body_that_was_written_anew(
    store: CountingStore, entries: list[SealedEntry]
) -> None:
    assert read_bodies(store, "nova", 1, {4}) == {4: entries[4].body}

    erase_bodies(store, "nova", {1: {4}})

    assert read_bodies(store, "nova", 1, {3, 4, 5}) == {3: entries[3].body, 5: entries[5].body}


def test_body_of_an_archive_that_packed_it_again_is_read_as_well(
    store: CountingStore, entries: list[SealedEntry]
) -> None:
    path = body_path(store)
    content = path.read_bytes()[HEADER_BYTES:]
    stored = zstandard.ZstdCompressor(level=3).compress(content)
    name = path.relative_to(store.root / "documents").as_posix().removesuffix(".document")
    bound = hashlib.sha256(name.encode() + b"\0" + stored).digest()
    path.write_bytes(
        encode_header(Header(len(stored), len(content), hashlib.sha256(content).digest(), bound))
        + stored
    )

    assert read_bodies(store, "nova", 1, {7, 800}) == {7: entries[7].body, 800: entries[800].body}
    assert [entry.body for entry in SegmentReader.open(store, "nova", 1).entries()] == [
        e.body for e in entries
    ]


def test_frame_that_changed_is_refused_and_says_what_to_do(
    store: CountingStore, entries: list[SealedEntry]
) -> None:
    path = body_path(store)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 200] ^= 1
    path.write_bytes(data)

    with pytest.raises(SegmentError, match=re.escape("`jobprov archive check`")):
        read_bodies(store, "nova", 1, {0})
    assert read_bodies(store, "nova", 1, {1290}) == {1290: entries[1290].body}


@pytest.mark.parametrize("experiment", ["nova", 'a","entries":[', "größe"])
def test_outline_of_a_head_is_what_the_whole_head_says(experiment: str) -> None:
    """It ends before the entries, whatever a name looks like."""
    head, body = write_segment(experiment, 1, GENESIS, entries_of(300))

    outline = read_outline(head)

    whole = SegmentReader(head, body).head
    assert (outline.body_sha256, list(outline.starts)) == (whole.body_sha256, whole.frames)
    before_entries = head[: -len(head) // 2]
    assert read_outline(before_entries) == outline
