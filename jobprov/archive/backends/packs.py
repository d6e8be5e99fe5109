"""The pack: many frames in one file, with an index at its end.

    [frame]...[frame] [8 bytes: skippable zstd header] [n x 32: digests, sorted] [n x 8: offsets,
    little-endian] [tail]

The tail is a skippable zstd frame of 76 bytes:

    offset  bytes  what
         0      4  0x184D2A5B
         4      4  68
         8      4  tag `jpi1`
        12      8  number of blobs n
        20      8  where the frames end and the index begins
        28      8  sum of the sizes of the contents
        36     32  SHA-256 of the index, its 8 bytes of header included
        68      8  the first bytes of the SHA-256 of the 68 bytes above

The name of a pack is the SHA-256 of the whole file. The index holds nothing that the frames do not
hold, so if it is damaged, the frames are walked instead. `zstd -dc` of a pack prints all contents,
one after the other.
"""

import bisect
import hashlib
import struct
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from jobprov.archive.backends.copies import CHUNK_BYTES, Copy, OpenFile, Readable
from jobprov.archive.backends.durable import Arrival
from jobprov.archive.backends.frames import HEADER_BYTES, HEADER_START, Header, decode_header
from jobprov.archive.errors import BlobDamagedError, FrameDamagedError

SUFFIX = ".pack"
_INDEX_MAGIC = 0x184D2A5B
_INDEX_TAG = b"jpi1"
_SKIP = struct.Struct("<II")
_TAIL = struct.Struct("<II4sQQQ32s")
_PREFIX = struct.Struct(">Q24x")
_CHECK_BYTES = 8
TAIL_BYTES = _TAIL.size + _CHECK_BYTES
_DIGEST_BYTES = 32
_OFFSET_BYTES = 8
ENTRY_BYTES = _DIGEST_BYTES + _OFFSET_BYTES
OVERHEAD_BYTES = _SKIP.size + TAIL_BYTES

ReadAt = Callable[[int, int], bytes]
"""Returns bytes, given their offset and number."""


class Index:
    """Where each blob of a pack begins: a column of sorted digests, then one of offsets.

    Only the first eight bytes of each digest are in memory; the rest is read when needed.

    Args:
        count: the number of blobs.
        read_at: reads bytes of the columns by offset, from the pack or from memory.
    """

    def __init__(self, count: int, read_at: ReadAt) -> None:
        self.count = count
        self._read_at = read_at
        self._prefixes = _prefixes(read_at(0, count * _DIGEST_BYTES))

    def find(self, sha256: bytes) -> int | None:
        """The offset of a blob's frame, or None."""
        prefix = int.from_bytes(sha256[:8], "big")
        place = bisect.bisect_left(self._prefixes, prefix)
        # Digests with the same eight first bytes are as good as impossible, except on purpose
        while place < self.count and self._prefixes[place] == prefix:
            if self._read_at(place * _DIGEST_BYTES, _DIGEST_BYTES) == sha256:
                return self._offsets(place, 1)[0]
            place += 1
        return None

    def entries(self) -> Iterator[tuple[str, int]]:
        """All digests, sorted, with the offsets of their frames."""
        step = 4096
        for first in range(0, self.count, step):
            count = min(step, self.count - first)
            digests = self._read_at(first * _DIGEST_BYTES, count * _DIGEST_BYTES)
            for place, offset in enumerate(self._offsets(first, count)):
                yield digests[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES].hex(), offset

    def _offsets(self, first: int, count: int) -> tuple[int, ...]:
        start = self.count * _DIGEST_BYTES + first * _OFFSET_BYTES
        return struct.unpack(f"<{count}Q", self._read_at(start, count * _OFFSET_BYTES))


class Pack:
    """A pack open for reading.

    Args:
        name: of the pack, with its suffix.
        file: its bytes.
        hold: keeps the columns of the index elsewhere and returns what reads them; without it, they
            are read from the pack each time.

    Attributes:
        index_damage: why the index is not used; None if it is intact.
    """

    def __init__(
        self, name: str, file: Readable, hold: Callable[[bytes], ReadAt] | None = None
    ) -> None:
        self.name = name
        self.file = file
        self.size_bytes = file.size()
        self.index_damage: str | None = None
        self._hold = hold
        try:
            self._read_index()
        except FrameDamagedError as error:
            self.index_damage = error.detail
            self._walk()

    @classmethod
    def open(cls, path: Path) -> Self:
        """The pack in a file."""
        return cls(path.name, OpenFile(path))

    def find(self, sha256: bytes) -> Copy | None:
        """The copy of a blob in this pack, or None."""
        offset = self.index.find(sha256)
        return None if offset is None else self._copy(sha256.hex(), offset)

    def holds(self, sha256: str) -> bool:
        """Whether a blob is in this pack."""
        return self.index.find(bytes.fromhex(sha256)) is not None

    def copies(self) -> Iterator[Copy]:
        """A copy of every blob, by digest."""
        for sha256, offset in self.index.entries():
            yield self._copy(sha256, offset)

    def _copy(self, sha256: str, offset: int) -> Copy:
        return Copy(
            sha256, self.file, f"packs/{self.name} at byte {offset}", offset, self.frames_end
        )

    def _read_index(self) -> None:
        count, self.frames_end, self.content_bytes, index_sha256 = _decode_tail(
            self.file.read_at(max(self.size_bytes - TAIL_BYTES, 0), TAIL_BYTES)
        )
        whole = self.file.read_at(self.frames_end, _SKIP.size + count * ENTRY_BYTES)
        if hashlib.sha256(whole).digest() != index_sha256:
            raise FrameDamagedError("the index does not match its digest")
        base = self.frames_end + _SKIP.size

        def read_here(offset: int, length: int) -> bytes:
            return self.file.read_at(base + offset, length)

        read_index: ReadAt = read_here
        if self._hold:
            read_index = self._hold(whole[_SKIP.size :])
        self.index = Index(count, read_index)

    def _walk(self) -> None:
        """Find the frames without the index.

        After a damaged header, continue at the next one that can be read.
        """
        offsets: dict[bytes, int] = {}
        self.content_bytes = 0
        self.frames_end = self.size_bytes
        for offset, header in walk(self.file):
            if header.sha256 not in offsets:
                self.content_bytes += header.size_bytes
            offsets[header.sha256] = offset
        columns = encode_columns(offsets)
        self.index = Index(len(offsets), lambda offset, length: columns[offset : offset + length])


class PackWriter:
    """A pack that is being written under a temporary name."""

    def __init__(self, arriving: Path) -> None:
        self._arrival = Arrival(arriving)
        self._sha256 = hashlib.sha256()
        self._length = 0
        self._content_bytes = 0
        self._offsets: dict[bytes, int] = {}

    def size_with(self, header: Header) -> int:
        """The size of the finished pack, with one more frame."""
        entries = (len(self._offsets) + 1) * ENTRY_BYTES
        return self._length + header.frame_bytes + entries + OVERHEAD_BYTES

    def add(self, copy: Copy, header: Header) -> None:
        """Append the frame of a copy, verifying it on the way.

        Raises:
            BlobDamagedError: the copy is damaged; the pack is as it was before.
        """
        start, before = self._length, self._sha256.copy()
        try:
            for chunk in copy.stored_chunks():
                self._write(chunk)
        except BlobDamagedError:
            self._arrival.truncate(start)
            self._length, self._sha256 = start, before
            raise
        self._offsets[header.sha256] = start
        self._content_bytes += header.size_bytes

    def publish(self, folder: Path) -> str:
        """Write the index, flush, and return the pack's final name. Flush the folder afterwards."""
        frames_end = self._length
        columns = encode_columns(self._offsets)
        index = _SKIP.pack(_INDEX_MAGIC, len(columns)) + columns
        self._write(index)
        self._write(
            _encode_tail(
                len(self._offsets), frames_end, self._content_bytes, hashlib.sha256(index).digest()
            )
        )
        self._arrival.flush()
        name = f"{self._sha256.hexdigest()}{SUFFIX}"
        # A file that has this name is the same pack, or a damaged one: it may be replaced
        self._arrival.replace(folder / name)
        return name

    def close(self) -> None:
        """Remove the temporary name."""
        self._arrival.close()

    def _write(self, data: bytes) -> None:
        self._arrival.write(data)
        self._sha256.update(data)
        self._length += len(data)


def walk(file: Readable) -> Iterator[tuple[int, Header]]:
    """Offset and header of every frame in a pack that can be found without the index."""
    offset: int | None = 0
    while offset is not None:
        try:
            header = decode_header(file.read_at(offset, HEADER_BYTES))
        except FrameDamagedError:
            offset = _next_start(file, offset + 1)
        else:
            yield offset, header
            offset += header.frame_bytes


def encode_columns(offsets: dict[bytes, int]) -> bytes:
    """The columns of an index: sorted digests, then their offsets."""
    digests = sorted(offsets)
    return b"".join(digests) + struct.pack(
        f"<{len(digests)}Q", *(offsets[digest] for digest in digests)
    )


def _next_start(file: Readable, offset: int) -> int | None:
    """Where the next header seems to begin, from an offset on."""
    while chunk := file.read_at(offset, CHUNK_BYTES):
        place = chunk.find(HEADER_START)
        if place >= 0:
            return offset + place
        if len(chunk) < CHUNK_BYTES:
            return None
        offset += (
            len(chunk) - len(HEADER_START) + 1
        )  # it may begin in one chunk and end in the next
    return None


def _encode_tail(count: int, frames_end: int, content_bytes: int, index_sha256: bytes) -> bytes:
    fields = _TAIL.pack(
        _INDEX_MAGIC,
        TAIL_BYTES - _SKIP.size,
        _INDEX_TAG,
        count,
        frames_end,
        content_bytes,
        index_sha256,
    )
    return fields + hashlib.sha256(fields).digest()[:_CHECK_BYTES]


def _decode_tail(data: bytes) -> tuple[int, int, int, bytes]:
    fields, check = data[: _TAIL.size], data[_TAIL.size :]
    if check != hashlib.sha256(fields).digest()[:_CHECK_BYTES]:
        raise FrameDamagedError("the tail does not match its check")
    _magic, _length, tag, count, frames_end, content_bytes, index_sha256 = _TAIL.unpack(fields)
    if tag != _INDEX_TAG:
        raise FrameDamagedError("the tail is of another layout")
    return count, frames_end, content_bytes, index_sha256


def _prefixes(digests: bytes) -> "array[int]":
    """The first eight bytes of each digest as numbers, which sort in the same order."""
    return array("Q", (prefix for (prefix,) in _PREFIX.iter_unpack(digests)))
