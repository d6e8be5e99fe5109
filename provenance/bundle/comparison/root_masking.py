"""root-masked-1: the bytes of a ROOT file with the dates of its keys and folders and its ids set to zero.

Two writings of the same content by the same program differ in nothing else. Standard library alone,
Python 3.6: part of a bundle's verify.py, and short enough for a recorder to copy.
"""

# ruff: noqa: UP006, UP031, UP035, PTH123, PLR2004 - Python 3.6, and read by people who have no
# linter
import re
import struct
from typing import Set, Tuple

MOST_FOLDERS = 500  # of one file; what lies in more keeps its dates
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")


class UndecidedError(Exception):
    """The comparison cannot be made here; the message says what it would take."""


class DamagedError(UndecidedError):
    """The file is no whole ROOT file."""


def mask_root(path: str) -> bytearray:
    """The bytes of a ROOT file with dates and ids set to zero.

    In memory once, as outputs may have gigabytes.

    Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).

    Raises:
        DamagedError: this is no whole ROOT file.
    """
    with open(path, "rb") as file:
        data = bytearray(file.seek(0, 2))
        file.seek(0)
        file.readinto(data)
    check_header(path, bytes(data[:64]), len(data))
    try:
        _mask(data)
    except (struct.error, IndexError) as error:
        raise DamagedError("%s is cut short: %s" % (path, error)) from error
    return data


def check_header(path: str, head: bytes, size: int) -> None:
    """Check the first 64 bytes of a file of `size` bytes.

    Raises:
        DamagedError: this is no whole ROOT file.
    """
    if head[:4] != b"root" or len(head) < 64:
        raise DamagedError("%s is no ROOT file" % path)
    version, begin = struct.unpack_from(">ii", head, 4)
    (end,) = struct.unpack_from(">q" if version >= 1000000 else ">i", head, 12)
    if not 0 < begin < end <= size:
        raise DamagedError("%s is cut short: %d bytes of %d" % (path, size, end))


def _mask(data: bytearray) -> None:
    version, begin = struct.unpack_from(">ii", data, 4)
    is_big = version >= 1000000
    (name_length,) = struct.unpack_from(">i", data, 36 if is_big else 28)
    _blank(data, 57 if is_big else 45, 18)
    # records cannot be walked one by one: writers leave holes without a length; but every key tells
    # its own place
    for found in _CLASS_NAME.finditer(data):  # what is blanked lies before what was found
        for name_at, form in ((26, ">i"), (34, ">q")):
            at = found.start() - name_at
            if at >= begin and struct.unpack_from(form, data, at + 18)[0] == at:
                _blank(data, at + 10, 4)
    _mask_folder(data, begin + name_length, set())


def _mask_key(data: bytearray, at: int) -> Tuple[int, int, bytes]:
    """Blank a key's date; (length of the key, where its object is, class name)."""
    version, head = (
        struct.unpack_from(">h", data, at + 4)[0],
        struct.unpack_from(">h", data, at + 14)[0],
    )
    is_big = version > 1000  # keys past 2 GB have 8-byte offsets
    (place,) = struct.unpack_from(">q" if is_big else ">i", data, at + 18)
    name_at = at + (34 if is_big else 26)
    _blank(data, at + 10, 4)
    return head, place, bytes(data[name_at + 1 : name_at + 1 + data[name_at]])


def _mask_folder(data: bytearray, at: int, seen: Set[int]) -> None:
    """Blank the dates and id of a folder and of the keys in its list, and so on below it.

    `seen` holds the folders that are done.
    """
    seen.add(at)
    is_big = struct.unpack_from(">h", data, at)[0] > 1000
    (list_at,) = struct.unpack_from(">q" if is_big else ">i", data, at + (34 if is_big else 26))
    _blank(data, at + 2, 8)
    _blank(data, at + (42 if is_big else 30), 18)
    if not 0 < list_at < len(data) or len(seen) > MOST_FOLDERS:
        return
    head, _place, _kind = _mask_key(data, list_at)
    (count,) = struct.unpack_from(">i", data, list_at + head)
    key_at = list_at + head + 4
    for _number in range(count):
        length, place, kind = _mask_key(data, key_at)
        if length < 1:
            raise IndexError("a key without a length")
        if kind.startswith(b"TDirectory"):
            below = place + _mask_key(data, place)[0]
            if below not in seen:
                _mask_folder(data, below, seen)
        key_at += length


def _blank(data: bytearray, at: int, length: int) -> None:
    stop = min(at + length, len(data))
    if at < stop:
        data[at:stop] = bytes(stop - at)
