"""What every archive backend can do, and the small values that it answers with.

A store keeps *blobs*, named by the SHA-256 of their bytes, and *documents*, named by their writer
(ledger segments). Both are immutable: a put of what is there changes nothing, and only erasing
removes them. It knows no jobs, experiments or permissions. The Protocol needs only atomic
put-if-absent, so an object store can implement it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol

from jobprov.archive.errors import BadNameError

PACK_LIMIT_BYTES = 256_000_000
"""The largest pack that a seal writes, index included."""

_PART = r"(?!\.)[A-Za-z0-9._-]{1,200}(?<!\.document)"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_NAME_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """What a put did; `is_new` says that these bytes were written by it."""

    sha256: str
    size_bytes: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a seal did.

    Attributes:
        packed: blobs that were loose and lie in packs now.
        packs_written: new packs.
        packs_merged: packs that were removed because their blobs lie in other packs now.
        left_loose: loose blobs that stay so, being larger than a pack.
        damaged: digests of loose or packed blobs that were found damaged and left where they are.
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
        blobs: distinct blobs (one that lies in two packs, after a crash, counts twice until the
            next seal).
        loose: blobs that no pack holds yet.
        packs: pack files.
        stored_bytes: bytes on disk of loose blobs and packs, documents excluded.
        content_bytes: bytes of the blobs as they came, before compression.
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
    """One thing that is wrong: its kind, the blob, document or file, the place, how it shows."""

    kind: FindingKind
    name: str
    where: str
    detail: str


class Store(Protocol):
    """Blobs by digest and documents by name.

    A store is safe for many threads, a local one for many processes too.
    """

    def put(self, data: bytes, *, expected: str | None = None) -> Stored:
        """Store a blob durably; when this returns, a power cut does not lose it.

        Raises:
            DigestMismatchError: the bytes have another digest than `expected`; nothing is stored.
        """

    def put_stream(
        self, chunks: Iterable[bytes], *, expected: str, limit_bytes: int | None = None
    ) -> Stored:
        """Store a blob that comes in chunks, in bounded memory.

        All chunks are read, even when the blob is known.

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
            BlobDamagedError: at once when the header of every copy is damaged, else by the read
                that meets the damage.
        """

    def size(self, sha256: str) -> int:
        """The size of a blob in bytes, uncompressed.

        Raises:
            BlobMissingError: it is not stored.
            BlobDamagedError: the header of every copy is damaged.
        """

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of the digests that are not stored; made for thousands at once."""

    def digests(self) -> Iterator[str]:
        """Every stored digest once, sorted."""

    def seal(self, *, pack_limit_bytes: int = PACK_LIMIT_BYTES) -> SealReport:
        """Move loose blobs into packs, one sealer at a time, while readers and writers go on."""

    def erase(self, digests: Collection[str]) -> set[str]:
        """Remove blobs for good, also from packs.

        Returns the digests that still have a copy, in a damaged pack.

        Nothing looks whether anybody needs them, and a put of the same bytes at the same moment may
        go with them: both are the caller's affair. Documents and all other blobs stay readable,
        whenever the power goes.
        """

    def put_document(self, name: str, data: bytes) -> bool:
        """Store a document durably unless one of that name is there; returns whether it was stored.

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
        """Some bytes of a document of that digest, read without the rest.

        It is None where only the whole can be read.

        Parts can be read of what begins with a zstd frame, since it is kept as it came. The digest
        is that which was found when it was stored; the bytes of the part are not verified, so let
        them have a check of their own.

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
        """How much is stored, counted without reading the packs through."""

    def inspect(self) -> Iterator[Finding]:
        """Read every stored byte and yield what is wrong; `archive.fsck` adds what is missing."""


def check_document_name(name: str) -> str:
    """The same name, once it is known that a document may have it.

    Raises:
        BadNameError: none may.
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
