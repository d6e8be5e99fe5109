"""The texts that some bytes hold: as they are, in UTF-16, compressed, and in files of archives.

Known are gzip, bzip2, xz, zstd, tar and zip, in each other too. This finds what somebody packed
without a thought; who wants to hide something encrypts it.

Archives are walked from one header to the next. The readers of the standard library first read the
whole directory of a zip, and take a time for a tar that is quadratic in its headers
(CVE-2024-6232); neither reads the first part of a long file.
"""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import zstandard

SEARCHED_BYTES = 8 * 1024 * 1024
"""How much is unpacked of one blob."""
_MOST_MEMBERS = 4096
"""Streams and files, of one blob: each costs something, however short it is."""
_DEEPEST = 4
"""How deep packed things may lie in each other: `log.gz` in `logs.tar.xz` is three deep."""
_XZ_MEMORY = 128 << 20
"""What xz may ask for: `xz -9` takes 65 MiB. Only as much is used as is unpacked."""
_ZSTD_WINDOW = 128 << 20
_WINDOW = 1 << 16
"""Packed bytes that are looked at together: so a short stream costs no copy of all behind it."""
_BEGINNING = 8192
"""Bytes without a zero here are text."""

_TAR_BLOCK = 512
_ZIP_START = b"PK\x03\x04"
_ZIP_HEADER = struct.Struct("<4x2xHH4x4xL4xHH")  # flags, method, packed size, two lengths of names
_ZIP_SIZE_FOLLOWS = 8
_ZIP_SIZE_ELSEWHERE = 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8

_DAMAGES = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)


class Unpacking:
    """How much may still be unpacked, in bytes and in members; what one request costs at most."""

    def __init__(self, room: int = SEARCHED_BYTES) -> None:
        self.room = room
        self._members = _MOST_MEMBERS

    @property
    def is_exhausted(self) -> bool:
        """Whether something may have been left out for want of room."""
        return self.room <= 0 or self._members <= 0

    def take_member(self) -> bool:
        """Count a stream or a file of an archive; tell whether there may be one more."""
        self._members -= 1
        return not self.is_exhausted


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _xz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_UNPACKERS: Mapping[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": _xz,
}


def is_packed(data: bytes) -> bool:
    """Tell whether bytes begin as something does that this can unpack."""
    return _is_stream(data) or _is_zip(data) or _size_in_tar(data, 0) is not None


def _is_stream(data: bytes) -> bool:
    return data.startswith((*_UNPACKERS, zstandard.FRAME_HEADER))


class Text(NamedTuple):
    """A text that some bytes hold.

    Attributes:
        is_of_archive: whether it is a file among others, of a tar or zip.
    """

    content: bytes
    is_of_archive: bool


def texts_within(
    data: bytes, unpacking: Unpacking, *, depth: int = 0, is_of_archive: bool = False
) -> Iterator[Text]:
    """Yield every text that bytes hold; the bytes themselves where they are one.

    What is damaged is searched as far as it is whole.
    """
    if not is_packed(data):
        texts = _texts_in_utf16(data) if b"\0" in data[:_BEGINNING] else [data]
        for text in texts:
            yield Text(text, is_of_archive)
    elif depth < _DEEPEST:
        are_of_archive = is_of_archive or not _is_stream(data)
        for content in _contents(data, unpacking):
            yield from texts_within(
                content, unpacking, depth=depth + 1, is_of_archive=are_of_archive
            )


def _texts_in_utf16(data: bytes) -> Iterator[bytes]:
    beginning = data[:_BEGINNING]
    for encoding, mark, high in (("utf-16-le", b"\xff\xfe", 1), ("utf-16-be", b"\xfe\xff", 0)):
        zeros = beginning[high::2].count(0)
        if data.startswith(mark) or zeros > len(beginning) // 4:
            text = data[:SEARCHED_BYTES].decode(encoding, "replace").encode("utf-8", "replace")
            if b"\0" not in text[:_BEGINNING]:
                yield text


def _contents(data: bytes, unpacking: Unpacking) -> Iterator[bytes]:
    """Yield what packed bytes hold: what was compressed, or each file of an archive."""
    for start, new_unpacker in _UNPACKERS.items():
        if data.startswith(start):
            yield _unpacked(data, new_unpacker, unpacking)
            return
    if data.startswith(zstandard.FRAME_HEADER):
        yield _unpacked_zstd(data, unpacking)
    elif _is_zip(data):
        yield from _files_of_zip(data, unpacking)
    else:
        yield from _files_of_tar(data, unpacking)


def _unpacked(data: bytes, new_unpacker: Callable[[], _Unpacker], unpacking: Unpacking) -> bytes:
    """Return what all streams of a compressed file hold, one after the other."""
    texts: list[bytes] = []
    position = 0
    while position < len(data) and unpacking.take_member():
        unpacker = new_unpacker()
        text, position = _read_stream(data, position, unpacker, unpacking)
        texts.append(text)
        if not unpacker.eof:
            break
    return b"".join(texts)


def _read_stream(
    data: bytes, position: int, unpacker: _Unpacker, unpacking: Unpacking
) -> tuple[bytes, int]:
    """Return what a stream holds, and the position behind it, or where it is damaged."""
    texts: list[bytes] = []
    while position < len(data) and unpacking.room > 0 and not unpacker.eof:
        window = data[position : position + _WINDOW]
        try:
            text = unpacker.decompress(window, unpacking.room)
        except _DAMAGES:
            break
        texts.append(text)
        unpacking.room -= len(text)
        position += len(window) - len(unpacker.unused_data)
    return b"".join(texts), position


def _unpacked_zstd(data: bytes, unpacking: Unpacking) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    texts: list[bytes] = []
    with unpacker.stream_reader(data) as stream:
        while unpacking.room > 0:
            try:
                text = stream.read(min(unpacking.room, _WINDOW))
            except zstandard.ZstdError:
                break
            if not text:
                break
            texts.append(text)
            unpacking.room -= len(text)
    return b"".join(texts)


def _is_zip(data: bytes) -> bool:
    """Tell whether bytes are a zip, or a program that is one behind its first line."""
    if data.startswith(b"#!"):
        return data.find(_ZIP_START, 0, _TAR_BLOCK) > 0
    return data.startswith(_ZIP_START)


def _files_of_zip(data: bytes, unpacking: Unpacking) -> Iterator[bytes]:
    position = data.find(_ZIP_START)
    while 0 <= position <= len(data) - _ZIP_HEADER.size and unpacking.take_member():
        flags, method, size, *lengths = _ZIP_HEADER.unpack_from(data, position)
        start = position + _ZIP_HEADER.size + sum(lengths)
        end = start + size
        is_size_known = not flags & _ZIP_SIZE_FOLLOWS and size != _ZIP_SIZE_ELSEWHERE
        if method == _DEFLATED:
            text, behind = _read_stream(data, start, zlib.decompressobj(-15), unpacking)
            end = end if is_size_known else behind
            yield text
        elif not is_size_known:
            following = data.find(_ZIP_START, start)
            end = following if following >= 0 else len(data)
        if method == _STORED:
            yield data[start:end]
        position = data.find(_ZIP_START, end)


def _files_of_tar(data: bytes, unpacking: Unpacking) -> Iterator[bytes]:
    """Yield what stands behind each header, which is a file, or a long name."""
    position = 0
    while unpacking.take_member():
        size = _size_in_tar(data, position)
        if size is None:
            return
        position += _TAR_BLOCK
        if size:
            yield data[position : position + size]
        position += -(-size // _TAR_BLOCK) * _TAR_BLOCK


def _size_in_tar(data: bytes, position: int) -> int | None:
    """Return the size of the file whose header stands here; None where no header does.

    Source: POSIX.1-2024, pax, "ustar Interchange Format".
    """
    header = data[position : position + _TAR_BLOCK]
    try:
        checksum = int(header[148:156].strip(b"\0 "), 8)
        size = int(header[124:136].strip(b"\0 "), 8)
    except ValueError:
        return None
    with_blank_checksum = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if size < 0 or checksum != with_blank_checksum or len(header) < _TAR_BLOCK:
        return None
    return size
