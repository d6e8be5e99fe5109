"""Copies the SQLite database that art puts into a ROOT file, without ROOT.

The database is uncompressed, and the file's list of keys says where it is. The file may be damaged
or hostile: each length in it is compared with the file's size before it is used, and the database
is copied in pieces, so that no file takes more memory than another.

Source: ROOT's io/doc/TFile (header.md, tkey.md, keyslist.md); art-root-io's `tkeyvfs` (key
`RootFileDB`, class `TKey`).
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jobprov.provenance.errors import BadInputError

KEY = "RootFileDB"
LARGEST_DATABASE = 1_000_000_000
_LARGEST_KEY_LIST = 1_000_000
_BIG_FILE, _BIG_KEY = 1_000_000, 1000
"""Versions from which on offsets have eight bytes, since the file may be larger than 2 GB."""
_HEADER = 64
_PIECE = 1 << 20


class _Key(NamedTuple):
    """An entry of the list: where its bytes begin, how many there are, and how many unpacked."""

    name: str
    start: int
    stored: int
    size: int


def copy_database(source: BinaryIO, target: BinaryIO, path: str) -> int:
    """Copy the database of an open ROOT file; return its size in bytes.

    Raises:
        BadInputError: this is no whole ROOT file, or art has put no database into it; `path` is
            named.
    """
    try:
        key = _find(source, path)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise BadInputError(
            f"{path}: the list of its keys cannot be read; is the file whole?"
        ) from None
    if key.stored != key.size:
        raise BadInputError(
            f"{path}: its {KEY} is compressed, which art does not do; it cannot be read."
        )
    if key.size > LARGEST_DATABASE:
        raise BadInputError(
            f"{path}: its {KEY} has {key.size:,} bytes; {LARGEST_DATABASE:,} is the limit."
        )
    source.seek(key.start)
    left = key.size
    while left and (piece := source.read(min(_PIECE, left))):
        target.write(piece)
        left -= len(piece)
    if left:
        raise BadInputError(f"{path}: it ends inside its {KEY}; the file is not whole.")
    return key.size


def _find(source: BinaryIO, path: str) -> _Key:
    size = source.seek(0, os.SEEK_END)
    data = _piece(source, _key_list(source, size, path), size)
    names = []
    for key in _keys(data):
        if key.name == KEY:
            return key
        names.append(key.name[:40])
    there = f"it holds {', '.join(names[:8])}" if names else "it holds nothing"
    raise BadInputError(f"{path}: there is no {KEY} in it, so art did not write it; {there}.")


def _key_list(source: BinaryIO, size: int, path: str) -> tuple[int, int]:
    """Return where the list of the file's keys starts and ends."""
    head = _piece(source, (0, _HEADER), size)
    if head[:4] != b"root":
        raise BadInputError(f"{path}: this is not a ROOT file.")
    version, begin = struct.unpack_from(">ii", head, 4)
    form = ">q8xiii" if version >= _BIG_FILE else ">i4xiii"
    end, _free_bytes, _free_count, name_length = struct.unpack_from(form, head, 12)
    if not 0 < begin < end <= size:
        raise BadInputError(
            f"{path}: its header tells of {end:,} bytes and it has {size:,}; the file is not whole."
        )
    folder = _piece(source, (begin + name_length, begin + name_length + 42), size)
    (folder_version,) = struct.unpack_from(">h", folder, 0)
    (length,) = struct.unpack_from(">i", folder, 10)
    if folder_version > _BIG_KEY:
        (start,) = struct.unpack_from(">q", folder, 34)
    else:
        (start,) = struct.unpack_from(">i", folder, 26)
    if not 0 < length <= _LARGEST_KEY_LIST:
        raise BadInputError(
            f"{path}: the list of its keys has {length:,} bytes; "
            f"1 to {_LARGEST_KEY_LIST:,} can be read."
        )
    return start, start + length


def _keys(data: bytes) -> Iterator[_Key]:
    """Yield the keys of a list. It begins with a key of its own, then comes their number."""
    (own_length,) = struct.unpack_from(">h", data, 14)
    (count,) = struct.unpack_from(">i", data, own_length)
    place = own_length + 4
    for _ in range(count):
        stored, version, size, _, key_length = struct.unpack_from(">ihiih", data, place)
        if version > _BIG_KEY:
            (start,) = struct.unpack_from(">q", data, place + 18)
            texts = place + 34
        else:
            (start,) = struct.unpack_from(">i", data, place + 18)
            texts = place + 26
        _class_name, texts = _text(data, texts)
        name, _ = _text(data, texts)
        if key_length <= 0 or size < 0:
            raise IndexError
        yield _Key(name, start + key_length, stored - key_length, size)
        place += key_length


def _text(data: bytes, place: int) -> tuple[str, int]:
    length = data[place]
    place += 1
    if length == 255:  # noqa: PLR2004 - longer ones have their length in four bytes
        (length,) = struct.unpack_from(">i", data, place)
        place += 4
    if length < 0 or place + length > len(data):
        raise IndexError
    return data[place : place + length].decode(), place + length


def _piece(source: BinaryIO, place: tuple[int, int], size: int) -> bytes:
    start, end = place
    if not 0 <= start <= end <= size:
        raise IndexError
    source.seek(start)
    return source.read(end - start)
