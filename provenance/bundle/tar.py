"""The tar of a plan: USTAR, streamed, in bounded memory. FROZEN: a golden digest in the tests holds every byte of it.

One own writer, because library writers change: PAX headers for odd values, GNU long names, user names, block padding. Members are
sorted by the bytes of their path, folders included (their path ends in `/`); uid and gid 0, no user names, modes 0644 and 0755,
the plan's time; two empty blocks at the end, padded to 10,240 bytes.
Source: POSIX.1-1988 (IEEE 1003.1), "extended tar format".
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.bundle.bag import derived
from provenance.bundle.cksum import PosixCksum
from provenance.bundle.draft import Member, digested
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
_ZEROS = bytes(BLOCK)


def stream(plan: "Plan", reader: "Reader") -> Iterator[bytes]:
    """The tar's bytes, in pieces of some 256 KiB; files of repositories and manifests come whole.

    Raises:
        BundleError: a member's bytes are not those that the plan names; the tar sent so far is to be thrown away.
    """
    written, waiting = 0, 0
    parts: list[bytes] = []
    content = _Content(plan, reader)
    header = _Headers(plan.mtime)
    for path, member in _entries(plan):
        parts.append(header.of(path, member))
        waiting += BLOCK
        if member is None:
            continue
        for piece in content.of(member):
            parts.append(piece)
            waiting += len(piece)
            if waiting >= PIECE:
                yield b"".join(parts)
                written, waiting = written + waiting, 0
                parts.clear()
        if padding := -member.size % BLOCK:
            parts.append(_ZEROS[:padding])
            waiting += padding
    written += waiting
    yield b"".join(parts) + bytes(2 * BLOCK + -(written + 2 * BLOCK) % RECORD)


def size(plan: "Plan") -> int:
    """How many bytes the tar has."""
    blocks = 2
    for _path, member in _entries(plan):
        blocks += 1 + (0 if member is None else (member.size + BLOCK - 1) // BLOCK)
    return blocks * BLOCK + -(blocks * BLOCK) % RECORD


def _entries(plan: "Plan") -> Iterator[tuple[bytes, Member | None]]:
    """Yield folders (their path ends in `/`) and members, sorted: a folder comes right before the first member below it."""
    yield f"{plan.top}/".encode(), None
    seen = {""}
    for member in plan.members:
        folder = member.path.rpartition("/")[0]
        if folder not in seen:
            parts = folder.split("/")
            for count in range(1, len(parts) + 1):
                whole = "/".join(parts[:count])
                if whole not in seen:
                    seen.add(whole)
                    yield f"{plan.top}/{whole}/".encode(), None
        yield f"{plan.top}/{member.path}".encode(), member


class _Headers:
    """Header blocks; what all of them share is made once."""

    def __init__(self, mtime: int) -> None:
        self._mtime = b"%011o\0" % min(max(mtime, 0), LARGEST)
        self._before = {mode: b"%07o\0" % mode + b"%07o\0" % 0 + b"%07o\0" % 0 for mode in (0o644, 0o755)}
        self._between = bytes(100) + b"ustar\x0000" + bytes(32) + bytes(32) + bytes(16)
        self._sums = {mode: sum(before) for mode, before in self._before.items()}
        self._constant = sum(self._mtime) + sum(b" " * 8) + sum(self._between)

    def of(self, path: bytes, member: Member | None) -> bytes:
        """The header of a member, or of a folder."""
        split = split_for_ustar(path)
        length = 0 if member is None else member.size
        if split is None or length > LARGEST:
            message = f"{path.decode()}: {length} bytes under this name do not fit into USTAR; use a digest name, or leave it out."
            raise BundleError(message)
        prefix, name = split
        mode, kind = (0o755, b"5") if member is None else (member.mode, b"0")
        octal = b"%011o\0" % length
        total = self._sums[mode] + self._constant + _sum(name + prefix + octal) + kind[0]
        return b"".join(
            (
                name.ljust(100, b"\0"),
                self._before[mode],
                octal,
                self._mtime,
                b"%06o\0 " % total,
                kind,
                self._between,
                prefix.ljust(167, b"\0"),
            )
        )


def _sum(field: bytes) -> int:
    """The sum of some hundred ASCII bytes: the lower half of their Adler-32 is one more, and stays below its modulus."""
    return (zlib.adler32(field) & 0xFFFF) - 1


class _Content:
    """The bytes of members, compared with the digests that the plan names; what the plan lacks is noted as they pass."""

    def __init__(self, plan: "Plan", reader: "Reader") -> None:
        self._plan = plan
        self._reader = reader
        self._pack: tuple[str, bytes] = ("", b"")  # one at a time: members of a tree lie together
        self._part: tuple[str, bytes] = ("", b"")
        self._complete: dict[str, Member] = {}

    def of(self, member: Member) -> Iterable[bytes]:
        """A member's bytes, in one piece or several."""
        if member.pack:
            # the pack is compared with its own digest when it is read
            data = object_at(self._read_pack(member.pack), member.offset)
            _check(member, len(data), member.sha256)
            return (data,)
        if member.part_of:
            data = self._read_part(member.part_of)[member.offset : member.offset + member.size]
            _check(member, len(data), hashlib.sha256(data).hexdigest())
            return (data,)
        if member.path in self._plan.derived:
            data = derived(member.path, [self._complete.get(other.path, other) for other in self._plan.members])
            if not member.path.startswith("tagmanifest-"):
                self._complete[member.path] = digested(member, data)
            _check(member, len(data), member.sha256)
            return (data,)
        return self._streamed(member)

    def _read_pack(self, sha256: str) -> bytes:
        if self._pack[0] != sha256:
            self._pack = (sha256, self._reader.get(sha256))
        return self._pack[1]

    def _read_part(self, sha256: str) -> bytes:
        if self._part[0] != sha256:
            self._part = (sha256, self._reader.get(sha256))
        return self._part[1]

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
