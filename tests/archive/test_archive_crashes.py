"""Whenever a process dies, nothing that was stored is lost, and the next one goes on."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobprov.archive import fsck
from jobprov.archive.backends.local import LocalStore
from jobprov.archive.digest import digest_of
from tests.library.tampering import crash_at_every_step, run_python, stored_files

pytestmark = pytest.mark.slow

EARLIER = [b"packed %d" % number * 20 for number in range(3)]
# Larger than the pack, so it is merged
LOOSE = [hashlib.sha512(b"%d" % number).digest() * 2 for number in range(5)]


@pytest.fixture
def roots(tmp_path: Path) -> Iterator[Path]:
    """Archives without end, each with a small pack, loose blobs and a document."""

    def make(number: int) -> Path:
        store = LocalStore(tmp_path / str(number))
        store.put_many(EARLIER)
        store.seal()
        store.put_many(LOOSE)
        store.put_document("ledger/1", b"segment")
        return store.root

    return map(make, itertools.count())


def assert_sound(root: Path) -> LocalStore:
    store = LocalStore(root)
    expected = [digest_of(content) for content in (*EARLIER, *LOOSE)]
    assert list(fsck.check(store, expected=expected, expected_documents=["ledger/1"])) == []
    return store


@pytest.mark.parametrize("limit", ["", "pack_limit_bytes=900"])
def test_seal_that_dies_at_any_step_loses_nothing_and_is_finished_by_the_next(
    roots: Iterator[Path], limit: str
) -> None:
    steps = 0
    for root in crash_at_every_step(roots, f"store.seal({limit})"):
        store = assert_sound(root)

        report = store.seal()

        assert report.damaged == ()
        assert_sound(root)
        assert store.stats().loose == 0
        assert store.stats().blobs == 8
        steps += 1
    assert steps > 10
    assert store.stats().packs == (3 if limit else 1)


@pytest.mark.parametrize(
    "action",
    [
        "store.put(b'new')",
        (
            "store.put_stream([b'n', b'ew'], "
            "expected=__import__('hashlib').sha256(b'new').hexdigest())"
        ),
        "store.put_many([b'new', b'newer'])",
    ],
)
def test_put_that_dies_at_any_step_stores_a_whole_blob_or_none(
    roots: Iterator[Path], action: str
) -> None:
    outcomes = set()
    for root in crash_at_every_step(roots, action):
        store = assert_sound(root)

        missing = store.missing([digest_of(b"new")])
        outcomes.add(frozenset(missing))

        assert store.put(b"new").is_new == bool(missing)
        assert store.get(digest_of(b"new")) == b"new"
    assert outcomes == {frozenset(), frozenset([digest_of(b"new")])}


def test_document_that_dies_at_any_step_is_stored_whole_or_not_at_all(
    roots: Iterator[Path],
) -> None:
    outcomes = set()
    for root in crash_at_every_step(roots, "store.put_document('ledger/deep/2', b'next')"):
        store = assert_sound(root)

        is_there = "ledger/deep/2" in set(store.documents())

        assert store.put_document("ledger/deep/2", b"next") is not is_there
        assert store.get_document("ledger/deep/2") == b"next"
        outcomes.add(is_there)
    assert outcomes == {True, False}


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The changes made to the disk, in order: what was done, and in which folder of the archive."""
    calls: list[tuple[str, str]] = []

    def place(target: object) -> str:
        path = (
            Path(f"/proc/self/fd/{target}").readlink()
            if isinstance(target, int)
            else Path(str(target))
        )
        return (
            "loose" if "loose" in path.parts else path.name if path.is_dir() else path.parent.name
        )

    def traced(name: str, call: Callable[..., object], argument: int) -> Callable[..., object]:
        def record(*args: object, **kwargs: object) -> object:
            calls.append((name, place(args[argument])))
            return call(*args, **kwargs)

        return record

    for name, argument in (("fsync", 0), ("link", 1), ("replace", 1), ("unlink", 0)):
        monkeypatch.setattr(os, name, traced(name, getattr(os, name), argument))
    return calls


def test_put_flushes_the_file_before_it_is_named_and_the_folder_after(
    tmp_path: Path, trace: list[tuple[str, str]]
) -> None:
    store = LocalStore(tmp_path / "archive")
    trace.clear()
    durable_put = [
        ("fsync", "arriving"),
        ("link", "loose"),
        ("fsync", "loose"),
        ("unlink", "arriving"),
    ]

    store.put(b"blob")
    assert [*trace[:1], *trace[2:]] == durable_put
    assert trace[1] == ("fsync", "loose")  # the folder of the blob is new
    trace.clear()

    next(store.root.glob("loose/*/*")).rename(tmp_path / "elsewhere")
    store.put_stream([b"bl", b"ob"], expected=digest_of(b"blob"))
    assert trace == durable_put


def test_put_of_a_known_blob_flushes_its_name(tmp_path: Path, trace: list[tuple[str, str]]) -> None:
    """Its first writer may have named it, but not have come to flush the folder."""
    LocalStore(tmp_path / "archive").put(b"blob")
    trace.clear()

    LocalStore(tmp_path / "archive").put(b"blob")

    assert trace == [("fsync", "loose")]


def test_document_is_flushed_before_it_is_named_and_its_folder_after(
    tmp_path: Path, trace: list[tuple[str, str]]
) -> None:
    store = LocalStore(tmp_path / "archive")
    trace.clear()

    store.put_document("name", b"data")

    assert trace == [
        ("fsync", "arriving"),
        ("link", "documents"),
        ("unlink", "arriving"),
        ("fsync", "documents"),
    ]


def test_many_blobs_are_flushed_before_the_first_is_named(
    tmp_path: Path, trace: list[tuple[str, str]]
) -> None:
    store = LocalStore(tmp_path / "archive")
    trace.clear()

    store.put_many([b"blob %d" % number for number in range(5)])

    first_link = trace.index(("link", "loose"))
    assert trace[:5] == [("fsync", "arriving")] * 5
    assert first_link >= 5
    last_link = len(trace) - 1 - trace[::-1].index(("link", "loose"))
    assert ("fsync", "loose") in trace[last_link:]


def test_seal_removes_nothing_before_the_pack_is_durable(
    tmp_path: Path, trace: list[tuple[str, str]]
) -> None:
    store = LocalStore(tmp_path / "archive")
    store.put_many(EARLIER)
    store.seal()
    store.put_many(LOOSE)
    trace.clear()

    store.seal()

    replaced = trace.index(("replace", "packs"))
    assert ("fsync", "arriving") in trace[:replaced]
    assert not [call for call in trace[:replaced] if call[0] == "unlink"]
    assert trace[replaced + 1] == ("fsync", "packs")
    assert [call for call in trace[replaced + 2 :] if call[0] == "unlink"][-1] == (
        "unlink",
        "packs",
    )


WRITER = """
import random, sys
from pathlib import Path
from jobprov.archive.backends.local import LocalStore
store, seed = LocalStore(Path(sys.argv[1])), int(sys.argv[2])
numbers = list(range(150))
random.Random(seed).shuffle(numbers)
for number in numbers:
    content = b"shared by all %d" % number
    assert store.get(store.put(content).sha256) == content
    store.put_document(f"head/{number}", b"%d" % seed)
    assert not store.missing([store.put_many([content, content])[0]])
"""
SEALER = """
import sys
from pathlib import Path
from jobprov.archive.backends.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
while not Path(sys.argv[2]).exists():
    assert store.seal(pack_limit_bytes=8000).damaged == ()
    assert list(store.inspect()) == []
"""


def test_processes_write_read_seal_and_check_at_once(tmp_path: Path) -> None:
    root, stop = tmp_path / "archive", tmp_path / "stop"
    sealers = [run_python(SEALER, root, stop) for _ in range(2)]
    writers = [run_python(WRITER, root, seed) for seed in range(3)]

    results = [writer.wait(60) for writer in writers]
    stop.touch()
    results += [sealer.wait(60) for sealer in sealers]

    assert results == [0] * 5
    store = LocalStore(root)
    assert list(store.digests()) == sorted(
        digest_of(b"shared by all %d" % number) for number in range(150)
    )
    assert len(list(store.documents("head/"))) == 150
    assert list(store.inspect()) == []


def test_what_crashed_writers_left_is_swept_after_a_day(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "archive")
    old, young = (store.root / "arriving" / name for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))

    store.seal()

    assert stored_files(store.root) == [young]
