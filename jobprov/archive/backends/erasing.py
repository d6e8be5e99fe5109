"""Erasing: packs with a blob to be removed are rewritten without it, and only then removed.

A pack with a damaged blob stays as it is, together with the blob to be erased, since the damaged
one might still be rescued. A check finds the damage; once it is repaired, the operator erases
again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.filling import PackFiller
from jobprov.archive.backends.packs import Pack, PackWriter
from jobprov.archive.errors import BlobDamagedError

Publish = Callable[[PackWriter, Sequence[str]], str]
"""Finishes a pack, durably, and returns its name."""


class Eraser:
    """One run over the packs of an archive.

    Args:
        arriving: folder for packs that are being written.
        limit_bytes: the largest pack, including its index.
        publish: stores a finished pack durably and returns its name.
        copies: returns the copies in a pack; None if it is gone by now.
    """

    def __init__(
        self,
        arriving: Path,
        limit_bytes: int,
        publish: Publish,
        copies: Callable[[Pack], Iterable[Copy] | None],
    ) -> None:
        self._filler = PackFiller(arriving, limit_bytes, publish)
        self._copies = copies

    def run(self, packs: Sequence[Pack], digests: Collection[str]) -> tuple[list[Pack], set[str]]:
        """Copy what remains of these packs into new ones.

        Returns the packs to be removed, and the digests that are left in packs with damage.
        """
        emptied: list[Pack] = []
        left: set[str] = set()
        with closing(self._filler):
            for pack, erased in _holding(packs, digests):
                if pack.index_damage is None and self._take(pack, erased):
                    emptied.append(pack)
                else:
                    left |= erased
            self._filler.finish()
        # A new pack with the content of an old one has its name, too, and must stay
        return [pack for pack in emptied if pack.name not in self._filler.published], left

    def _take(self, pack: Pack, erased: set[str]) -> bool:
        """Copy the other blobs of a pack; returns whether all of them are elsewhere now."""
        for copy in self._copies(pack) or ():
            if copy.sha256 in erased or copy.sha256 in self._filler.written:
                continue
            try:
                if not self._filler.add(copy):
                    return False
            except BlobDamagedError:
                return False
        return True


def _holding(packs: Sequence[Pack], digests: Collection[str]) -> Iterator[tuple[Pack, set[str]]]:
    """Yield the packs that hold any of the digests, each with those."""
    for pack in packs:
        erased = {sha256 for sha256 in digests if pack.holds(sha256)}
        if erased:
            yield pack, erased
