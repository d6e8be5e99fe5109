"""What a store in a folder and one in a bucket have in common: how their copies are read.

A blob may have several copies, loose and in packs. It is read from the first that is intact.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from io import BufferedReader
from itertools import groupby
from typing import BinaryIO, Protocol, TypeVar

from jobprov.archive.backends.copies import BlobReader, Copy
from jobprov.archive.backends.packs import Pack
from jobprov.archive.backends.shelves import is_intact
from jobprov.archive.digest import check_digest
from jobprov.archive.errors import BlobDamagedError, BlobMissingError

_READ_BYTES = 1 << 16

_T = TypeVar("_T")


class Documents(Protocol):
    """The documents of a folder, `DocumentShelf`, or of a bucket, `DocumentObjects`."""

    def put(self, name: str, data: bytes) -> bool:
        """See `Store.put_document`."""

    def get(self, name: str) -> bytes:
        """See `Store.get_document`."""

    def read(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """See `Store.read_document`."""

    def names(self, prefix: str = "") -> Iterator[str]:
        """See `Store.documents`."""

    def remove(self, names: Collection[str]) -> None:
        """See `Store.erase_documents`."""


class CopiesStore(ABC):
    """The reading half of a `Store`, and its documents."""

    _documents: Documents

    @abstractmethod
    def _reaching(self) -> AbstractContextManager[None]:
        """Turn errors of the operating system in this block into errors of the archive."""

    @abstractmethod
    def _copies(self, sha256: str) -> Iterator[Copy]:
        """The copies of a blob; each is looked for only if the ones before were damaged."""

    @abstractmethod
    def _loose_and_packs(self) -> tuple[Iterable[str], Sequence[Pack]]:
        """The sorted digests of the loose blobs, then the packs, as they are now."""

    def get(self, sha256: str) -> bytes:
        """The bytes of a blob, from the first copy that is intact."""
        return self._use_copy(sha256, Copy.read)

    def open(self, sha256: str) -> BinaryIO:
        """A buffered, seekable reader of a blob, which fetches little more than what is read."""
        return self._use_copy(sha256, lambda copy: BufferedReader(BlobReader(copy), _READ_BYTES))

    def size(self, sha256: str) -> int:
        """The size of a blob in bytes, from its header."""
        return self._use_copy(sha256, Copy.header).size_bytes

    def digests(self) -> Iterator[str]:
        """Every stored digest once, sorted, as of the first one taken."""
        with self._reaching():
            loose, packs = self._loose_and_packs()
            packed = [_digests_in(pack) for pack in packs]
            for sha256, _copies in groupby(heapq.merge(loose, *packed)):
                yield sha256

    def put_document(self, name: str, data: bytes) -> bool:
        """Store a document durably, unless one of that name exists."""
        with self._reaching():
            return self._documents.put(name, data)

    def get_document(self, name: str) -> bytes:
        """The bytes of a document, verified."""
        with self._reaching():
            return self._documents.get(name)

    def read_document(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """Some bytes of a document, unverified."""
        with self._reaching():
            return self._documents.read(name, start, length, sha256=sha256)

    def documents(self, prefix: str = "") -> Iterator[str]:
        """The names of all documents that begin with the prefix, sorted."""
        with self._reaching():
            yield from self._documents.names(prefix)

    def erase_documents(self, names: Collection[str]) -> None:
        """Remove documents for good, except from a bucket that keeps old versions."""
        with self._reaching():
            self._documents.remove(names)

    def _use_copy(self, sha256: str, use: Callable[[Copy], _T]) -> _T:
        """The result of `use` with the first copy that is not damaged."""
        check_digest(sha256)
        damage: BlobDamagedError | None = None
        with self._reaching():
            for copy in self._copies(sha256):
                try:
                    return use(copy)
                except BlobDamagedError as error:
                    damage = damage or error
        raise damage or BlobMissingError(sha256)

    def _has_intact(self, sha256: str) -> bool:
        return any(is_intact(copy) for copy in self._copies(sha256))


def is_packed(packs: Sequence[Pack], sha256: str) -> bool:
    """Whether one of these packs holds a blob."""
    return any(pack.holds(sha256) for pack in packs)


def blob_bytes(copy: Copy | None) -> int:
    """The size of a copy's blob, from its header; 0 for none and for a damaged one."""
    try:
        return copy.header().size_bytes if copy is not None else 0
    except BlobDamagedError:
        return 0  # a check finds it


def _digests_in(pack: Pack) -> Iterator[str]:
    for sha256, _offset in pack.index.entries():
        yield sha256
