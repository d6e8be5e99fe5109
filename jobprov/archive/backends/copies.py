"""One stored copy of a blob, in its own file or in a pack: reading and verifying it."""

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import zstandard

from jobprov.archive.backends.frames import (
    HEADER_BYTES,
    Header,
    decode_frame,
    decode_header,
    encode_header,
)
from jobprov.archive.errors import BlobDamagedError, FrameDamagedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """Stored bytes that are read by position."""

    def size(self) -> int:
        """The number of bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from an offset; fewer than asked for only at the end.

        Raises:
            FrameDamagedError: they cannot be read any more.
        """


class OpenFile:
    """A file that is read by position, so that threads may share it.

    It stays open until nothing refers to it: a sealer may remove its name meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def size(self) -> int:
        """The length of the file in bytes."""
        return os.fstat(self._fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from an offset; fewer than asked for only where the file ends.

        Raises:
            FrameDamagedError: the disk cannot deliver them.
        """
        try:
            data = os.pread(self._fd, length, offset)
            # A single read may return fewer bytes than asked for, even in the middle of a file
            while len(data) < length and (
                more := os.pread(self._fd, length - len(data), offset + len(data))
            ):
                data += more
        except OSError as error:  # the file is open, so this is a fault of the disk
            raise FrameDamagedError(
                f"the bytes from {offset} on cannot be read: {error.strerror}"
            ) from error
        return data


@dataclass(frozen=True, slots=True)
class Copy:
    """A place where a blob is stored.

    Attributes:
        start: where its frame begins in the file.
        end: the frame must not reach beyond this; None if the file holds nothing but the frame.
    """

    sha256: str
    file: Readable
    where: str
    start: int = 0
    end: int | None = None

    def header(self) -> Header:
        """The header of the frame, checked to be that of this blob and to fit its place.

        Raises:
            BlobDamagedError: it is another blob's, or does not fit.
        """
        try:
            header = decode_header(self.read_at(0, HEADER_BYTES))
        except FrameDamagedError as error:
            raise self.damage(error.detail) from error
        if header.sha256.hex() != self.sha256:
            raise self.damage(f"its header names {header.sha256.hex()}")
        self._check_extent(header)
        return header

    def read(self) -> bytes:
        """The bytes of the blob, verified.

        Raises:
            BlobDamagedError: the copy is not intact.
        """
        header = self.header()
        try:
            return decode_frame(self.read_at(0, header.frame_bytes))
        except FrameDamagedError as error:
            raise self.damage(error.detail) from error

    def stored_chunks(self) -> Iterator[bytes]:
        """The frame in pieces of at most a mebibyte, header first.

        Raises:
            BlobDamagedError: after the last piece, if the copy is not intact. Then all of the
                pieces must be thrown away.
        """
        header = self.header()
        yield encode_header(header)
        stored = hashlib.sha256()
        for offset in range(0, header.stored_bytes, CHUNK_BYTES):
            length = min(CHUNK_BYTES, header.stored_bytes - offset)
            chunk = self.read_at(HEADER_BYTES + offset, length)
            stored.update(chunk)
            yield chunk
        if stored.digest() != header.stored_sha256:
            raise self.damage("the stored bytes do not match their digest")

    def check(self) -> None:
        """Return when the stored form is intact, without decompressing it.

        Raises:
            BlobDamagedError: it is not.
        """
        for _chunk in self.stored_chunks():
            pass

    def check_content(self) -> None:
        """Return when the stored form and the content are intact, in bounded memory.

        Raises:
            BlobDamagedError: one of them is not.
        """
        header = self.header()
        if max(header.frame_bytes, header.size_bytes) <= CHUNK_BYTES:
            self.read()  # four times as fast, and most blobs are small
            return
        self.check()
        with BlobReader(self) as reader:
            while reader.read(CHUNK_BYTES):
                pass

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the frame from an offset in it.

        Raises:
            BlobDamagedError: the disk cannot deliver them.
        """
        try:
            return self.file.read_at(self.start + offset, length)
        except FrameDamagedError as error:
            raise self.damage(error.detail) from error

    def damage(self, detail: str) -> BlobDamagedError:
        """The error to be raised for damage of this copy."""
        return BlobDamagedError(self.sha256, self.where, detail)

    def _check_extent(self, header: Header) -> None:
        end = self.start + header.frame_bytes
        if self.end is None and end != self.file.size():
            raise self.damage(f"the file has {self.file.size()} bytes, its header says {end}")
        if self.end is not None and end > self.end:
            raise self.damage("its frame runs past the frames of the pack")


class BlobReader(io.RawIOBase):
    """The content of a copy as a seekable stream.

    It always decodes from the first byte on, so a read that reaches the end verifies the whole. A
    seek forwards decompresses what it skips; a seek backwards starts over from the first byte.
    """

    def __init__(self, copy: Copy) -> None:
        super().__init__()
        self._copy = copy
        self._header = copy.header()
        self._wanted = 0
        self._restart()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position in the content, in bytes."""
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, at most to the end of the content.

        Nothing is decoded before the next read.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self._header.size_bytes}[
            whence
        ]
        self._wanted = min(max(base + offset, 0), self._header.size_bytes)
        return self._wanted

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer from the current position; return the number of bytes, 0 at the end.

        Raises:
            BlobDamagedError: the copy does not decode, or does not match its digest.
        """
        if self._wanted < self._position:
            self._restart()
        while self._position < self._wanted:
            self._decode(min(CHUNK_BYTES, self._wanted - self._position))
        view = memoryview(buffer).cast("B")
        if not view:
            return 0
        data = self._decode(len(view))
        view[: len(data)] = data
        self._wanted = self._position
        return len(data)

    def _restart(self) -> None:
        self._position = 0
        self._sha256 = hashlib.sha256()
        source = _Stored(self._copy, self._header.stored_bytes)
        self._stream = zstandard.ZstdDecompressor().stream_reader(source)  # type: ignore[arg-type]

    def _decode(self, length: int) -> bytes:
        try:
            data = self._stream.read(length)
        except zstandard.ZstdError as error:
            raise self._copy.damage(f"zstd says {error}") from error
        self._sha256.update(data)
        self._position += len(data)
        if not data or self._position >= self._header.size_bytes:
            self._check_end()
        return data

    def _check_end(self) -> None:
        if self._sha256.hexdigest() != self._copy.sha256:
            raise self._copy.damage("the content does not match its digest")
        if self._position != self._header.size_bytes:
            detail = (
                f"the content has {self._position} bytes, its header says {self._header.size_bytes}"
            )
            raise self._copy.damage(detail)


class _Stored:
    """The stored form of a copy, as the decompressor reads it."""

    def __init__(self, copy: Copy, length: int) -> None:
        self._copy = copy
        self._offset = HEADER_BYTES
        self._end = self._offset + length

    def read(self, size: int) -> bytes:
        data = self._copy.read_at(self._offset, min(size, self._end - self._offset))
        self._offset += len(data)
        return data
