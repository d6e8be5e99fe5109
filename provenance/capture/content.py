"""What a ROOT file holds but for the moments of its writing.

A digest that a rerun of the job can equal.

The digest `root-masked-1`: SHA-256 of the file's bytes with the dates of keys and folders and the
ids set to zero. The rerun bundle's comparison has the same rule (`provenance.bundle.root_masking`)
and a test holds both equal. The file is read twice, a piece at a time: first to find what is
blanked, then to digest; of a file of any size some MB are held.

Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).
"""

import bisect
import hashlib
import os
import re
import struct
from array import array

_MOST_FOLDERS = 500  # of one file; what lies in more keeps its dates
_MOST_LISTED = 200 * 1000  # keys in the lists of folders; of a file with more no digest is made
_HEADER_BYTES = 64
_BIG_FILE = 1000000  # added to the version of a file with 8-byte places
_BIG_KEY = 1000
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")
_PIECE = 1024 * 1024
_BLOCK, _AROUND = (
    65536,
    400,
)  # of places that share all bytes but two; and what is read before and behind
_DATE_BYTES = 4
_PAGE_BITS = 12


def root_digest(path, clock):
    """Return `root-masked-1:` and 64 hex digits, or None for what is no whole ROOT file.

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


def _is_whole(head, size):
    if head[:4] != b"root" or len(head) < _HEADER_BYTES:
        return False
    version, begin = struct.unpack_from(">ii", head, 4)
    (end,) = struct.unpack_from(">q" if version >= _BIG_FILE else ">i", head, 12)
    return 0 < begin < end <= size


class _Blanks:
    """The places of one file that are set to zero; the file itself is only read."""

    def __init__(self, handle, size):
        self._handle, self._size = handle, size
        self._dates = array("q")  # of keys, found one after the other; the place of four bytes each
        self._others = {}  # page -> [(first, past the last)] of what folders blank
        self._count = 0

    def find(self, clock):
        """Find all of them; raises struct.error and IndexError where the file is damaged."""
        head = self._read(0, _HEADER_BYTES)
        version, begin = struct.unpack_from(">ii", head, 4)
        is_big = version >= _BIG_FILE
        (name_length,) = struct.unpack_from(">i", head, 36 if is_big else 28)
        self._blank(57 if is_big else 45, 18)
        self._find_keys(begin, clock)
        self._dates = array("q", sorted(self._dates))
        self._find_in_folders(begin + name_length, clock)

    def digest(self, clock):
        """Return the SHA-256 of the file with all of them set to zero."""
        seen, at = hashlib.sha256(), 0
        while at < self._size:
            clock.check()
            data = self._read(at, min(_PIECE, self._size - at))
            if not data:
                raise OSError("the file became shorter while it was read")
            seen.update(data)
            at += len(data)
        return seen.hexdigest()

    def _read(self, at, count):
        """Return bytes of the file as far as there are any, with what is known to be blank set to zero."""
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

    def _blank(self, at, length):
        stop = min(at + length, self._size)
        if at < stop:
            self._count += 1
            if self._count > _MOST_LISTED:
                raise IndexError("more keys than are looked at")
            for page in range(at >> _PAGE_BITS, (stop - 1 >> _PAGE_BITS) + 1):
                self._others.setdefault(page, []).append((at, stop))

    def _find_keys(self, begin, clock):
        """Find the date of every key: there is no walking from one to the next past holes, but each tells its own place.

        Places in one block of 64 KiB share all bytes but the last two, so that a plain search for
        those finds every key.
        """
        for block in range(begin >> 16, (self._size >> 16) + 1):
            clock.check()
            start = max(0, (block << 16) - _AROUND)
            data = bytearray(os.pread(self._handle, _BLOCK + 2 * _AROUND, start))
            shared, last = struct.pack(">H", block & 0xFFFF), (block + 1 << 16) + 22 - start
            found = data.find(shared, (block << 16) + 18 - start, last)
            while found >= 0:
                for before, form, name in ((18, ">i", 26), (22, ">q", 34)):
                    at = found - before
                    if at >= 0 and start + at >= begin and start + at >> 16 == block:
                        self._try_key(data, at, start, form, name)
                found = data.find(shared, found + 1, last)

    def _try_key(self, data, at, start, form, name):
        """Blank the date of a key at a place, if one is there: in the piece, and for later."""
        is_inside = at + name + 2 < len(data)
        tells_place = is_inside and struct.unpack_from(form, data, at + 18)[0] == start + at
        if tells_place and _is_found(data, at + name):
            _zero(data, at + 10, at + 10 + _DATE_BYTES)
            self._dates.append(start + at + 10)

    def _find_in_folders(self, first, clock):
        """Find the dates and ids of a folder, of the keys in its list, and so on below it."""
        seen, waiting = set(), [first]
        while waiting:
            clock.check()
            at = waiting.pop()
            if at not in seen:
                waiting.extend(reversed(self._find_in_folder(at, seen)))

    def _find_in_folder(self, at, seen):
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

    def _find_key(self, at):
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


def _is_found(data, at):
    """Tell whether a search for class names, which goes on behind each that it finds, finds one at a place."""
    if not _CLASS_NAME.match(data, at):
        return False
    begin = at
    while begin > 0 and (
        _CLASS_NAME.match(data, max(0, begin - 1)) or _CLASS_NAME.match(data, max(0, begin - 2))
    ):
        begin -= 1  # none reaches into where the search is repeated from
    return any(found.start() == at for found in _CLASS_NAME.finditer(data, begin, at + 3))


def _zero(data, first, last):
    first, last = max(0, first), min(last, len(data))
    if first < last:
        data[first:last] = bytes(last - first)
