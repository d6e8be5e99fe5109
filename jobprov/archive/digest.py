"""Digests: SHA-256 of the uncompressed bytes, written as 64 lower-case hexadecimal characters.

*Digest* is ours; the *checksums* of catalogs (adler32 and friends) are not handled here.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

from jobprov.archive.errors import BadDigestError, BlobTooLargeError, DigestMismatchError

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes) -> str:
    """The digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def is_digest(text: object) -> bool:
    """Whether a value is a digest in the form that this project writes: lower case."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def check_digest(text: str) -> str:
    """The same text, after checking that it is a digest.

    Raises:
        BadDigestError: it is not 64 lower-case hexadecimal characters.
    """
    if not is_digest(text):
        raise BadDigestError(text)
    return text


def check_match(expected: str, actual: str) -> None:
    """Check that the bytes have the digest that was announced.

    Raises:
        BadDigestError: the announced one is not a digest.
        DigestMismatchError: they differ.
    """
    if check_digest(expected) != actual:
        raise DigestMismatchError(expected, actual)


def checked_chunks(
    chunks: Iterable[bytes], *, expected: str, limit_bytes: int | None
) -> Iterator[bytes]:
    """The same chunks; once the last one is taken, their total size and digest have been checked.

    Raises:
        BadDigestError: the announced digest is not one.
        DigestMismatchError: the chunks together have another digest.
        BlobTooLargeError: they exceed the limit; the chunk that does so is not yielded.
    """
    check_digest(expected)
    sha256 = hashlib.sha256()
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if limit_bytes is not None and size_bytes > limit_bytes:
            raise BlobTooLargeError(limit_bytes)
        sha256.update(chunk)
        yield chunk
    check_match(expected, sha256.hexdigest())
