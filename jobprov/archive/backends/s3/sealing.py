"""Sealing on S3: puts loose blobs and small packs into new packs, and removes these an hour later.

There is no lock that several machines could trust, so none is needed. A loose blob or a pack is
removed only if a *greater* pack (by size, then by name) holds its blobs, was stored at least an
hour ago, and was read through and found intact. So of the packs that ever held a blob, the greatest
is never removed, however many sealers work at the same time and however slow they are. Readers that
have found a pack have an hour to finish. Sealers that work at the same time only store blobs twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.filling import PackFiller
from jobprov.archive.backends.packs import ENTRY_BYTES, OVERHEAD_BYTES, Pack, PackWriter
from jobprov.archive.backends.s3.bucket import Bucket, in_parallel
from jobprov.archive.backends.s3.objects import LooseObjects, PackObjects
from jobprov.archive.backends.sealing import choose_merged, packed_bytes
from jobprov.archive.errors import BlobDamagedError
from jobprov.archive.store import SealReport

_FETCHED_BYTES = 1 << 20
_AROUND_BYTES = ENTRY_BYTES + OVERHEAD_BYTES


@dataclass(frozen=True)
class Superseded:
    """Loose blobs and packs whose content greater packs hold, too: the keepers.

    Attributes:
        loose: the keeper of each loose blob, by digest.
        packs: the keepers of each pack's blobs, by name of the pack.
    """

    loose: dict[str, Pack]
    packs: dict[str, set[Pack]]

    def keepers(self) -> set[Pack]:
        """All keepers."""
        return {*self.loose.values()}.union(*self.packs.values())


class _Removal(NamedTuple):
    """What a seal removed first.

    Attributes:
        superseded: also what is not removed yet, since its keepers are too young.
        sound: the packs without those that were found damaged.
    """

    superseded: Superseded
    sound: list[Pack]
    removed_packs: int


class RemoteSealer:
    """One run of the sealer.

    Args:
        bucket: of the archive.
        loose: its loose blobs.
        packs: its packs.
        folder: on the local disk, for packs that are written or read through.
        pack_limit_bytes: the largest pack, including its index.
        grace: how long the old copies stay after a new pack holds them.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        loose: LooseObjects,
        packs: PackObjects,
        folder: Path,
        pack_limit_bytes: int,
        grace: timedelta,
    ) -> None:
        self._bucket = bucket
        self._loose = loose
        self._packs = packs
        self._folder = folder
        self._limit_bytes = pack_limit_bytes
        self._grace = grace
        self._filler = PackFiller(folder, pack_limit_bytes, self._publish)
        self._damaged: list[str] = []

    def run(self) -> SealReport:
        """Remove what was superseded an hour ago, pack what is loose, and report what was done."""
        # A pack with a damaged index may hold more blobs than a walk finds: it is left to an
        # operator
        sound = [pack for pack in self._packs.refresh() if pack.index_damage is None]
        sizes = self._loose.sizes()
        removal = self._remove_superseded(sound, sizes)
        fitting: dict[str, int] = {}
        left_loose = 0
        for sha256, size in sizes.items():
            if sha256 in removal.superseded.loose:
                continue
            if size + _AROUND_BYTES <= self._limit_bytes:
                fitting[sha256] = size
            else:
                left_loose += 1
        needed = [pack for pack in removal.sound if pack.name not in removal.superseded.packs]
        new_bytes = packed_bytes(fitting.values(), self._limit_bytes)
        merged = choose_merged(needed, new_bytes, self._limit_bytes)
        with closing(self._filler):
            self._take_packs(merged)
            packed = sum(self._take(copy) for copy in self._fetched(fitting))
            self._filler.finish()
        self._packs.refresh()
        return SealReport(
            packed,
            len(self._filler.published),
            removal.removed_packs,
            left_loose,
            tuple(self._damaged),
        )

    def _remove_superseded(self, sound: list[Pack], loose: Iterable[str]) -> _Removal:
        """Remove what old and intact keepers hold."""
        superseded = find_superseded(sound, loose)
        damaged = self._damaged_keepers(superseded)
        # Without the damaged ones, other packs become the keepers, which may be damaged in turn
        while damaged:
            sound = [pack for pack in sound if pack not in damaged]
            superseded = find_superseded(sound, loose)
            damaged = self._damaged_keepers(superseded)
        keepers = self._old(superseded.keepers())  # all of them were found intact
        self._loose.remove(
            [sha256 for sha256, keeper in superseded.loose.items() if keeper in keepers]
        )
        candidates = [pack for pack in sound if pack.name in superseded.packs]
        removed = [pack for pack in candidates if superseded.packs[pack.name] <= keepers]
        self._packs.remove(removed)
        return _Removal(superseded, sound, len(removed))

    def _damaged_keepers(self, superseded: Superseded) -> set[Pack]:
        """The old keepers that are damaged."""
        keepers = self._old(superseded.keepers())
        return {pack for pack in keepers if not self._packs.is_intact(pack, self._folder)}

    def _old(self, packs: set[Pack]) -> set[Pack]:
        """The packs that were stored long enough ago."""
        if not packs:
            return set()
        before = self._bucket.now() - self._grace
        arrivals = self._packs.arrivals()
        return {pack for pack in packs if arrivals[pack.name] <= before}

    def _take_packs(self, packs: Sequence[Pack]) -> None:
        """Copy small packs as a whole, the greatest first.

        In this order, the pack that they go into is greater than each of them.
        """
        for pack in sorted(packs, key=_greatness, reverse=True):
            here = self._packs.download(pack, self._folder)
            if here is None:
                continue
            for copy in here.copies():
                if copy.sha256 not in self._filler.written:
                    self._take(copy)

    def _fetched(self, sizes: dict[str, int]) -> Iterator[Copy]:
        """The loose copies, fetched some ahead of what is taken, most of them whole."""
        copies = in_parallel(
            lambda sha256: self._loose.find(sha256, min(sizes[sha256], _FETCHED_BYTES)), sizes
        )
        return filter(None, copies)

    def _take(self, copy: Copy) -> bool:
        """Append a copy to a pack; returns whether it is in one."""
        try:
            return self._filler.add(copy)
        except BlobDamagedError:
            self._damaged.append(copy.sha256)
            return False

    def _publish(self, writer: PackWriter, _digests: Sequence[str]) -> str:
        """Finish a pack and store it. What it replaces stays until a later seal."""
        name = writer.publish(self._folder)
        self._packs.upload(self._folder / name)
        (self._folder / name).unlink()
        return name


def find_superseded(packs: Sequence[Pack], loose: Iterable[str]) -> Superseded:
    """The loose blobs and packs whose content greater packs hold, too."""
    greatest_first = sorted(packs, key=_greatness, reverse=True)
    keepers = {sha256: _first_holder(greatest_first, sha256) for sha256 in loose}
    redundant: dict[str, set[Pack]] = {}
    for place, pack in enumerate(greatest_first):
        holders = _all_holders(greatest_first[:place], pack)
        if holders is not None:
            redundant[pack.name] = holders
    return Superseded(
        {sha256: pack for sha256, pack in keepers.items() if pack is not None}, redundant
    )


def _all_holders(greater: Sequence[Pack], pack: Pack) -> set[Pack] | None:
    """The greatest packs that together hold all blobs of a pack, or None if they lack one."""
    holders: set[Pack] = set()
    # Most packs are needed, and for these the first blob usually ends the search
    for sha256, _offset in pack.index.entries():
        holder = _first_holder(greater, sha256)
        if holder is None:
            return None
        holders.add(holder)
    return holders


def _first_holder(packs: Sequence[Pack], sha256: str) -> Pack | None:
    return next((pack for pack in packs if pack.holds(sha256)), None)


def _greatness(pack: Pack) -> tuple[int, str]:
    return pack.size_bytes, pack.name
