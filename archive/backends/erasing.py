"""Erasing: packs that hold a blob to be removed are written anew without it, and only then removed.

A pack of which a blob is damaged stays as it is, and so does what was to be erased from it: a check
finds the damage, and whoever mends it erases again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.filling import PackFiller
from jobprov.archive.backends.packs import Pack, PackWriter
from jobprov.archive.errors import BlobDamagedError

Publish = Callable[[PackWriter, Sequence[str]], str]
"""Finishes a pack, durably, and gives its name."""


class Eraser:
    """One run over the packs of an archive.

    Args:
        arriving: folder for packs that grow.
        limit_bytes: the largest pack, index included.
        publish: stores a finished pack durably and gives its name.
        copies: gives the copies in a pack; None where it is gone by now.
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

        Returns those to remove, and the digests left in others.
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
        return [pack for pack in emptied if pack.name not in self._filler.published], left

    def _take(self, pack: Pack, erased: set[str]) -> bool:
        """Copy the other blobs of a pack; returns whether all of them lie elsewhere now."""
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
    for pack in packs:
        erased = {sha256 for sha256 in digests if pack.holds(sha256)}
        if erased:
            yield pack, erased
