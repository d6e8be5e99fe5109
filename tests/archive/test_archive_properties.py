"""Any sequence of puts, gets, seals and reopenings answers as a dictionary would."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from zstandard import FRAME_HEADER

from jobprov.archive.backends.frames import decode_frame, encode_frame
from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.memory import MemoryStore
from jobprov.archive.digest import digest_of
from tests.library.examples import examples

if TYPE_CHECKING:
    from jobprov.archive.store import Store

CONTENTS = st.one_of(
    st.binary(max_size=200), st.integers(0, 30).map(lambda number: b"%d " % number * 400)
)
NAMES = st.from_regex(r"[a-c]{1,2}(/[a-c_][a-c.]?){0,2}", fullmatch=True)


class StoreAgainstDictionary(RuleBasedStateMachine):
    """Two stores on the same blobs, so that one of them always finds what the other one moved."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.documents: dict[str, bytes] = {}
        self.stores: list[Store] = []

    @rule(which=st.integers(0, 1), content=CONTENTS)
    def put(self, which: int, content: bytes) -> None:
        stored = self.stores[which].put(content)

        assert stored.is_new == (stored.sha256 not in self.blobs)
        assert stored.size_bytes == len(content)
        self.blobs[digest_of(content)] = content

    @rule(which=st.integers(0, 1), content=CONTENTS, chunk=st.integers(1, 99))
    def put_stream(self, which: int, content: bytes, chunk: int) -> None:
        sha256 = digest_of(content)
        chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]

        assert self.stores[which].put_stream(chunks, expected=sha256).is_new == (
            sha256 not in self.blobs
        )
        self.blobs[sha256] = content

    @rule(which=st.integers(0, 1), contents=st.lists(CONTENTS, max_size=8))
    def put_many(self, which: int, contents: list[bytes]) -> None:
        assert self.stores[which].put_many(contents) == [digest_of(content) for content in contents]
        self.blobs.update((digest_of(content), content) for content in contents)

    @rule(which=st.integers(0, 1), limit=st.sampled_from([300, 1000, 256_000_000]))
    def seal(self, which: int, limit: int) -> None:
        report = self.stores[which].seal(pack_limit_bytes=limit)

        assert report.damaged == ()
        assert report.left_loose == self.stores[1 - which].stats().loose

    @rule(which=st.integers(0, 1), name=NAMES, content=CONTENTS)
    def put_document(self, which: int, name: str, content: bytes) -> None:
        assert self.stores[which].put_document(name, content) == (name not in self.documents)
        self.documents.setdefault(name, content)

    @rule(which=st.integers(0, 1), asked=st.lists(CONTENTS, max_size=5))
    def missing(self, which: int, asked: list[bytes]) -> None:
        digests = {digest_of(content) for content in asked} | set(self.blobs)
        assert self.stores[which].missing(digests) == digests - self.blobs.keys()

    @rule(which=st.integers(0, 1))
    def read(self, which: int) -> None:
        store = self.stores[which]
        for sha256, content in self.blobs.items():
            assert store.get(sha256) == content
            assert store.open(sha256).read() == content
            assert store.size(sha256) == len(content)
        assert {name: store.get_document(name) for name in store.documents()} == self.documents

    @invariant()
    def both_list_the_same(self) -> None:
        for store in self.stores:
            assert list(store.digests()) == sorted(self.blobs)
            assert list(store.documents()) == sorted(self.documents)
            stats = store.stats()
            assert stats.blobs == len(self.blobs)
            assert stats.content_bytes == sum(map(len, self.blobs.values()))

    def teardown(self) -> None:
        for store in self.stores:
            assert list(store.inspect()) == []


class LocalAgainstDictionary(StoreAgainstDictionary):
    @initialize()
    def open_twice(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name) / "archive"
        self.stores = [LocalStore(root), LocalStore(root)]

    def teardown(self) -> None:
        super().teardown()
        if self.stores:
            self.folder.cleanup()


class MemoryAgainstDictionary(StoreAgainstDictionary):
    @initialize()
    def open_one(self) -> None:
        self.stores = [MemoryStore()] * 2


TestLocalAgainstDictionary = LocalAgainstDictionary.TestCase
TestMemoryAgainstDictionary = MemoryAgainstDictionary.TestCase
TestLocalAgainstDictionary.settings = TestMemoryAgainstDictionary.settings = settings(
    max_examples=examples(25),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@given(
    start=st.sampled_from([b"", FRAME_HEADER]),
    rest=st.binary(max_size=3000),
    bound_to=st.text(max_size=5),
)
def test_frame_gives_its_content_back(start: bytes, rest: bytes, bound_to: str) -> None:
    content = start + rest
    frame = encode_frame(content, digest_of(content), bound_to=bound_to)

    assert decode_frame(frame, bound_to=bound_to) == content
