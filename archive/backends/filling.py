"""Packs that are filled one after the other, each handed on when it is full."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.packs import PackWriter

Publish = Callable[[PackWriter, Sequence[str]], str]
"""Finishes a pack, durably, and gives its name; the digests are those of the blobs in it."""


class PackFiller:
    """Takes copies of blobs; closing it throws away what was not handed on.

    Args:
        arriving: folder for packs that grow.
        limit_bytes: the largest pack, index included.
        publish: called with each pack that is full, and by `finish` with the last.
    """

    def __init__(self, arriving: Path, limit_bytes: int, publish: Publish) -> None:
        self._arriving = arriving
        self._limit_bytes = limit_bytes
        self._publish = publish
        self._writer: PackWriter | None = None
        self._unpublished: list[str] = []
        self.written: set[str] = set()
        self.published: set[str] = set()

    def add(self, copy: Copy) -> bool:
        """Append a copy to the pack at hand, or to the next one.

        Returns False when it is larger than a pack.

        Raises:
            BlobDamagedError: the copy is damaged; it is in no pack.
        """
        header = copy.header()
        if self._writer is not None and self._writer.size_with(header) > self._limit_bytes:
            self.finish()
        if self._writer is None:
            self._writer = PackWriter(self._arriving)
        if self._writer.size_with(header) > self._limit_bytes:
            return False
        self._writer.add(copy, header)
        self.written.add(copy.sha256)
        self._unpublished.append(copy.sha256)
        return True

    def finish(self) -> None:
        """Hand on the pack at hand, if it has any blobs."""
        if self._writer is not None and self._unpublished:
            self.published.add(self._publish(self._writer, self._unpublished))
            self._unpublished = []
            self.close()

    def close(self) -> None:
        """Remove the pack at hand."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
