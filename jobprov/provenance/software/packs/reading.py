"""Reads packs without git, so that a bundle can make plain files from a blob alone.

Objects must be whole, as in canonical packs; a pack with differences, as git makes them, is refused.
The id of each object is computed from its bytes, and the trailer is checked.

Source: gitformat-pack(5).
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.object_form import (
    KINDS,
    TreeEntry,
    object_id,
    parse_commit,
    walk_tree,
)
from jobprov.provenance.software.packs.form import MAX_STORED, PACK_MAGIC, PACK_VERSION, ZLIB_HEADER

_CHUNK = 1 << 16
_TRAILER_BYTES = 20
_BLOCK_HEADER = 5  # RFC 1951, 3.2.4: kind, length, its complement
_ONE_STORED_BLOCK = ZLIB_HEADER + b"\x01"
MAX_UNPACKED_BYTES = 4 << 30


@dataclass(frozen=True)
class PackedObject:
    """One object of a pack; `offset` is where it begins, or -1 if it was read in another way."""

    oid: str
    kind: str
    content: bytes
    offset: int = -1


@dataclass(frozen=True)
class TreeFile:
    """One file of a commit.

    Attributes:
        path: relative; bytes that are not UTF-8 are surrogates.
        mode: git's: 100644, 100755, 120000 for a link, 160000 for a submodule.
        content: for a link its target, for a submodule its commit id.
        offset: where its object begins in the pack, for `object_at`; -1 for a submodule.
    """

    path: str
    mode: str
    content: bytes
    offset: int = -1

    @property
    def mode_bits(self) -> int:
        """The mode as a number."""
        return int(self.mode, 8)


class DifferencesError(SoftwareError):
    """A pack holds objects as differences to others, which only git can read."""


def iterate_objects(
    pack: bytes | memoryview, *, max_bytes: int = MAX_UNPACKED_BYTES
) -> Iterator[PackedObject]:
    """Yield every object of a pack, in order; `max_bytes` limits their unpacked size together.

    Raises:
        SoftwareError: it is not a pack, is damaged, too large, or has differences. Objects before
            the fault have been yielded by then.
    """
    data = memoryview(pack)
    _check_ends(data)
    at = 12
    for _ in range(int.from_bytes(data[8:12], "big")):
        start = at
        kind, size, at = _entry_header(data, at)
        max_bytes -= size
        if max_bytes < 0:
            raise SoftwareError(
                "A git pack unpacks to more bytes than are read: it is too large or damaged."
            )
        content, at = _inflate(data, at, size)
        yield PackedObject(object_id(kind, content), kind, content, start)
    if at != len(data) - _TRAILER_BYTES:
        raise SoftwareError("A git pack holds more bytes than its objects: it is damaged.")


def object_at(pack: bytes | memoryview, offset: int) -> bytes:
    """Return the content of the object at this offset of a pack that was checked before.

    Raises:
        SoftwareError: no object begins there.
    """
    data = memoryview(pack)
    place = stored_at(data, offset)
    if place is not None:
        return bytes(data[slice(*place)])
    _kind, size, at = _entry_header(data, offset)
    return _inflate(data, at, size)[0]


def stored_at(pack: bytes | memoryview, offset: int) -> tuple[int, int] | None:
    """Return where an object's content is in the pack (start, end), given the object's offset.

    Return None if the content is compressed or in several blocks.

    Raises:
        SoftwareError: no object begins there.
    """
    data = memoryview(pack)
    _kind, size, at = _entry_header(data, offset)
    start = at + len(ZLIB_HEADER) + _BLOCK_HEADER
    if size <= MAX_STORED and data[at : at + 3] == _ONE_STORED_BLOCK and start + size <= len(data):
        return start, start + size  # most files of a canonical pack
    return None


def tree_files(pack: bytes | memoryview, commit: str) -> Iterator[TreeFile]:
    """Yield the files, links and submodules of a commit or tree, in the byte order of their paths.

    The content of only one file is in memory at a time.

    Raises:
        SoftwareError: before the first file, if the pack is damaged or lacks an object of the
            commit.
    """
    objects = PackObjects(pack)
    entries = objects.entries_of(commit)
    entries.sort(key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))
    # All are looked up before the first one is yielded, so that an incomplete pack yields nothing
    for entry in entries:
        if not entry.is_gitlink:
            objects.find(entry.oid, entry.path)
    for entry in entries:
        if entry.is_gitlink:
            yield TreeFile(entry.path, entry.mode, entry.oid.encode())
        else:
            offset = objects.find(entry.oid, entry.path).offset
            yield TreeFile(entry.path, entry.mode, object_at(pack, offset), offset)


class PackObjects:
    """The objects of a pack; blobs without their content, which may be large.

    Attributes:
        by_oid: all of them, in the order of the pack.
    """

    def __init__(self, pack: bytes | memoryview) -> None:
        self.by_oid: dict[str, PackedObject] = {}
        for packed in iterate_objects(pack):
            if packed.kind == "blob":
                self.by_oid[packed.oid] = replace(packed, content=b"")
            else:
                self.by_oid[packed.oid] = packed

    def entries_of(self, root: str) -> list[TreeEntry]:
        """Return the files, links and submodules of a commit or tree.

        Raises:
            SoftwareError: the pack lacks one of its trees.
        """
        found = self.find(root, "the commit")
        tree = parse_commit(found.content).tree if found.kind == "commit" else root
        return [entry for entry in walk_tree(self._content, tree) if not entry.is_tree]

    def find(self, oid: str, path: str) -> PackedObject:
        """Return an object, which has this path in a commit.

        Raises:
            SoftwareError: the pack lacks it.
        """
        if oid not in self.by_oid:
            raise SoftwareError(f"The pack lacks object {oid} ({path or 'the root tree'}).")
        return self.by_oid[oid]

    def _content(self, oid: str, path: str) -> bytes:
        return self.find(oid, path).content


def _check_ends(data: memoryview) -> None:
    if (
        len(data) < 12 + _TRAILER_BYTES
        or data[:4] != PACK_MAGIC
        or int.from_bytes(data[4:8], "big") != PACK_VERSION
    ):
        raise SoftwareError("These bytes are not a git pack of version 2.")
    computed = hashlib.sha1(data[:-_TRAILER_BYTES], usedforsecurity=False).digest()
    if computed != data[-_TRAILER_BYTES:]:
        raise SoftwareError(
            "The SHA-1 at the end of a git pack does not fit its bytes: it is damaged."
        )


def _entry_header(data: memoryview, at: int) -> tuple[str, int, int]:
    """Type and size of the object at a place, and the place after them."""
    end = len(data) - _TRAILER_BYTES
    if at >= end:
        raise SoftwareError("A git pack ends before its last object: it is damaged.")
    byte = data[at]
    number, size, shift = byte >> 4 & 7, byte & 0x0F, 4
    while byte & 0x80:
        at += 1
        if at >= end:
            raise SoftwareError("A git pack ends within an object's header: it is damaged.")
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift += 7
    if not 1 <= number <= len(KINDS):
        raise DifferencesError(
            f"A git pack holds an object of type {number}, a difference: only whole ones are read."
        )
    return KINDS[number - 1], size, at + 1


def _inflate(data: memoryview, at: int, size: int) -> tuple[bytes, int]:
    """The content at a place, and the place after it.

    Never more than the announced size is unpacked.
    """
    inflater, parts, left = zlib.decompressobj(), [], size
    try:
        while not inflater.eof:
            # The compressed length is not known: read a little more than the content may take
            chunk = inflater.unconsumed_tail or data[at : at + min(_CHUNK, left + 32)]
            if not inflater.unconsumed_tail:
                at += len(chunk)
            if not chunk:
                raise SoftwareError("A git pack ends within an object: it is damaged.")
            part = inflater.decompress(chunk, left + 1)
            left -= len(part)
            if left < 0:
                raise SoftwareError(
                    "A git pack holds an object longer than it says: it is damaged."
                )
            parts.append(part)
    except zlib.error as error:
        raise SoftwareError(
            f"A git pack holds an object that cannot be unpacked: {error}."
        ) from error
    if left:
        raise SoftwareError("A git pack holds an object shorter than it says: it is damaged.")
    return b"".join(parts), at - len(inflater.unused_data)
