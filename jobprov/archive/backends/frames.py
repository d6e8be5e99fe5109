"""The frame: one blob or document as it is stored. It describes itself, and every bit is checked.

    offset  bytes  what
         0      4  0x184D2A5A, the magic number of a skippable zstd frame
         4      4  92, the number of bytes of the skippable frame that follow
         8      4  tag of this layout: `jpb1`, or `jpb2` for a document that is kept as it came
        12      8  bytes of the stored form (the zstd frame after the header)
        20      8  bytes of the content
        28     32  SHA-256 of the content: the digest
        60     32  SHA-256 of the stored form: zstd decodes some flipped bits to the same bytes
        92      8  the first bytes of the SHA-256 of the 92 bytes above
       100         the zstd frame

All integers are little-endian. Decoders skip skippable frames, so `zstd -dc` reads a loose blob, a
document or a whole pack without any of our software. A document that begins with a zstd frame is
not compressed again: its stored form is its content, so that parts of it can be read in place. The
stored digest of a document covers its name, too, so that documents in each other's place are found.
There is no second codec: zstd keeps bytes that do not compress as they are, for a few bytes more in
a thousand.

Source: RFC 8878, section 3.1.2 (skippable frames).
"""

import hashlib
import struct
import threading
from dataclasses import dataclass

import zstandard

from jobprov.archive.errors import FrameDamagedError

TAG = b"jpb1"
PLAIN_TAG = b"jpb2"
SKIPPABLE_MAGIC = 0x184D2A5A
_CHECK_BYTES = 8
_FIELDS = struct.Struct("<II4sQQ32s32s")
HEADER_BYTES = _FIELDS.size + _CHECK_BYTES
HEADER_START = struct.pack("<II4s", SKIPPABLE_MAGIC, HEADER_BYTES - 8, TAG)
"""How the header of a blob begins. After damage, a walk through a pack continues at these bytes."""

_PLAIN_START = struct.pack("<II4s", SKIPPABLE_MAGIC, HEADER_BYTES - 8, PLAIN_TAG)
_ZSTD_START = zstandard.FRAME_HEADER
_LEVEL = 3
_codecs = threading.local()


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a frame, with digests as 32 raw bytes.

    Attributes:
        is_plain: whether the content is stored as it is.
    """

    stored_bytes: int
    size_bytes: int
    sha256: bytes
    stored_sha256: bytes
    is_plain: bool = False

    @property
    def frame_bytes(self) -> int:
        """The length of the whole frame in bytes, including this header."""
        return HEADER_BYTES + self.stored_bytes


def encode_header(header: Header) -> bytes:
    """The 100 bytes of a header."""
    tag = PLAIN_TAG if header.is_plain else TAG
    fields = _FIELDS.pack(
        SKIPPABLE_MAGIC,
        HEADER_BYTES - 8,
        tag,
        header.stored_bytes,
        header.size_bytes,
        header.sha256,
        header.stored_sha256,
    )
    return fields + hashlib.sha256(fields).digest()[:_CHECK_BYTES]


def decode_header(data: bytes) -> Header:
    """The header at the start of some bytes.

    Raises:
        FrameDamagedError: they are too few, of another layout, or changed.
    """
    if len(data) < HEADER_BYTES:
        raise FrameDamagedError(f"the header has {len(data)} of {HEADER_BYTES} bytes")
    fields = data[: _FIELDS.size]
    if hashlib.sha256(fields).digest()[:_CHECK_BYTES] != data[_FIELDS.size : HEADER_BYTES]:
        raise FrameDamagedError("the header does not match its check")
    is_plain = fields.startswith(_PLAIN_START)
    if not is_plain and not fields.startswith(HEADER_START):
        raise FrameDamagedError("the header is of another layout")
    stored_bytes, size_bytes, sha256, stored_sha256 = _FIELDS.unpack(fields)[3:]
    return Header(stored_bytes, size_bytes, sha256, stored_sha256, is_plain)


def encode_frame(content: bytes, sha256: str, *, bound_to: str = "") -> bytes:
    """The frame of some content with this digest; `bound_to` is the name of a document."""
    is_plain = bool(bound_to) and content.startswith(_ZSTD_START)
    stored = content if is_plain else _compressor().compress(content)
    header = Header(
        stored_bytes=len(stored),
        size_bytes=len(content),
        sha256=bytes.fromhex(sha256),
        stored_sha256=_stored_digest(stored, bound_to),
        is_plain=is_plain,
    )
    return encode_header(header) + stored


def decode_frame(frame: bytes, *, bound_to: str = "") -> bytes:
    """The content of one frame, after verifying its stored form and its content.

    Raises:
        FrameDamagedError: it is cut off or too long, or one of its digests does not match.
    """
    header = decode_header(frame)
    if len(frame) != header.frame_bytes:
        raise FrameDamagedError(
            f"the frame has {len(frame)} bytes, its header says {header.frame_bytes}"
        )
    stored = frame[HEADER_BYTES:]
    if _stored_digest(stored, bound_to) != header.stored_sha256:
        raise FrameDamagedError("the stored bytes do not match their digest")
    content = stored if header.is_plain else decompress(stored)
    if len(content) != header.size_bytes:
        raise FrameDamagedError(
            f"the content has {len(content)} bytes, its header says {header.size_bytes}"
        )
    if hashlib.sha256(content).digest() != header.sha256:
        raise FrameDamagedError("the content does not match its digest")
    return content


def decompress(stored: bytes) -> bytes:
    """The content of one zstd frame.

    Raises:
        FrameDamagedError: it does not decode.
    """
    try:
        return _decompressor().decompressobj().decompress(stored)
    except zstandard.ZstdError as error:
        raise FrameDamagedError(f"zstd says {error}") from error


class FrameStream:
    """Makes a frame of content that comes in chunks: its stored form in pieces, then its header."""

    def __init__(self) -> None:
        self._compression = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._stored_sha256 = hashlib.sha256()
        self._stored_bytes = 0
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to append to the stored form for a chunk of content; often none."""
        self._size_bytes += len(chunk)
        return self._stored(self._compression.compress(chunk))

    def finish(self) -> bytes:
        """The last bytes of the stored form."""
        return self._stored(self._compression.flush())

    def header(self, sha256: str) -> Header:
        """The header of the finished frame, for content of that digest."""
        return Header(
            self._stored_bytes,
            self._size_bytes,
            bytes.fromhex(sha256),
            self._stored_sha256.digest(),
        )

    def _stored(self, data: bytes) -> bytes:
        self._stored_sha256.update(data)
        self._stored_bytes += len(data)
        return data


def _stored_digest(stored: bytes, bound_to: str) -> bytes:
    sha256 = hashlib.sha256()
    if bound_to:
        sha256.update(bound_to.encode() + b"\0")
    sha256.update(stored)
    return sha256.digest()


def _compressor() -> zstandard.ZstdCompressor:
    """This thread's compressor.

    Two threads must not use one at the same time, and making one takes longer than using it.
    """
    if not hasattr(_codecs, "compressor"):
        _codecs.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    compressor: zstandard.ZstdCompressor = _codecs.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    """This thread's decompressor, for the same reasons."""
    if not hasattr(_codecs, "decompressor"):
        _codecs.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _codecs.decompressor
    return decompressor
