"""root-masked-1: the bytes of a ROOT file with the dates of its keys and folders and all ids zeroed.

Two files of the same content that one program wrote differ in nothing else.

Part of a bundle's verify.py: Python 3.6, standard library only. It is short, so that programs that
record outputs can copy it.

Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).
"""

import re
import struct
from typing import NamedTuple, Set

HEADER_BYTES = 64
MOST_FOLDERS = 500  # of one file; dates in further ones are kept
_BIG_FILE = 1000000  # added to the version of a file whose header has places of 8 bytes
_BIG_RECORD = 1000  # added to the version of a key or folder that has places of 8 bytes
_DATE_BYTES = 4
_ID_BYTES = 18  # a version of two bytes, and the UUID
# The length of a class name, and how it begins
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")


class UndecidedError(Exception):
    """The comparison cannot be made here. The message says what is missing."""


class DamagedError(UndecidedError):
    """The file is not a whole ROOT file."""


class _Key(NamedTuple):
    """A key: the header of each record in the file.

    Attributes:
        length: of the key itself, in bytes; its object follows.
        place: where the record that it describes begins.
        class_name: of the object.
    """

    length: int
    place: int
    class_name: bytes


def mask_root(path: str) -> bytearray:
    """Return the bytes of a ROOT file with dates and ids set to zero.

    They are in memory once only, because outputs may have gigabytes.

    Raises:
        DamagedError: this is not a whole ROOT file.
    """
    with open(path, "rb") as file:
        data = bytearray(file.seek(0, 2))
        file.seek(0)
        file.readinto(data)
    check_header(path, bytes(data[:HEADER_BYTES]), len(data))
    try:
        _mask_file(data)
    except (struct.error, IndexError) as error:
        raise DamagedError(f"{path} is cut short: {error}") from error
    return data


def check_header(path: str, header: bytes, size: int) -> None:
    """Check the first 64 bytes of a file of `size` bytes.

    Raises:
        DamagedError: this is not a whole ROOT file.
    """
    if header[:4] != b"root" or len(header) < HEADER_BYTES:
        raise DamagedError(f"{path} is not a ROOT file")
    version, begin = struct.unpack_from(">ii", header, 4)
    (end,) = struct.unpack_from(">q" if version >= _BIG_FILE else ">i", header, 12)
    if not 0 < begin < end <= size:
        raise DamagedError(f"{path} is cut short: {size} bytes of {end}")


def _mask_file(data: bytearray) -> None:
    version, begin = struct.unpack_from(">ii", data, 4)
    if version >= _BIG_FILE:
        name_length_at, id_at = 36, 57
    else:
        name_length_at, id_at = 28, 45
    _blank(data, id_at, _ID_BYTES)
    _mask_all_keys(data, begin)
    (name_length,) = struct.unpack_from(">i", data, name_length_at)
    _mask_folder(data, begin + name_length, set())


def _mask_all_keys(data: bytearray, begin: int) -> None:
    """Blank the date of every key, wherever it stands.

    Records cannot be walked one by one, because writers leave holes without a length. But every key
    holds its own place and the name of a class.
    """
    # Searching and writing at once is safe: a date stands before the name that was found
    for name in _CLASS_NAME.finditer(data):
        for name_at, form in ((26, ">i"), (34, ">q")):  # places of 4 and of 8 bytes
            key_at = name.start() - name_at
            if key_at >= begin and struct.unpack_from(form, data, key_at + 18)[0] == key_at:
                _blank(data, key_at + 10, _DATE_BYTES)


def _mask_folder(data: bytearray, at: int, done: Set[int]) -> None:
    """Blank the dates and the id of a folder, of the keys in its list, and of all folders below it.

    `done` holds the places of the folders that were masked before.
    """
    done.add(at)
    (version,) = struct.unpack_from(">h", data, at)
    if version > _BIG_RECORD:
        id_at = at + 42
        (list_at,) = struct.unpack_from(">q", data, at + 34)
    else:
        id_at = at + 30
        (list_at,) = struct.unpack_from(">i", data, at + 26)
    _blank(data, at + 2, 2 * _DATE_BYTES)  # made at, changed at
    _blank(data, id_at, _ID_BYTES)
    if not 0 < list_at < len(data) or len(done) > MOST_FOLDERS:
        return
    count_at = list_at + _mask_key(data, list_at).length
    (count,) = struct.unpack_from(">i", data, count_at)
    key_at = count_at + 4
    for _number in range(count):
        key = _mask_key(data, key_at)
        if key.length < 1:
            raise IndexError("a key without a length")
        if key.class_name.startswith(b"TDirectory"):
            folder_at = key.place + _mask_key(data, key.place).length
            if folder_at not in done:
                _mask_folder(data, folder_at, done)
        key_at += key.length


def _mask_key(data: bytearray, at: int) -> _Key:
    """Return the key that begins here, after its date was blanked."""
    (version,) = struct.unpack_from(">h", data, at + 4)
    (length,) = struct.unpack_from(">h", data, at + 14)
    if version > _BIG_RECORD:
        (place,) = struct.unpack_from(">q", data, at + 18)
        name_at = at + 34
    else:
        (place,) = struct.unpack_from(">i", data, at + 18)
        name_at = at + 26
    _blank(data, at + 10, _DATE_BYTES)
    name_length = data[name_at]
    class_name = bytes(data[name_at + 1 : name_at + 1 + name_length])
    return _Key(length, place, class_name)


def _blank(data: bytearray, at: int, length: int) -> None:
    stop = min(at + length, len(data))
    if at < stop:
        data[at:stop] = bytes(stop - at)
