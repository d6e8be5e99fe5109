"""Writes what git keeps beside a pack: a copy of both is a repository, made without git.

The pack's index, the index of a work tree, and the commits at which the history in the pack ends.

Source: gitformat-pack(5) for the pack's index, version 2; gitformat-index(5), version 2.
"""

import hashlib
import stat
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from jobprov.provenance.software.object_form import TreeEntry, parse_commit
from jobprov.provenance.software.packs.reading import PackObjects

_TRAILER_BYTES = 20
_LARGE = 1 << 31
_ASSUME_VALID = 0x8000
_LONGEST_NAME = 0xFFF
_BLANK_STATUS = bytes(24)


@dataclass(frozen=True)
class GitFiles:
    """The files of a repository that follow from its pack.

    Attributes:
        pack_index: `objects/pack/*.idx`.
        index: of the work tree: the commit's tree. Git looks into each file anew.
        shallow: the ids of commits whose parents are not in the pack.
        named: ids of the commits and tag objects in the pack.
    """

    pack_index: bytes
    index: bytes
    shallow: tuple[str, ...]
    named: frozenset[str]


def git_files(pack: bytes, commit: str, ran: str, *, hides: Callable[[str], bool]) -> GitFiles:
    """Return the files of a repository whose work tree is at a commit.

    Args:
        pack: a canonical one.
        commit: what HEAD is.
        ran: the tree that is laid out, or a commit.
        hides: whether git shall call a file unchanged although the tree that ran has another one.

    Raises:
        SoftwareError: the pack is damaged or lacks an object.
    """
    objects = PackObjects(pack)
    committed = {entry.path: entry for entry in objects.entries_of(commit)}
    laid_out = {entry.path: entry for entry in objects.entries_of(ran)}
    hidden = set()
    for path, entry in committed.items():
        if laid_out.get(path) != entry and hides(path):
            hidden.add(path)
    return GitFiles(
        pack_index=_pack_index(_places_in(pack, objects), pack[-_TRAILER_BYTES:]),
        index=_index(committed, hidden),
        shallow=tuple(sorted(_commits_without_parents(objects))),
        named=_named_objects(objects),
    )


def _commits_without_parents(objects: PackObjects) -> list[str]:
    """Return the ids of the commits that have a parent outside of the pack."""
    oids = []
    for oid, packed in objects.by_oid.items():
        if packed.kind != "commit":
            continue
        if not objects.by_oid.keys() >= set(parse_commit(packed.content).parents):
            oids.append(oid)
    return oids


def _named_objects(objects: PackObjects) -> frozenset[str]:
    """Return the ids of the commits and tag objects."""
    kinds = ("commit", "tag")
    return frozenset(oid for oid, packed in objects.by_oid.items() if packed.kind in kinds)


class _Place(NamedTuple):
    """Where an object begins in a pack, and the CRC-32 of its bytes there."""

    oid: str
    offset: int
    crc: int


def _places_in(pack: bytes, objects: PackObjects) -> list[_Place]:
    starts = [packed.offset for packed in objects.by_oid.values()]
    ends = [*starts[1:], len(pack) - _TRAILER_BYTES]
    places = []
    for oid, start, end in zip(objects.by_oid, starts, ends, strict=True):
        places.append(_Place(oid, start, zlib.crc32(pack[start:end])))
    return places


def _pack_index(places: Sequence[_Place], pack_checksum: bytes) -> bytes:
    """Return the index of a pack: tables of ids, CRC-32 and places, in the order of the ids."""
    oids, checksums, offsets, large_offsets = bytearray(), bytearray(), bytearray(), bytearray()
    counts = [0] * 256
    for oid, offset, crc in sorted(places):
        oids += bytes.fromhex(oid)
        counts[oids[-20]] += 1
        checksums += crc.to_bytes(4, "big")
        if offset < _LARGE:
            offsets += offset.to_bytes(4, "big")
        else:
            # The place is in a table of its own, and its number there in this one
            offsets += (_LARGE | len(large_offsets) // 8).to_bytes(4, "big")
            large_offsets += offset.to_bytes(8, "big")
    # For each first byte of an id: how many ids begin with it or a smaller one
    fan_out = bytearray()
    for total in accumulate(counts):
        fan_out += total.to_bytes(4, "big")
    head = b"\xfftOc\x00\x00\x00\x02"
    body = head + fan_out + oids + checksums + offsets + large_offsets + pack_checksum
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _index(files: Mapping[str, TreeEntry], hidden: Collection[str]) -> bytes:
    """Return an index without the files' times and sizes: git compares each file by its content."""
    path_of_name = {path.encode("utf-8", "surrogateescape"): path for path in files}
    parts = [b"DIRC\x00\x00\x00\x02", len(files).to_bytes(4, "big")]
    for name, path in sorted(path_of_name.items()):
        file = files[path]
        flags = min(len(name), _LONGEST_NAME)
        if path in hidden:
            flags |= _ASSUME_VALID
        entry = b"".join(
            [
                _BLANK_STATUS,
                _canonical_mode(file.mode).to_bytes(4, "big"),
                bytes(12),
                bytes.fromhex(file.oid),
                flags.to_bytes(2, "big"),
                name,
            ]
        )
        # One to eight zeros, so that the next entry begins at a multiple of eight
        parts.append(entry + bytes(8 - len(entry) % 8))
    index = b"".join(parts)
    return index + hashlib.sha1(index, usedforsecurity=False).digest()


def _canonical_mode(mode: str) -> int:
    bits = int(mode, 8)
    if stat.S_ISREG(bits):  # old repositories have 100664
        return 0o100755 if bits & stat.S_IXUSR else 0o100644
    return bits
