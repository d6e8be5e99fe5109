"""What a ROOT file holds apart from the moments of its writing.

A digest that a rerun of the job can equal.

The digest `root-masked-1`: SHA-256 of the file's bytes with the dates of keys and folders and the
ids set to zero. The rerun bundle's comparison has the same rule (`provenance.bundle.root_masking`),
and a test holds both equal. The file is read twice, a piece at a time: first to find what is
blanked, then to digest; a few MB of it are held at a time.

Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).
"""

import bisect
import hashlib
import os
import re
import struct
from array import array
from typing import Any, Dict, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.hashing import Clock

_MOST_FOLDERS = 500  # of one file; what lies in more keeps its dates
_MOST_LISTED = 200 * 1000  # keys in the lists of folders; a file with more gets no digest
_HEADER_BYTES = 64
_BIG_FILE = 1000000  # added to the version of a file with 8-byte places
_BIG_KEY = 1000
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")
_PIECE = 1024 * 1024
_BLOCK = 65536  # of places that share all bytes but two
_AROUND = 400  # bytes that are read before and behind a block
_DATE_BYTES = 4
_PAGE_BITS = 12
# (bytes from the beginning of a key to its own place, how that is written, bytes to its class name)
_KEY_FORMS = ((18, ">i", 26), (22, ">q", 34))


def root_digest(path: str, clock: Clock) -> Optional[str]:
    """Return `root-masked-1:` and 64 hex digits, or None if the file is not a whole ROOT file.

    Raises OSError, and what `clock.check()` raises at the end of the time for hashing.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if not _is_whole(stream.read(_HEADER_BYTES), size):
            return None
        blanks = _Blanks(stream.fileno(), size)
        try:
            blanks.find(clock)
        except (struct.error, IndexError):
            return None
        return "root-masked-1:" + blanks.digest(clock)


def _is_whole(head: bytes, size: int) -> bool:
    if head[:4] != b"root" or len(head) < _HEADER_BYTES:
        return False
    version, begin = struct.unpack_from(">ii", head, 4)
    (end,) = struct.unpack_from(">q" if version >= _BIG_FILE else ">i", head, 12)
    return bool(0 < begin < end <= size)


class _Blanks:
    """The places of one file that are set to zero; the file itself is only read."""

    def __init__(self, handle: int, size: int) -> None:
        self._handle, self._size = handle, size
        self._dates: Any = array("q")  # where the four bytes of a key's date begin
        self._others: Dict[int, List[Tuple[int, int]]] = {}  # page -> [(first, past the last)]
        self._count = 0

    def find(self, clock: Clock) -> None:
        """Find all of them; raises struct.error and IndexError where the file is damaged."""
        head = self._read(0, _HEADER_BYTES)
        version, begin = struct.unpack_from(">ii", head, 4)
        is_big = version >= _BIG_FILE
        (name_length,) = struct.unpack_from(">i", head, 36 if is_big else 28)
        self._blank(57 if is_big else 45, 18)
        self._find_keys(begin, clock)
        self._dates = array("q", sorted(self._dates))
        self._find_in_folders(begin + name_length, clock)

    def digest(self, clock: Clock) -> str:
        """Return the SHA-256 of the file with all of them set to zero."""
        sha256, at = hashlib.sha256(), 0
        while at < self._size:
            clock.check()
            data = self._read(at, min(_PIECE, self._size - at))
            if not data:
                raise OSError("the file became shorter while it was read")
            sha256.update(data)
            at += len(data)
        return sha256.hexdigest()

    def _read(self, at: int, count: int) -> bytearray:
        """Return bytes of the file, as far as there are any, with known blanks set to zero."""
        if at < 0:
            raise IndexError("a place before the file")
        data = bytearray(os.pread(self._handle, count, at)) if count > 0 else bytearray()
        stop = at + len(data)
        for index in range(bisect.bisect_left(self._dates, at - _DATE_BYTES + 1), len(self._dates)):
            first = self._dates[index]
            if first >= stop:
                break
            _zero(data, first - at, first - at + _DATE_BYTES)
        if self._others:
            for page in range(at >> _PAGE_BITS, (max(at, stop - 1) >> _PAGE_BITS) + 1):
                for first, last in self._others.get(page, ()):
                    _zero(data, first - at, last - at)
        return data

    def _blank(self, at: int, length: int) -> None:
        stop = min(at + length, self._size)
        if at >= stop:
            return
        self._count += 1
        if self._count > _MOST_LISTED:
            raise IndexError("more keys than are looked at")
        for page in range(at >> _PAGE_BITS, (stop - 1 >> _PAGE_BITS) + 1):
            self._others.setdefault(page, []).append((at, stop))

    def _find_keys(self, begin: int, clock: Clock) -> None:
        """Find the date of every key.

        Holes make it impossible to walk from one to the next, but each names its place.

        Places in one block of 64 KiB share all bytes but the last two: a plain search for those
        finds every key.
        """
        for block in range(begin >> 16, (self._size >> 16) + 1):
            clock.check()
            self._find_keys_of_block(begin, block)

    def _find_keys_of_block(self, begin: int, block: int) -> None:
        start = max(0, (block << 16) - _AROUND)
        data = bytearray(os.pread(self._handle, _BLOCK + 2 * _AROUND, start))
        shared, last = struct.pack(">H", block & 0xFFFF), (block + 1 << 16) + 22 - start
        hit = data.find(shared, (block << 16) + 18 - start, last)
        while hit >= 0:
            for before, form, name in _KEY_FORMS:
                at = hit - before
                if at >= 0 and start + at >= begin and start + at >> 16 == block:
                    self._try_key(data, at, start, form, name)
            hit = data.find(shared, hit + 1, last)

    def _try_key(self, data: bytearray, at: int, start: int, form: str, name: int) -> None:
        """Blank the date of a key at a place, if one is there: in the piece, and for later."""
        is_inside = at + name + 2 < len(data)
        names_place = is_inside and struct.unpack_from(form, data, at + 18)[0] == start + at
        if names_place and _is_class_name(data, at + name):
            _zero(data, at + 10, at + 10 + _DATE_BYTES)
            self._dates.append(start + at + 10)

    def _find_in_folders(self, first: int, clock: Clock) -> None:
        """Find the dates and ids of a folder, of the keys in its list, and so on below it."""
        seen: Set[int] = set()
        waiting = [first]
        while waiting:
            clock.check()
            at = waiting.pop()
            if at not in seen:
                waiting.extend(reversed(self._find_in_folder(at, seen)))

    def _find_in_folder(self, at: int, seen: Set[int]) -> List[int]:
        """Find those of one folder; return where the folders of its list lie."""
        seen.add(at)
        head = self._read(at, 64)
        is_big = struct.unpack_from(">h", head, 0)[0] > _BIG_KEY
        (list_at,) = struct.unpack_from(">q" if is_big else ">i", head, 34 if is_big else 26)
        self._blank(at + 2, 8)
        self._blank(at + (42 if is_big else 30), 18)
        if not 0 < list_at < self._size or len(seen) > _MOST_FOLDERS:
            return []
        length = self._find_key(list_at)[0]
        (count,) = struct.unpack_from(">i", self._read(list_at + length, 4), 0)
        key_at, below = list_at + length + 4, []
        for _ in range(count):
            length, place, kind = self._find_key(key_at)
            if length < 1:
                raise IndexError("a key without a length")
            if kind.startswith(b"TDirectory"):
                below.append(place + self._find_key(place)[0])
            key_at += length
        return below

    def _find_key(self, at: int) -> Tuple[int, int, bytes]:
        """Find a key's date; return (length of the key, where its object is, class name)."""
        data = self._read(at, 300)
        version, length = (
            struct.unpack_from(">h", data, 4)[0],
            struct.unpack_from(">h", data, 14)[0],
        )
        is_big = version > _BIG_KEY
        (place,) = struct.unpack_from(">q" if is_big else ">i", data, 18)
        name_at = 34 if is_big else 26
        self._blank(at + 10, _DATE_BYTES)
        return length, place, bytes(data[name_at + 1 : name_at + 1 + data[name_at]])


def _is_class_name(data: bytearray, at: int) -> bool:
    """Tell whether a search for class names, which goes on behind each hit, hits a place."""
    if not _CLASS_NAME.match(data, at):
        return False
    begin = at
    while begin > 0 and (
        _CLASS_NAME.match(data, max(0, begin - 1)) or _CLASS_NAME.match(data, max(0, begin - 2))
    ):
        begin -= 1  # none reaches into where the search is repeated from
    return any(hit.start() == at for hit in _CLASS_NAME.finditer(data, begin, at + 3))


def _zero(data: bytearray, first: int, last: int) -> None:
    first, last = max(0, first), min(last, len(data))
    if first < last:
        data[first:last] = bytes(last - first)
