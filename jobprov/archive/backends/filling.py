"""Fills packs one after the other, and publishes each when it is full."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jobprov.archive.backends.copies import Copy
from jobprov.archive.backends.packs import PackWriter

Publish = Callable[[PackWriter, Sequence[str]], str]
"""Finishes a pack, durably, and returns its name; the digests are those of the blobs in it."""


class PackFiller:
    """Takes copies of blobs; closing it drops what was not published.

    Args:
        arriving: folder for packs that are being written.
        limit_bytes: the largest pack, including its index.
        publish: called with each full pack, and by `finish` with the last one.

    Attributes:
        written: digests of all blobs taken.
        published: names of the packs published.
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
        """Append a copy to the current pack or, if that is full, to the next one.

        Returns False if it is larger than a pack.

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
        """Publish the current pack, if it has any blobs."""
        if self._writer is not None and self._unpublished:
            self.published.add(self._publish(self._writer, self._unpublished))
            self._unpublished = []
            self.close()

    def close(self) -> None:
        """Drop the current pack."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
