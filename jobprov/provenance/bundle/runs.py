"""Runs: files of a fragment that follow each other in the tar of every bundle with this fragment.

What does not depend on the bundle is made once for all jobs of a release, and remembered: header
blocks without the top folder's name, time and sum; lines of the manifests; offsets in the git pack.
This module only makes bundles faster: the bytes are the same as if tar.py wrote member by member.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from jobprov.provenance.bundle.bag import manifest_lines
from jobprov.provenance.bundle.draft import Member, by_path
from jobprov.provenance.bundle.recent import Recent
from jobprov.provenance.bundle.ustar import (
    BLOCK,
    CHECKSUM,
    KIND,
    MTIME,
    PREFIX,
    Headers,
    field_sum,
    mtime_field,
)
from jobprov.provenance.errors import BundleError
from jobprov.provenance.software.packs.reading import object_at, stored_at

if TYPE_CHECKING:
    from jobprov.provenance.bundle.plan import Plan

_SLAB = 1 << 18  # bytes of a piece
_MOST_REMEMBERED = 40_000  # members of all remembered runs, some 0.8 kB each
_NAME_BYTES = 100
_PADDING = [bytes(count) for count in range(BLOCK)]


class _Stored(NamedTuple):
    """Where a member's bytes are in the pack; nowhere for a folder.

    Attributes:
        start: where they begin.
        end: where they end; -1 if the object at `start` must be unpacked.
        padding: of their last block.
    """

    start: int
    end: int
    padding: bytes


class _Row(NamedTuple):
    """One entry of the tar: its header, cut where the bundle's own fields go, and its place.

    Attributes:
        is_split: whether the top folder is in the header's prefix, not in its name.
        total: sum of the header without the bundle's own fields.
        start: where its bytes begin in the pack.
        end: where they end; -1 if the object at `start` must be unpacked.
    """

    is_split: bool
    before: bytes
    total: int
    after: bytes
    behind: bytes
    start: int
    end: int
    padding: bytes


class Run:
    """Members that follow each other.

    Attributes:
        first: path of the first member, as bytes.
        last: path of the last member, as bytes.
        pack: digest of the git pack that holds their bytes.
        folders: the folders that begin in the run, without those of its first member.
        blocks: number of its blocks in the tar.
    """

    def __init__(self, members: tuple[Member, ...], top: int) -> None:
        self.members = members
        self.first, self.last = by_path(members[0]), by_path(members[-1])
        self.pack = members[0].pack
        self.folders: set[str] = set()
        self._top = top
        self._entries = list(self._with_folders())
        self.blocks = sum(blocks_of(member) for _, member in self._entries)
        self.lines = cache(self._lines)
        self._slabs: list[list[_Row]] | None = None

    def _lines(self, name: str) -> bytes:
        """The lines of a manifest of the payload."""
        return manifest_lines(name, self.members)

    def pieces(self, top: bytes, mtime: int, pack: bytes) -> Iterator[bytes]:
        """The run's part of the tar, in pieces of some 256 KiB.

        Raises:
            BundleError: the pack does not hold what the plan names.
        """
        if self._slabs is None:
            self._slabs = self._slabs_of(pack)
        time = mtime_field(mtime)
        more = field_sum(top) + field_sum(time)
        for slab in self._slabs:
            parts: list[bytes] = []
            for is_split, before, total, after, behind, start, end, padding in slab:
                if is_split:
                    parts += (before, time, b"%06o\0 " % (total + more), after, top, behind)
                else:
                    parts += (top, before, time, b"%06o\0 " % (total + more), after)
                parts += (pack[start:end] if end >= 0 else object_at(pack, start), padding)
            yield b"".join(parts)

    def _with_folders(self) -> Iterator[tuple[str, Member | None]]:
        entered = set(folders_of(self.members[0].path))
        for member in self.members:
            for folder in folders_of(member.path):
                if folder not in entered:
                    entered.add(folder)
                    self.folders.add(folder)
                    yield f"{folder}/", None
            yield member.path, member

    def _slabs_of(self, pack: bytes) -> list[list[_Row]]:
        slabs: list[list[_Row]] = [[]]
        size, headers, shared = 0, Headers(0), dict[bytes, bytes]()
        for path, member in self._entries:
            header = headers.of(bytes(self._top) + b"/" + path.encode(), member)
            slabs[-1].append(self._row(header, path, member, pack, shared))
            size += BLOCK + (0 if member is None else member.size)
            if size >= _SLAB:
                slabs.append([])
                size = 0
        return slabs

    def _row(
        self,
        blank: bytes,
        path: str,
        member: Member | None,
        pack: bytes,
        shared: dict[bytes, bytes],
    ) -> _Row:
        """Cut a header that has zeros as its top folder and 0 as its time.

        `shared` holds what is the same in most.
        """
        total = int(blank[CHECKSUM : CHECKSUM + 6], 8) - field_sum(mtime_field(0))
        place = _Stored(0, 0, b"")
        if member is not None:
            place = _place_of(member, pack)
        is_split = self._top + 1 + len(path) > _NAME_BYTES
        if is_split:
            cut = PREFIX + self._top
            return _Row(is_split, blank[:MTIME], total, blank[KIND:PREFIX], blank[cut:], *place)
        rest = shared.setdefault(blank[KIND:], blank[KIND:])
        return _Row(is_split, blank[self._top : MTIME], total, rest, b"", *place)


def _place_of(member: Member, pack: bytes) -> _Stored:
    """Where a member's bytes are in the pack."""
    stored = stored_at(pack, member.offset)
    if stored is None:
        start, end = member.offset, -1
        size = len(object_at(pack, member.offset))
    else:
        start, end = stored
        size = end - start
    if size != member.size:
        raise BundleError(
            f"{member.path}: the stored bytes are not those of blob {member.sha256}; check the "
            "archive, then build again."
        )
    return _Stored(start, end, _PADDING[-size % BLOCK])


def blocks_of(member: Member | None) -> int:
    """The number of blocks of a member (its header and its bytes) or a folder in the tar."""
    if member is None:
        return 1
    return 1 + (member.size + BLOCK - 1) // BLOCK


def folders_of(path: str) -> list[str]:
    """The folders around a path, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def parts_of(plan: "Plan") -> list[Member | Run]:
    """The contents of a plan's bundle in the order of the tar: members, and runs where possible.

    A fragment is not a run if other members come between its files.
    """
    alone: list[Member] = list(plan.own)
    runs: list[Run] = []
    for sha256, members in plan.fragments.items():
        # The table of a tree's modes comes before its files, and is not in the pack
        count = 0
        while count < len(members) and not members[count].pack:
            count += 1
        run = _run_of(sha256, members[count:], len(plan.top))
        if run is None:
            alone += members
        else:
            alone += members[:count]
            runs.append(run)
    if runs:
        crossed = _crossed(runs, sorted(map(by_path, alone)))
        runs = [run for run in runs if run not in crossed]
        for run in crossed:
            alone += run.members
    return sorted([*alone, *runs], key=_first_path)


def _first_path(part: Member | Run) -> bytes:
    return part.first if isinstance(part, Run) else by_path(part)


def _crossed(runs: list[Run], paths: list[bytes]) -> set[Run]:
    """The runs with other members in between."""
    crossed = set()
    for run in runs:
        if bisect_left(paths, run.first) != bisect_right(paths, run.last):
            crossed.add(run)
    widest: Run | None = None
    for run in sorted(runs, key=lambda run: run.first):
        if widest is not None and run.first <= widest.last:
            crossed |= {run, widest}
        if widest is None or run.last > widest.last:
            widest = run
    return crossed


_recent: Recent[tuple[str, int], Run] = Recent(
    _MOST_REMEMBERED, weight_of=lambda run: len(run.members)
)


def _run_of(sha256: str, members: tuple[Member, ...], top: int) -> Run | None:
    """The run of a fragment, from memory if possible.

    It is None if the fragment is too large, or if not all its bytes are in one pack.
    """
    key = (sha256, top)
    remembered = _recent.get(key)
    if remembered is not None:
        return remembered
    packs = {member.pack for member in members}
    if len(packs) != 1 or len(members) > _MOST_REMEMBERED:
        return None
    run = Run(members, top)
    _recent.keep(key, run)
    return run
