"""On S3 a seal never takes away what somebody may still need.

That holds however many sealers there are, and wherever they die.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import obstore
import pytest

from jobprov.archive import fsck
from jobprov.archive.backends.s3.bucket import Bucket
from jobprov.archive.backends.s3.store import S3Store
from jobprov.archive.digest import digest_of
from tests.library.tampering import run_python

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

EARLIER = [b"packed %d" % number * 20 for number in range(3)]
# Larger than the pack, so it is merged
LOOSE = [hashlib.sha512(b"%d" % number).digest() * 2 for number in range(5)]


def opened(url: str, grace: timedelta = timedelta(0)) -> S3Store:
    """Open the archive as a process of its own would.

    By default what is superseded goes with the next seal.
    """
    name, _slash, prefix = url.removeprefix("s3://").partition("/")
    return S3Store(Bucket(name, prefix), grace=grace)


def keys(store: S3Store, place: str) -> list[str]:
    return sorted(listed.key for listed in store.bucket.listed(place))


def assert_sound(url: str, contents: list[bytes]) -> S3Store:
    store = opened(url)
    assert list(fsck.check(store, expected=map(digest_of, contents))) == []
    return store


def test_what_was_packed_stays_loose_for_an_hour(s3_url: str) -> None:
    store = opened(s3_url, timedelta(hours=1))
    store.put_many(LOOSE)
    store.seal()

    assert store.seal() == type(store.seal())()
    assert len(keys(store, "loose")) == 5

    assert opened(s3_url).seal() == type(store.seal())()
    assert keys(store, "loose") == []
    assert_sound(s3_url, LOOSE)


def test_pack_that_was_merged_stays_for_an_hour_and_is_not_merged_again(s3_url: str) -> None:
    store = opened(s3_url, timedelta(hours=1))
    store.put_many(EARLIER)
    store.seal()
    small = keys(store, "packs")
    store.put_many(LOOSE)

    assert (store.seal().packs_written, len(keys(store, "packs"))) == (1, 2)
    assert store.stats().blobs == 8
    assert store.stats().packs == 1
    store.put(b"one more")
    assert (store.seal().packed, store.seal().packs_merged) == (1, 0)

    assert opened(s3_url).seal().packs_merged == 1
    assert not set(small) & set(keys(store, "packs"))
    assert store.stats().packs == 2
    assert_sound(s3_url, [*EARLIER, *LOOSE, b"one more"])


def test_many_seals_leave_few_packs(s3_url: str) -> None:
    store = opened(s3_url)
    contents = [random.Random(number).randbytes(300) for number in range(24)]  # noqa: S311 -- only has to differ
    for first in range(0, 24, 2):
        store.put_many(contents[first : first + 2])
        store.seal()
    store.seal()

    assert len(keys(store, "packs")) <= 4
    assert keys(store, "loose") == []
    assert_sound(s3_url, contents)


def test_nothing_is_removed_for_a_pack_that_is_damaged(s3_url: str) -> None:
    store = opened(s3_url)
    store.put_many(LOOSE)
    store.seal()
    (pack,) = keys(store, "packs")
    data = store.bucket.read(pack, 0, store.bucket.first_bytes(pack, 1)[1])  # type: ignore[index]
    assert data is not None
    store.bucket.put(pack, data[:150] + bytes([data[150] ^ 1]) + data[151:])
    store = opened(s3_url)

    report = store.seal()

    assert (report.packed, report.packs_written) == (5, 1)
    assert [store.get(digest_of(content)) for content in LOOSE] == LOOSE
    assert len(keys(store, "loose")) == 5
    assert opened(s3_url).seal().packs_written == 0  # for the damaged one has its name again
    opened(s3_url).seal()
    assert keys(store, "loose") == []
    assert_sound(s3_url, LOOSE)


def test_of_two_packs_with_the_same_blobs_one_stays_whoever_seals(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two sealers that see both could rely on the pack that the other removes."""
    store = opened(s3_url)
    store.put_many(LOOSE)
    store.seal()
    (first,) = keys(store, "packs")
    whole = store.bucket.read(first, 0, store.bucket.first_bytes(first, 1)[1])  # type: ignore[index]
    store.bucket.delete([first, *keys(store, "loose")])
    store = opened(s3_url)
    for content in LOOSE:
        # Zstd writes another frame than of the whole
        store.put_stream([content], expected=digest_of(content))
    store.seal()
    store.bucket.put(first, whole or b"")
    assert len(keys(store, "packs")) == 2
    gone: list[str] = []
    monkeypatch.setattr(Bucket, "delete", lambda _bucket, gone_now: gone.extend(gone_now))

    one, other = opened(s3_url), opened(s3_url)
    reports = [sealer.seal() for sealer in (one, other, one)]

    assert [report.packs_merged for report in reports] == [1, 1, 1]
    assert len({key for key in gone if key.startswith("packs/")}) == 1


def test_packs_that_share_blobs_are_merged_into_one_that_has_each_once(s3_url: str) -> None:
    """So do two sealers leave them that were at work at the same time."""
    first = opened(s3_url)
    first.put_many(LOOSE[:3])
    first.seal()
    (pack,) = keys(first, "packs")
    whole = first.bucket.read(pack, 0, first.bucket.first_bytes(pack, 1)[1])  # type: ignore[index]
    first.bucket.delete([pack, *keys(first, "loose")])
    second = opened(s3_url)
    second.put_many(LOOSE[1:4])
    second.seal()
    second.bucket.put(pack, whole or b"")
    second.put_many([*LOOSE, *EARLIER])

    second.seal()
    assert opened(s3_url).seal().packs_merged == 2

    stats = opened(s3_url).stats()
    assert (stats.blobs, stats.loose, stats.packs) == (8, 0, 1)
    assert stats.content_bytes == sum(map(len, [*LOOSE, *EARLIER]))
    assert_sound(s3_url, [*LOOSE, *EARLIER])
    assert opened(s3_url).seal() == type(second.seal())()


def test_reader_with_an_old_view_finds_what_moved(s3_url: str) -> None:
    store, sealer = opened(s3_url), opened(s3_url)
    large = random.Random(1).randbytes(3_000_000)  # noqa: S311 -- only has to be incompressible
    digests = store.put_many([*EARLIER, large])
    sealer.seal()
    store.missing(["0" * 64])
    sealer.put_many(LOOSE)
    sealer.seal(pack_limit_bytes=10_000_000)
    with store.open(digests[3]) as reader:
        reader.read(10)
        sealer.seal()
        sealer.seal()

        assert [store.get(sha256) for sha256 in digests] == [*EARLIER, large]
        assert store.missing([*digests, *map(digest_of, LOOSE)]) == set()
    assert [store.size(sha256) for sha256 in digests[:3]] == [len(content) for content in EARLIER]


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set how many changes to the bucket are made before the process dies."""
    left = [1 << 30]

    def crash_or_call(call: Callable[..., object], *args: object, **kwargs: object) -> object:
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return call(*args, **kwargs)

    for name in ("put", "delete"):
        call = getattr(obstore, name)
        monkeypatch.setattr(obstore, name, lambda *a, call=call, **k: crash_or_call(call, *a, **k))
    return lambda steps: left.__setitem__(0, steps)


def crash_at_every_step(
    s3_url: str,
    crashing: Callable[[int], None],
    prepare: Callable[[S3Store], object],
    action: Callable[[S3Store], object],
) -> Iterator[str]:
    """Addresses of archives whose process died at each step of an action.

    It died before the first, second, ... change that the action makes.
    """
    for step in itertools.count():
        url = f"{s3_url}/{step}"
        crashing(1 << 30)
        prepare(opened(url))
        store = opened(url)
        crashing(step)
        try:
            action(store)
        except Crash:
            crashing(1 << 30)
            yield url
        else:
            crashing(1 << 30)
            yield url
            return


@pytest.mark.parametrize("limit", [256_000_000, 900])
def test_seal_that_dies_at_any_step_loses_nothing_and_is_finished_by_the_next(
    s3_url: str, crashing: Callable[[int], None], limit: int
) -> None:
    def prepare(store: S3Store) -> None:
        store.put_many(EARLIER)
        store.seal()
        store.put_many(LOOSE)

    steps = 0
    for url in crash_at_every_step(
        s3_url, crashing, prepare, lambda store: store.seal(pack_limit_bytes=limit)
    ):
        store = assert_sound(url, [*EARLIER, *LOOSE])

        assert store.seal().damaged == ()
        store.seal()

        assert_sound(url, [*EARLIER, *LOOSE])
        assert keys(store, "loose") == []
        assert store.stats().blobs == 8
        steps += 1
    assert steps > 3


@pytest.mark.parametrize(
    "action",
    [
        lambda store: store.put(b"new"),
        lambda store: store.put_stream([b"n", b"ew"], expected=digest_of(b"new")),
        lambda store: store.put_many([b"new", b"newer"]),
        lambda store: store.put_document("ledger/2", b"new"),
    ],
)
def test_put_that_dies_stores_a_whole_or_nothing(
    s3_url: str, crashing: Callable[[int], None], action: Callable[[S3Store], object]
) -> None:
    for url in crash_at_every_step(s3_url, crashing, lambda store: store.put(b"old"), action):
        store = assert_sound(url, [b"old"])

        action(store)

        assert not store.missing([digest_of(b"new")]) or store.get_document("ledger/2") == b"new"
        assert_sound(url, [b"old"])


WRITER = """
import random, sys
from jobprov.archive.opening import open_store
store, seed = open_store(sys.argv[1]), int(sys.argv[2])
numbers = list(range(40))
random.Random(seed).shuffle(numbers)
for number in numbers:
    content = b"shared by all %d" % number
    assert store.get(store.put(content).sha256) == content
    assert not store.missing([store.put_many([content, content])[0]])
store.put_document(f"head/{seed}", b"")
"""
SEALER = """
import sys
from datetime import timedelta
from pathlib import Path
from jobprov.archive.backends.s3.bucket import Bucket
from jobprov.archive.backends.s3.store import S3Store
bucket, prefix = sys.argv[1].removeprefix("s3://").split("/")
store = S3Store(Bucket(bucket, prefix), grace=timedelta(seconds=2))
while len(list(store.documents("head/"))) < 3:
    assert store.seal(pack_limit_bytes=1500).damaged == ()
"""


def test_processes_write_read_and_seal_at_once(s3_url: str) -> None:
    processes = [run_python(SEALER, s3_url) for _ in range(2)]
    processes += [run_python(WRITER, s3_url, seed) for seed in range(3)]

    assert [process.wait(60) for process in processes] == [0] * 5

    contents = [b"shared by all %d" % number for number in range(40)]
    store = assert_sound(s3_url, contents)
    assert list(store.digests()) == sorted(map(digest_of, contents))
