"""The tar of a plan: USTAR, streamed, in bounded memory. FROZEN: a golden digest in the tests holds every byte of it.

One own writer, because library writers change: PAX headers for odd values, GNU long names, user names, block padding. Members are
sorted by the bytes of their path, folders included (their path ends in `/`); uid and gid 0, no user names, modes 0644 and 0755,
the plan's time; two empty blocks at the end, padded to 10,240 bytes.
Source: POSIX.1-1988 (IEEE 1003.1), "extended tar format".
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.bundle.bag import derived
from provenance.bundle.cksum import PosixCksum
from provenance.bundle.draft import Member, member_of
from provenance.bundle.names import split_for_ustar
from provenance.errors import BundleError
from provenance.software.read_pack import object_at

if TYPE_CHECKING:
    from provenance.bundle.ingredients import Reader
    from provenance.bundle.plan import Plan

BLOCK = 512
RECORD = 10_240
PIECE = 1 << 18
LARGEST = 8**11 - 1  # eleven octal digits


def stream(plan: "Plan", reader: "Reader") -> Iterator[bytes]:
    """The tar's bytes, in pieces: of at most 256 KiB, files of repositories and manifests whole.

    Raises:
        BundleError: a member's bytes are not those that the plan names; the tar sent so far is to be thrown away.
    """
    written = 0
    content = _Content(plan, reader)
    for path, member in _entries(plan):
        header = _header(path, member, plan.mtime)
        yield header
        written += BLOCK
        if member is not None:
            yield from content.of(member)
            padding = -member.size % BLOCK
            if padding:
                yield bytes(padding)
            written += member.size + padding
    yield bytes(2 * BLOCK + -(written + 2 * BLOCK) % RECORD)


def size(plan: "Plan") -> int:
    """How many bytes the tar has."""
    blocks = 2
    for _path, member in _entries(plan):
        blocks += 1 + (0 if member is None else (member.size + BLOCK - 1) // BLOCK)
    return blocks * BLOCK + -(blocks * BLOCK) % RECORD


def _entries(plan: "Plan") -> list[tuple[bytes, Member | None]]:
    entries: dict[bytes, Member | None] = {f"{plan.top}/".encode(): None}
    for member in plan.members:
        parts = member.path.split("/")[:-1]
        for count in range(len(parts)):
            entries[f"{plan.top}/{'/'.join(parts[: count + 1])}/".encode()] = None
        entries[f"{plan.top}/{member.path}".encode()] = member
    return sorted(entries.items(), key=lambda entry: entry[0])


def _header(path: bytes, member: Member | None, mtime: int) -> bytes:
    split = split_for_ustar(path)
    length = 0 if member is None else member.size
    if split is None or length > LARGEST:
        message = f"{path.decode()}: {length} bytes under this name do not fit into USTAR; use a digest name, or leave it out."
        raise BundleError(message)
    prefix, name = split
    mode = 0o755 if member is None else member.mode
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        b"%011o\0" % length,
        b"%011o\0" % min(max(mtime, 0), LARGEST),
        b" " * 8,
        b"5" if member is None else b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(32),
        bytes(32),
        bytes(16),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class _Content:
    """The bytes of members, each compared with the digest that the plan names; what the plan lacks is noted as they pass."""

    def __init__(self, plan: "Plan", reader: "Reader") -> None:
        self._plan = plan
        self._reader = reader
        self._pack: tuple[str, bytes] = ("", b"")  # one at a time: members of a tree lie together
        self._complete: dict[str, Member] = {}

    def of(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes."""
        if member.pack:
            data = object_at(self._read_pack(member.pack), member.offset)
            _check(member, len(data), hashlib.sha256(data).hexdigest())
        elif member.path in self._plan.derived:
            data = derived(member.path, [self._complete.get(other.path, other) for other in self._plan.members])
            self._complete[member.path] = member_of(member.path, data)
            _check(member, len(data), member.sha256)
        else:
            yield from self._streamed(member)
            return
        if data:
            yield data

    def _read_pack(self, sha256: str) -> bytes:
        if self._pack[0] != sha256:
            self._pack = (sha256, self._reader.get(sha256))
        return self._pack[1]

    def _streamed(self, member: Member) -> Iterator[bytes]:
        seen, sha512, cksum, left = hashlib.sha256(), hashlib.sha512(), PosixCksum(), member.size
        with self._reader.open(member.sha256) as file:
            while left and (piece := file.read(min(PIECE, left))):
                seen.update(piece)
                if not member.sha512:
                    sha512.update(piece)
                    cksum.update(piece)
                left -= len(piece)
                yield piece
            surplus = file.read(1)
        _check(member, member.size - left + len(surplus), seen.hexdigest())
        if not member.sha512:
            self._complete[member.path] = replace(member, sha512=sha512.hexdigest(), cksum=cksum.value())


def _check(member: Member, size_bytes: int, sha256: str) -> None:
    if size_bytes != member.size or sha256 != member.sha256:
        raise BundleError(
            f"{member.path}: the stored bytes are not those of blob {member.sha256}; check the archive, then build again."
        )
