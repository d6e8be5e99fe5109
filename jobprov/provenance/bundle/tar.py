"""The tar of a plan: USTAR, streamed, in bounded memory.

FROZEN: a golden digest in the tests holds every byte of it.

The writer is our own, because those of libraries change: in PAX headers for odd values, GNU long
names, user names, block padding. Members and folders (whose path ends in `/`) are sorted by the
bytes of their path. uid and gid are 0, there are no user names, modes are 0644 and 0755, the time
is the plan's. At the end are two empty blocks, padded to 10,240 bytes.

Source: POSIX.1-1988 (IEEE 1003.1), "extended tar format".
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jobprov.provenance.bundle.bag import DERIVED, manifest_lines
from jobprov.provenance.bundle.cksum import PosixCksum, posix_cksum
from jobprov.provenance.bundle.draft import Member, digested
from jobprov.provenance.bundle.runs import Run, blocks_of, folders_of, parts_of
from jobprov.provenance.bundle.ustar import BLOCK, Headers
from jobprov.provenance.errors import BundleError
from jobprov.provenance.software.packs.reading import object_at

if TYPE_CHECKING:
    from jobprov.provenance.bundle.ingredients import Reader
    from jobprov.provenance.bundle.plan import Plan

RECORD = 10_240
PIECE = 1 << 18
_ZEROS = bytes(BLOCK)
_MOST_KNOWN = 1000
_OF_MANY = re.compile(
    r"data/(?:[a-z]+\.(?:sh|py)|JOB\.schema\.json|context/[^/]+|src/[^/]+\.modes\.tsv"
    r"|git/[^/]+/(?:index|objects\.idx))\Z"
)
_LARGEST_OF_MANY = 1 << 20


def stream(plan: "Plan", reader: "Reader") -> Iterator[bytes]:
    """The tar's bytes, in pieces of some 256 KiB; files of repositories and manifests come whole.

    Raises:
        BundleError: a member's bytes are not those that the plan names. The tar sent so far must be
            thrown away.
    """
    written, waiting = 0, 0
    parts: list[bytes] = []
    for piece in _pieces(plan, reader):
        if len(piece) >= PIECE:  # passed on without a copy: it may be a whole git pack
            yield b"".join(parts)
            yield piece
            written, waiting = written + waiting + len(piece), 0
            parts.clear()
            continue
        parts.append(piece)
        waiting += len(piece)
        if waiting >= PIECE:
            yield b"".join(parts)
            written, waiting = written + waiting, 0
            parts.clear()
    written += waiting
    yield b"".join(parts) + bytes(2 * BLOCK + -(written + 2 * BLOCK) % RECORD)


def _pieces(plan: "Plan", reader: "Reader") -> Iterator[bytes]:
    listed = parts_of(plan)
    content = _Content(plan, reader, listed)
    headers = Headers(plan.mtime)
    for path, part in _entries(plan, listed):
        if isinstance(part, Run):
            yield from part.pieces(plan.top.encode(), plan.mtime, content.read_pack(part.pack))
            continue
        yield headers.of(path, part)
        if part is not None:
            yield from content.of(part)
            padding = -part.size % BLOCK
            if padding:
                yield _ZEROS[:padding]


def size(plan: "Plan") -> int:
    """How many bytes the tar has."""
    blocks = 2
    for _path, part in _entries(plan, parts_of(plan)):
        blocks += part.blocks if isinstance(part, Run) else blocks_of(part)
    return blocks * BLOCK + -(blocks * BLOCK) % RECORD


def _entries(
    plan: "Plan", listed: Sequence[Member | Run]
) -> Iterator[tuple[bytes, Member | Run | None]]:
    """Yield folders (their path ends in `/`), members and runs.

    A folder comes right before the first member below it.
    """
    yield f"{plan.top}/".encode(), None
    seen = {""}
    for part in listed:
        path = part.path if isinstance(part, Member) else part.members[0].path
        if path.rpartition("/")[0] not in seen:
            for folder in folders_of(path):
                if folder not in seen:
                    seen.add(folder)
                    yield f"{plan.top}/{folder}/".encode(), None
        if isinstance(part, Run):
            seen |= part.folders
        yield f"{plan.top}/{path}".encode(), part


class _Content:
    """The bytes of members, compared with the digests in the plan.

    Digests that the plan lacks are computed on the way, for the manifests.
    """

    def __init__(self, plan: "Plan", reader: "Reader", listed: Sequence[Member | Run]) -> None:
        self._plan = plan
        self._reader = reader
        self._listed = listed
        self._packs = {part.pack for part in listed if isinstance(part, Run)}
        self._pack: tuple[str, bytes] = ("", b"")  # only one, since members of a tree come together
        self._part: tuple[str, bytes] = ("", b"")
        self._complete: dict[str, Member] = {}

    def of(self, member: Member) -> Iterable[bytes]:
        """A member's bytes, in one piece or several."""
        if member.pack:
            # Not compared again: the pack was compared with its digest when it was read
            data = object_at(self.read_pack(member.pack), member.offset)
            _check(member, len(data), member.sha256)
            return (data,)
        if member.part_of:
            data = self._read_part(member.part_of)[member.offset : member.offset + member.size]
            _check(member, len(data), hashlib.sha256(data).hexdigest())
            return (data,)
        if member.path in DERIVED:
            data = b"".join(self._lines(member.path))
            if not member.path.startswith("tagmanifest-"):
                self._complete[member.path] = digested(member, data)
            _check(member, len(data), member.sha256)
            return (data,)
        if member.sha256 in self._packs:
            # Likely in memory, since files of the tree are cut out of this pack
            data = self.read_pack(member.sha256)
            _check(member, len(data), member.sha256)
            digests = _known_digests.get(member.sha256)
            if digests is None:
                digests = _note_digests(member, data)
            sha512, cksum = digests
            self._complete[member.path] = replace(member, sha512=sha512, cksum=cksum)
            return (data,)
        if member.sha512 and member.size <= _LARGEST_OF_MANY and _OF_MANY.match(member.path):
            # The same in thousands of bundles, so the reader may have it in memory. Like packs, it
            # is compared when it is read
            data = self._reader.get(member.sha256)
            _check(member, len(data), member.sha256)
            return (data,)
        return self._streamed(member)

    def _lines(self, name: str) -> Iterator[bytes]:
        """The lines of a manifest for the members written so far.

        A manifest lists the payload, a tag manifest the other files but for tag manifests.
        """
        lists_tags = name.startswith("tagmanifest-")
        for part in self._listed:
            if isinstance(part, Run):
                if not lists_tags:
                    yield part.lines(name)
                continue
            is_tag_file = not part.path.startswith("data/")
            if is_tag_file == lists_tags and not part.path.startswith("tagmanifest-"):
                yield manifest_lines(name, (self._complete.get(part.path, part),))

    def read_pack(self, sha256: str) -> bytes:
        """A git pack that holds members."""
        if self._pack[0] != sha256:
            self._pack = (sha256, self._reader.get(sha256))
        return self._pack[1]

    def _read_part(self, sha256: str) -> bytes:
        if self._part[0] != sha256:
            in_memory = self._plan.generated.get(sha256)
            if in_memory is None:
                in_memory = self._reader.get(sha256)
            self._part = (sha256, in_memory)
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
            self._complete[member.path] = replace(
                member, sha512=sha512.hexdigest(), cksum=cksum.value()
            )


def _check(member: Member, size_bytes: int, sha256: str) -> None:
    if size_bytes != member.size or sha256 != member.sha256:
        raise BundleError(
            f"{member.path}: the stored bytes are not those of blob {member.sha256}; check the "
            "archive, then build again."
        )


_known_digests: dict[str, tuple[str, int]] = {}  # of packs, by SHA-256


def _note_digests(member: Member, data: bytes) -> tuple[str, int]:
    """SHA-512 and cksum of a pack, computed when this process first reads it.

    The pack is compared with its digest here, and by the archive whenever it is read.
    """
    _check(member, len(data), hashlib.sha256(data).hexdigest())
    if len(_known_digests) >= _MOST_KNOWN:
        _known_digests.clear()
    digests = hashlib.sha512(data).hexdigest(), posix_cksum(data)
    _known_digests[member.sha256] = digests
    return digests
