"""The archive as bundles use it: narrowed to what they may hold, with recent blobs in memory."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

from jobprov.archive.store import Store

_KEPT_BYTES = 48 << 20
"""Bundles of one release share their packs of code, which would else be read for each of them."""


@dataclass(frozen=True)
class PlannedBlobs:
    """The whole archive, for writing the tar of a plan, which names only what it may hold."""

    store: Store

    def has(self, sha256: str) -> bool:  # noqa: ARG002
        """Return True: every blob of a plan was there when the plan was made."""
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


@dataclass(frozen=True)
class PossessedBlobs(PlannedBlobs):
    """The archive, narrowed to what one job's bundle may hold.

    Attributes:
        digests: of blobs that the experiment uploaded, and of the service's packs of code.
    """

    digests: frozenset[str]

    def has(self, sha256: str) -> bool:
        """Return whether the bundle may hold this blob."""
        return sha256 in self.digests


class RecentBlobs:
    """Remembers whole blobs that were read lately, up to a number of bytes, for each archive."""

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
                # The store is kept too: Python gives the id of a deleted object to a new one
                self._kept[key] = (store, data)
                self._bytes += len(data)
                while self._bytes > self._limit:
                    _, (_, oldest) = self._kept.popitem(last=False)
                    self._bytes -= len(oldest)
        return data


recent_packs = RecentBlobs(_KEPT_BYTES)


class GeneratedBlobs:
    """The generated members of a plan, stored together once it is whole.

    Together, they wait for the disk once.
    """

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def keep(self, data: bytes, sha256: str = "", /) -> str:
        """Keep a member in memory; return its SHA-256, which is computed unless it is given."""
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self._made[sha256] = data
        return sha256

    def take(self, sha256: str) -> bytes:
        """Return bytes that the caller stores in another way, and forget them."""
        return self._made.pop(sha256)

    def store(self, blobs: Store) -> None:
        """Store the members that are not stored already."""
        blobs.put_many([self._made[sha256] for sha256 in sorted(blobs.missing(self._made))])
