"""Sealing: puts loose blobs and small packs into new packs.

Every blob stays readable, whenever the power fails: a pack is flushed and named, and its folder
flushed, before anything that it replaces is removed. A crash leaves second copies at worst, which
the next seal removes. Small packs are merged like the bits of a binary counter: their number grows
with the logarithm of the number of seals, and each blob is copied about as many times.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.filling import PackFiller
from jobprov.archive.backends.packs import ENTRY_BYTES, OVERHEAD_BYTES, Pack, PackWriter
from jobprov.archive.backends.reading import is_packed
from jobprov.archive.backends.shelves import LooseShelf, PackShelf, is_intact
from jobprov.archive.errors import BlobDamagedError
from jobprov.archive.store import SealReport


class Sealer:
    """One run of the sealer; its owner holds the lock."""

    def __init__(
        self, loose: LooseShelf, packs: PackShelf, arriving: Path, pack_limit_bytes: int
    ) -> None:
        self._loose = loose
        self._packs = packs
        self._pack_limit_bytes = pack_limit_bytes
        self._filler = PackFiller(arriving, pack_limit_bytes, self._publish)
        self._damaged: list[str] = []
        self._packed = 0
        self._left_loose = 0

    def run(self) -> SealReport:
        """Pack what is loose, and report what was done."""
        # A sealer that crashed may not have flushed the name of its pack: until it is on the disk,
        # nothing that the pack holds may be removed
        self._packs.flush()
        packs = self._packs.refresh()
        # A pack with a damaged index may hold more blobs than a walk finds: it is left to an
        # operator
        sound = [pack for pack in packs if pack.index_damage is None]
        fresh = self._remove_superseded(sound)
        merged = self._choose_packs(sound, fresh)
        remaining = [pack for pack in packs if pack not in merged]
        with closing(self._filler):
            for sha256 in fresh:
                self._take_loose(sha256)
            emptied = [pack for pack in merged if self._take_pack(pack, remaining)]
            self._filler.finish()
        published = self._filler.published
        # A new pack with the content of an old one has its name, too, and must stay
        emptied = [pack for pack in emptied if pack.name not in published]
        self._packs.remove(emptied)
        self._packs.refresh()
        damaged = tuple(self._damaged)
        return SealReport(self._packed, len(published), len(emptied), self._left_loose, damaged)

    def _choose_packs(self, sound: Sequence[Pack], fresh: Sequence[str]) -> list[Pack]:
        """The packs to be emptied into new ones: redundant packs, and small ones."""
        redundant = _choose_redundant(sound)
        needed = [pack for pack in sound if pack not in redundant]
        fresh_bytes = self._packed_bytes(fresh)
        return redundant + choose_merged(needed, fresh_bytes, self._pack_limit_bytes)

    def _remove_superseded(self, packs: Sequence[Pack]) -> list[str]:
        """Remove loose blobs that a pack holds intact; returns the digests of the other ones."""
        fresh = []
        for sha256 in list(self._loose.digests()):
            if _holds_intact(packs, sha256):
                self._loose.remove(sha256)
            else:
                fresh.append(sha256)
        return fresh

    def _packed_bytes(self, fresh: Sequence[str]) -> int:
        return packed_bytes(
            [self._loose.path(sha256).stat().st_size for sha256 in fresh], self._pack_limit_bytes
        )

    def _take_loose(self, sha256: str) -> None:
        copy = self._loose.find(sha256)
        if copy is None:
            return  # somebody removed it after it was listed
        try:
            is_packed = self._filler.add(copy)
        except BlobDamagedError:
            self._damaged.append(sha256)
            return
        self._left_loose += not is_packed
        self._packed += is_packed

    def _take_pack(self, pack: Pack, kept: Sequence[Pack]) -> bool:
        """Copy the blobs of a small pack; returns whether all of them are elsewhere now."""
        is_emptied = True
        for copy in pack.copies():
            if copy.sha256 in self._filler.written or _holds_intact(kept, copy.sha256):
                continue
            try:
                is_emptied &= self._filler.add(copy)
            except BlobDamagedError:
                self._damaged.append(copy.sha256)
                is_emptied = False
        return is_emptied

    def _publish(self, writer: PackWriter, digests: Sequence[str]) -> str:
        """Finish a pack durably, then remove the loose files of its blobs."""
        name = writer.publish(self._packs.root)
        self._packs.flush()
        for sha256 in digests:
            self._loose.remove(sha256)
        return name


def packed_bytes(frames: Iterable[int], limit_bytes: int) -> int:
    """The size of a pack of loose blobs, without those that are larger than a pack.

    `frames` are the sizes of their files in bytes.
    """
    sizes = [size + ENTRY_BYTES for size in frames]
    fitting = [size for size in sizes if size + OVERHEAD_BYTES <= limit_bytes]
    return sum(fitting, OVERHEAD_BYTES) if fitting else 0


def choose_merged(packs: Sequence[Pack], fresh_bytes: int, limit_bytes: int) -> list[Pack]:
    """The small packs that are merged into what is sealed now.

    Each is at most twice as large as everything smaller together.
    """
    chosen: list[Pack] = []
    total = fresh_bytes
    for pack in sorted(packs, key=lambda pack: pack.size_bytes):
        if pack.size_bytes > 2 * total or total + pack.size_bytes > limit_bytes:
            break
        chosen.append(pack)
        total += pack.size_bytes
    return chosen


def _choose_redundant(packs: Sequence[Pack]) -> list[Pack]:
    """The packs whose blobs are all in other packs, too.

    A sealer that died before it removed them has left them.
    """
    chosen: list[Pack] = []
    # Most packs are needed, and for these the first blob usually ends the search
    for pack in sorted(packs, key=lambda pack: pack.size_bytes):
        others = [other for other in packs if other is not pack and other not in chosen]
        if all(is_packed(others, sha256) for sha256, _offset in pack.index.entries()):
            chosen.append(pack)
    return chosen


def _holds_intact(packs: Sequence[Pack], sha256: str) -> bool:
    return any(is_intact(copy) for copy in _copies(packs, sha256))


def _copies(packs: Sequence[Pack], sha256: str) -> Iterator[Copy]:
    raw = bytes.fromhex(sha256)
    for pack in packs:
        copy = pack.find(raw)
        if copy is not None:
            yield copy
