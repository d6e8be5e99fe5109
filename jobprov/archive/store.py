"""The interface of every archive backend, and the types of its answers.

A store keeps *blobs*, named by the SHA-256 of their bytes, and *documents*, named by their writer
(segments of the ledger). Both are immutable: putting an existing one changes nothing, and only
erasing removes them. A store knows nothing of jobs, experiments or permissions. The interface needs
only an atomic put-if-absent, so that an object store can implement it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol

from jobprov.archive.errors import BadNameError

PACK_LIMIT_BYTES = 256_000_000
"""The largest pack that a seal writes, including its index."""

_PART = r"(?!\.)[A-Za-z0-9._-]{1,200}(?<!\.document)"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_NAME_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a put.

    Attributes:
        is_new: whether this put wrote the bytes; False if they were stored already.
    """

    sha256: str
    size_bytes: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a seal did.

    Attributes:
        packed: how many loose blobs are in packs now.
        packs_written: how many new packs.
        packs_merged: how many packs were removed because their blobs are in other packs now.
        left_loose: how many blobs stay loose because they are larger than a pack.
        damaged: digests of blobs that were found damaged and left where they are.
    """

    packed: int = 0
    packs_written: int = 0
    packs_merged: int = 0
    left_loose: int = 0
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """How much an archive holds.

    Attributes:
        blobs: distinct blobs. After a crash, one that is in two packs counts twice until the next
            seal.
        loose: blobs that are in no pack yet.
        packs: pack files.
        stored_bytes: bytes on disk of loose blobs and packs, without documents.
        content_bytes: bytes of the blobs before compression.
    """

    blobs: int
    loose: int
    packs: int
    stored_bytes: int
    content_bytes: int


class FindingKind(StrEnum):
    """What can be wrong with an archive."""

    BLOB_MISSING = "blob-missing"
    BLOB_DAMAGED = "blob-damaged"
    COPY_DAMAGED = "copy-damaged"  # one copy of a blob; another one is intact
    PACK_DAMAGED = "pack-damaged"
    INDEX_DAMAGED = "index-damaged"
    DOCUMENT_MISSING = "document-missing"
    DOCUMENT_DAMAGED = "document-damaged"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: of the blob, document or file.
        where: the place, as a path below the archive.
        detail: how it shows.
    """

    kind: FindingKind
    name: str
    where: str
    detail: str


def nobody() -> None:
    """Tell nobody that a blob was read."""


class Store(Protocol):
    """Blobs by digest and documents by name.

    A store is safe for many threads and, unless it is in memory, for many processes at once.
    """

    def put(self, data: bytes, *, expected: str | None = None) -> Stored:
        """Store a blob durably: once this returns, a power failure does not lose it.

        Raises:
            DigestMismatchError: the bytes have another digest than `expected`; nothing is stored.
        """

    def put_stream(
        self, chunks: Iterable[bytes], *, expected: str, limit_bytes: int | None = None
    ) -> Stored:
        """Store a blob that comes in chunks, in bounded memory.

        All chunks are read, even if the blob is stored already.

        Raises:
            DigestMismatchError: the bytes have another digest than `expected`; nothing is stored.
            BlobTooLargeError: more than `limit_bytes` came; nothing is stored.
        """

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many small blobs durably and return their digests, in order.

        This is cheaper than as many puts.
        """

    def get(self, sha256: str) -> bytes:
        """The bytes of a blob, verified.

        Raises:
            BlobMissingError: it is not stored.
            BlobDamagedError: no stored copy of it is intact.
        """

    def open(self, sha256: str) -> BinaryIO:
        """A seekable reader of a blob, in bounded memory.

        A read that reaches the end verifies the whole.

        Raises:
            BlobMissingError: it is not stored.
            BlobDamagedError: at once if the header of every copy is damaged, else by the read that
                meets the damage.
        """

    def size(self, sha256: str) -> int:
        """The size of a blob in bytes, uncompressed.

        Raises:
            BlobMissingError: it is not stored.
            BlobDamagedError: the header of every copy is damaged.
        """

    def missing(self, digests: Iterable[str]) -> set[str]:
        """The digests that are not stored; fast for thousands at once."""

    def digests(self) -> Iterator[str]:
        """Every stored digest once, sorted."""

    def seal(self, *, pack_limit_bytes: int = PACK_LIMIT_BYTES) -> SealReport:
        """Move loose blobs into packs, while readers and writers continue."""

    def erase(self, digests: Collection[str]) -> set[str]:
        """Remove blobs for good, also from packs.

        Returns the digests that still have a copy, in a damaged pack. Documents and all other blobs
        stay readable, whenever the power fails.

        The caller must know that nobody needs the blobs, and that nobody puts the same bytes at the
        same moment: these may be removed, too.
        """

    def try_writing(self) -> None:
        """Write something small, and remove it again.

        Raises:
            ArchiveUnreachableError: that cannot be done.
        """

    def set_aside(self, pack: str) -> bool:
        """Move a damaged pack out of the way, once all it holds is intact elsewhere.

        What is intact in the pack alone is stored again first. Returns whether it was moved.
        """

    def put_document(self, name: str, data: bytes) -> bool:
        """Store a document durably, unless one of that name exists; returns whether it was stored.

        Raises:
            BadNameError: no document may have that name.
        """

    def get_document(self, name: str) -> bytes:
        """The bytes of a document, verified.

        Raises:
            BadNameError: no document may have that name.
            DocumentMissingError: it is not stored.
            DocumentDamagedError: its stored bytes changed.
        """

    def read_document(self, name: str, start: int, length: int, *, sha256: str) -> bytes | None:
        """Some bytes of the document with this digest; None if only the whole can be read.

        Parts can be read of a document that begins with a zstd frame, since it is kept as it came.
        Only the digest in its header is compared. The bytes themselves are not verified, so they
        should have a checksum of their own.

        Raises:
            BadNameError: no document may have that name.
            DocumentMissingError: it is not stored.
            DocumentDamagedError: it has another digest, or is too short.
        """

    def documents(self, prefix: str = "") -> Iterator[str]:
        """The names of all documents that begin with the prefix, sorted."""

    def erase_documents(self, names: Collection[str]) -> None:
        """Remove documents for good; missing ones are ignored.

        The caller must know that nobody needs them.

        Raises:
            BadNameError: no document may have one of the names; nothing is removed then.
        """

    def stats(self) -> ArchiveStats:
        """How much is stored, counted without reading whole packs."""

    def inspect(self, seen: Callable[[], None] = nobody) -> Iterator[Finding]:
        """Read every stored byte and yield what is wrong; `archive.fsck` adds what is missing.

        `seen` is called after each blob.
        """


def check_document_name(name: str) -> str:
    """The same name, after checking that a document may have it.

    Raises:
        BadNameError: no document may have it.
    """
    if not is_document_name(name):
        raise BadNameError(name)
    return name


def is_document_name(name: str) -> bool:
    """Whether a document may have a name: parts of `A-Z a-z 0-9 . _ -` joined by slashes.

    A part has 1 to 200 characters, does not begin with a dot and does not end in `.document`, which
    is how a local archive tells files from folders; the whole has at most 500.
    """
    return len(name) <= _NAME_LIMIT and _NAME.fullmatch(name) is not None
