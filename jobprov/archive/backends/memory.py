"""An archive in memory, for tests and trials: like the others, but it ends with the process."""

import io
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import BinaryIO

import zstandard

from jobprov.archive.digest import check_digest, check_match, checked_chunks, digest_of
from jobprov.archive.errors import (
    BlobDamagedError,
    BlobMissingError,
    DocumentDamagedError,
    DocumentMissingError,
)
from jobprov.archive.store import (
    PACK_LIMIT_BYTES,
    ArchiveStats,
    Finding,
    FindingKind,
    SealReport,
    Stored,
    check_document_name,
    nobody,
)


class MemoryStore:
    """A `Store` in two dictionaries; its one pack is a set of digests."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._packed: set[str] = set()
        self._documents: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes, *, expected: str | None = None) -> Stored:
        """Store a blob, or repair a damaged one."""
        sha256 = digest_of(data)
        if expected is not None:
            check_match(expected, sha256)
        with self._lock:
            is_new = self.blobs.get(sha256) != data
            self.blobs[sha256] = bytes(data)
        return Stored(sha256, len(data), is_new=is_new)

    def put_stream(
        self, chunks: Iterable[bytes], *, expected: str, limit_bytes: int | None = None
    ) -> Stored:
        """Store a blob that comes in chunks."""
        return self.put(
            b"".join(checked_chunks(chunks, expected=expected, limit_bytes=limit_bytes))
        )

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many blobs."""
        return [self.put(item).sha256 for item in items]

    def get(self, sha256: str) -> bytes:
        """The bytes of a blob, verified."""
        data = self._find(sha256)
        if digest_of(data) != sha256:
            raise BlobDamagedError(sha256, "memory", "the content does not match its digest")
        return data

    def open(self, sha256: str) -> BinaryIO:
        """A seekable reader of a blob, verified at once."""
        return io.BytesIO(self.get(sha256))

    def size(self, sha256: str) -> int:
        """The size of a blob in bytes."""
        return len(self._find(sha256))

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of the digests that are not stored."""
        return {check_digest(sha256) for sha256 in digests} - self.blobs.keys()

    def digests(self) -> Iterator[str]:
        """Every stored digest, sorted."""
        with self._lock:
            digests = sorted(self.blobs)
        yield from digests

    def seal(self, *, pack_limit_bytes: int = PACK_LIMIT_BYTES) -> SealReport:
        """Mark the loose blobs as packed; those larger than a pack stay loose."""
        with self._lock:
            loose = self.blobs.keys() - self._packed
            fitting = {sha256 for sha256 in loose if len(self.blobs[sha256]) <= pack_limit_bytes}
            self._packed |= fitting
        return SealReport(
            packed=len(fitting),
            packs_written=int(bool(fitting)),
            left_loose=len(loose) - len(fitting),
        )

    def erase(self, digests: Collection[str]) -> set[str]:
        """Remove blobs for good."""
        with self._lock:
            for sha256 in map(check_digest, digests):
                self.blobs.pop(sha256, None)
                self._packed.discard(sha256)
        return set()

    def try_writing(self) -> None:
        """Return at once: memory can be written."""

    def set_aside(self, pack: str) -> bool:  # noqa: ARG002 - it has no packs
        """Return False: nothing can be moved."""
        return False

    def put_document(self, name: str, data: bytes) -> bool:
        """Store a document unless one of that name is there."""
        check_document_name(name)
        with self._lock:
            is_new = name not in self._documents
            self._documents.setdefault(name, (digest_of(data), bytes(data)))
        return is_new

    def get_document(self, name: str) -> bytes:
        """The bytes of a document, verified."""
        check_document_name(name)
        try:
            sha256, data = self._documents[name]
        except KeyError as error:
            raise DocumentMissingError(name) from error
        if digest_of(data) != sha256:
            raise DocumentDamagedError(name, "memory", "the content does not match its digest")
        return data

    def read_document(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """Some bytes of a document; None for a document that the other archives compress."""
        data = self.get_document(name)
        if not data.startswith(zstandard.FRAME_HEADER):
            return None
        if digest_of(data) != sha256 or start + length > len(data):
            raise DocumentDamagedError(name, "memory", "it is another one, or too short")
        return data[start : start + length]

    def documents(self, prefix: str = "") -> Iterator[str]:
        """The names of all documents that begin with the prefix, sorted."""
        with self._lock:
            names = sorted(name for name in self._documents if name.startswith(prefix))
        yield from names

    def erase_documents(self, names: Collection[str]) -> None:
        """Remove documents for good."""
        wanted = [check_document_name(name) for name in names]
        with self._lock:
            for name in wanted:
                self._documents.pop(name, None)

    def stats(self) -> ArchiveStats:
        """How much is stored; nothing is compressed here."""
        with self._lock:
            size_bytes = sum(map(len, self.blobs.values()))
            return ArchiveStats(
                blobs=len(self.blobs),
                loose=len(self.blobs) - len(self._packed),
                packs=int(bool(self._packed)),
                stored_bytes=size_bytes,
                content_bytes=size_bytes,
            )

    def inspect(self, seen: Callable[[], None] = nobody) -> Iterator[Finding]:
        """Verify everything and yield what is wrong; call `seen` after each blob."""
        for sha256 in self.digests():
            try:
                self.get(sha256)
            except BlobDamagedError as error:
                yield Finding(FindingKind.BLOB_DAMAGED, sha256, error.where, error.detail)
            seen()
        for name in self.documents():
            try:
                self.get_document(name)
            except DocumentDamagedError as error:
                yield Finding(FindingKind.DOCUMENT_DAMAGED, name, error.where, error.detail)

    def _find(self, sha256: str) -> bytes:
        try:
            return self.blobs[check_digest(sha256)]
        except KeyError as error:
            raise BlobMissingError(sha256) from error
