"""What a ROOT file holds but for the moments of its writing: a digest that a rerun of the job can equal.

The digest `root-masked-1`: SHA-256 of the file's bytes with the dates of keys and folders and the ids set to zero. The rerun
bundle's comparison has the same rule (`provenance.bundle.root_masking`) and a test holds both equal. A file is held in memory
once, so that larger ones than 256 MB get no such digest.

Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).
"""

import hashlib
import os
import re
import struct

LARGEST_BYTES = 256 * 1000 * 1000
_MOST_FOLDERS = 500  # of one file; what lies in more keeps its dates
_HEADER_BYTES = 64
_BIG_FILE = 1000000  # added to the version of a file with 8-byte places
_BIG_KEY = 1000
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")
_PIECE = 1024 * 1024


def root_digest(path, clock):
    """Return `root-masked-1:` and 64 hex digits, or None for what is no whole ROOT file of at most 256 MB.

    Raises OSError, and what `clock.check()` raises at the end of the time for hashing.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > LARGEST_BYTES or not _is_whole(stream.read(_HEADER_BYTES), size):
            return None
        stream.seek(0)
        data = bytearray(size)
        if stream.readinto(data) != size:
            return None
    try:
        _mask(data, clock)
    except (struct.error, IndexError):
        return None
    seen = hashlib.sha256()
    whole = memoryview(data)
    for start in range(0, size, _PIECE):
        clock.check()
        seen.update(whole[start : start + _PIECE])
    return "root-masked-1:" + seen.hexdigest()


def _is_whole(head, size):
    if head[:4] != b"root" or len(head) < _HEADER_BYTES:
        return False
    version, begin = struct.unpack_from(">ii", head, 4)
    (end,) = struct.unpack_from(">q" if version >= _BIG_FILE else ">i", head, 12)
    return 0 < begin < end <= size


def _mask(data, clock):
    version, begin = struct.unpack_from(">ii", data, 4)
    is_big = version >= _BIG_FILE
    (name_length,) = struct.unpack_from(">i", data, 36 if is_big else 28)
    _blank(data, 57 if is_big else 45, 18)
    _mask_keys(data, begin, clock)
    _mask_folder(data, begin + name_length, set())


def _mask_keys(data, begin, clock):
    """Blank the date of every key: there is no walking from one to the next past holes, but each tells its own place."""
    place, big_place = struct.Struct(">i").unpack_from, struct.Struct(">q").unpack_from
    next_check = 0
    # what is blanked lies before the name that was found, so that the search goes on as over a copy
    for found in _CLASS_NAME.finditer(data):
        start = found.start()
        if start >= next_check:
            clock.check()
            next_check = start + _PIECE
        at = start - 26
        if at >= begin and place(data, at + 18)[0] == at:
            _blank(data, at + 10, 4)
        at = start - 34
        if at >= begin and big_place(data, at + 18)[0] == at:
            _blank(data, at + 10, 4)


def _mask_key(data, at):
    """Blank a key's date; return (length of the key, where its object is, class name)."""
    version, length = struct.unpack_from(">h", data, at + 4)[0], struct.unpack_from(">h", data, at + 14)[0]
    is_big = version > _BIG_KEY
    (place,) = struct.unpack_from(">q" if is_big else ">i", data, at + 18)
    name_at = at + (34 if is_big else 26)
    _blank(data, at + 10, 4)
    return length, place, bytes(data[name_at + 1 : name_at + 1 + data[name_at]])


def _mask_folder(data, at, seen):
    """Blank the dates and id of a folder and of the keys in its list, and so on below it; `seen` holds the folders that are done."""
    seen.add(at)
    is_big = struct.unpack_from(">h", data, at)[0] > _BIG_KEY
    (list_at,) = struct.unpack_from(">q" if is_big else ">i", data, at + (34 if is_big else 26))
    _blank(data, at + 2, 8)
    _blank(data, at + (42 if is_big else 30), 18)
    if not 0 < list_at < len(data) or len(seen) > _MOST_FOLDERS:
        return
    head = _mask_key(data, list_at)[0]
    (count,) = struct.unpack_from(">i", data, list_at + head)
    key_at = list_at + head + 4
    for _ in range(count):
        length, place, kind = _mask_key(data, key_at)
        if length < 1:
            raise IndexError("a key without a length")
        if kind.startswith(b"TDirectory"):
            below = place + _mask_key(data, place)[0]
            if below not in seen:
                _mask_folder(data, below, seen)
        key_at += length


def _blank(data, at, length):
    stop = min(at + length, len(data))
    if at < stop:
        data[at:stop] = bytes(stop - at)
