"""Checks an archive: every bit that is stored, and every blob that should be.

Which jobs a finding affects is not known here; callers look up what refers to the digests.
"""

from collections.abc import Callable, Iterable, Iterator

from jobprov.archive.store import Finding, FindingKind, Store, nobody

_BATCH = 5000


def check(
    store: Store,
    *,
    expected: Iterable[str] = (),
    expected_documents: Iterable[str] = (),
    seen: Callable[[], None] = nobody,
) -> Iterator[Finding]:
    """Everything that is wrong with an archive, as it is found.

    Args:
        store: the archive to read through.
        expected: digests of the blobs that must be there.
        expected_documents: names of the documents that must be there.
        seen: is called after each blob that was read.

    Raises:
        BadDigestError: an expected digest is not one.
    """
    yield from store.inspect(seen)
    yield from find_missing(store, expected)
    there = set(store.documents())
    for name in expected_documents:
        if name not in there:
            yield Finding(
                FindingKind.DOCUMENT_MISSING, name, "nowhere", "it is referred to, but not stored"
            )


def find_missing(store: Store, expected: Iterable[str]) -> Iterator[Finding]:
    """The blobs that should be there and are missing; no blob is read for this.

    Raises:
        BadDigestError: an expected digest is not one.
    """
    batch: list[str] = []
    for sha256 in expected:
        batch.append(sha256)
        if len(batch) == _BATCH:
            yield from _missing(store, batch)
            batch.clear()
    yield from _missing(store, batch)


def _missing(store: Store, batch: list[str]) -> Iterator[Finding]:
    for sha256 in sorted(store.missing(batch)):
        yield Finding(
            FindingKind.BLOB_MISSING, sha256, "nowhere", "it is referred to, but not stored"
        )
