"""The archive as bundles use it.

This is what one job's bundle may hold, what a plan generates, and packs that were read lately.
"""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import BinaryIO, NamedTuple

from jobprov.archive.store import Store

_KEPT_BYTES = 48 << 20  # of packs that are read again and again while a release's bundles are built


class PossessedBlobs(NamedTuple):
    """The archive, narrowed to what one job's bundle may hold.

    That is what its experiment uploaded, and code packs of the service.
    """

    store: Store
    digests: frozenset[str]

    def has(self, sha256: str) -> bool:
        """Return whether the bundle may hold this blob."""
        return sha256 in self.digests

    def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob."""
        return recent_packs.get(self.store, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""
        return self.store.open(sha256)

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""
        return self.store.size(sha256)


class PlannedBlobs(NamedTuple):
    """The archive, for writing the tar of a plan: whatever the plan names."""

    store: Store

    def has(self, sha256: str) -> bool:  # noqa: ARG002
        """Return True: a plan names nothing that was not there."""
        return True

    def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob."""
        return recent_packs.get(self.store, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""
        return self.store.open(sha256)

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""
        return self.store.size(sha256)


class RecentBlobs:
    """Whole blobs that were read lately, up to a sum of bytes.

    By store, so that no answer comes from another archive.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[tuple[int, str], tuple[Store, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, store: Store, sha256: str) -> bytes:
        """Return all bytes of a blob."""
        key = (id(store), sha256)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        data = store.get(sha256)
        with self._lock:
            if len(data) <= self._limit and key not in self._kept:
                # The store is kept too, so that its id stays its own
                self._kept[key] = (
                    store,
                    data,
                )
                self._bytes += len(data)
                while self._bytes > self._limit:
                    self._bytes -= len(self._kept.popitem(last=False)[1][1])
        return data


recent_packs = RecentBlobs(_KEPT_BYTES)


class GeneratedBlobs:
    """The generated members of a plan, stored together when it is whole.

    All of them take one flush.
    """

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def keep(self, data: bytes, sha256: str = "", /) -> str:
        """Hold a member; return its SHA-256, which spares computing it where it is given."""
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self._made[sha256] = data
        return sha256

    def store(self, blobs: Store) -> None:
        """Store what is not stored already."""
        blobs.put_many([self._made[sha256] for sha256 in sorted(blobs.missing(self._made))])
