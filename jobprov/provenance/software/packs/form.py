"""The canonical form of a git pack: the same objects always give the same bytes.

Objects are sorted by type number and id. Each is there once, whole, never as a difference to another
one. The content is in *stored* blocks of deflate, without compression: compressors change from
release to release, stored blocks cannot. Transport and archive compress the pack. Every git can
read it.

Source: gitformat-pack(5); RFC 1950 (zlib), RFC 1951 section 3.2.4 (stored blocks).
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from jobprov.provenance.software.object_form import KINDS

PACK_MAGIC = b"PACK"
PACK_VERSION = 2
MAX_STORED = 0xFFFF  # RFC 1951: the length of a stored block has 16 bits
ZLIB_HEADER = b"\x78\x01"  # RFC 1950: deflate, 32 kB window, fastest level, no dictionary


def sort_key(kind: str, oid: str) -> tuple[int, str]:
    """Return the key by which objects are sorted in a canonical pack."""
    return KINDS.index(kind), oid


def pack_header(count: int) -> bytes:
    """Return the first twelve bytes of a pack of `count` objects."""
    return PACK_MAGIC + PACK_VERSION.to_bytes(4, "big") + count.to_bytes(4, "big")


def entry_header(kind: str, size_bytes: int) -> bytes:
    """Return type and size in the form of a pack.

    The first byte has the type and four bits of the size; each further one has seven more bits.
    """
    low, left = size_bytes & 0x0F, size_bytes >> 4
    encoded = bytearray()
    byte = (KINDS.index(kind) + 1) << 4 | low
    while left:
        encoded.append(byte | 0x80)
        byte, left = left & 0x7F, left >> 7
    encoded.append(byte)
    return bytes(encoded)


def stored_zlib(chunks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield content as a zlib stream of stored blocks, all of them full except the last.

    The blocks do not depend on how the content was cut into chunks.
    """
    yield ZLIB_HEADER
    adler, buffered, left = 1, bytearray(), size_bytes
    for chunk in chunks:
        adler = zlib.adler32(chunk, adler)
        buffered += chunk
        while len(buffered) >= MAX_STORED and left > MAX_STORED:
            yield _stored_block(bytes(buffered[:MAX_STORED]), is_last=False)
            del buffered[:MAX_STORED]
            left -= MAX_STORED
    if len(buffered) != left:
        raise ValueError(
            f"The content of a git object has not the {size_bytes} bytes that its header says."
        )
    yield _stored_block(bytes(buffered), is_last=True)
    yield adler.to_bytes(4, "big")


def with_trailer(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a pack, then the SHA-1 of all of them."""
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
        yield part
    yield digest.digest()


def _stored_block(content: bytes, *, is_last: bool) -> bytes:
    size = len(content)
    return (
        bytes((is_last,))
        + size.to_bytes(2, "little")
        + (size ^ 0xFFFF).to_bytes(2, "little")
        + content
    )
