"""The two places for blobs in a local archive: loose, in files of their own, and in packs."""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobprov.archive.backends.copies import Copy, OpenFile
from jobprov.archive.backends.durable import (
    Arrival,
    exclusive_lock,
    flush_folder,
    make_folder,
    shared_lock,
)
from jobprov.archive.backends.packs import SUFFIX as PACK_SUFFIX
from jobprov.archive.backends.packs import Pack
from jobprov.archive.digest import is_digest
from jobprov.archive.errors import BlobDamagedError

SUFFIX = ".zst"
_FOLDER_NAME_LENGTH = 2


class LooseShelf:
    """Blobs in files of their own: `ab/<digest>.zst`, one frame each, in at most 256 folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ready: set[str] = set()

    def path(self, sha256: str) -> Path:
        """The file of a loose blob."""
        return self.root / sha256[:_FOLDER_NAME_LENGTH] / f"{sha256}{SUFFIX}"

    def holds(self, sha256: str) -> bool:
        """Whether a blob is loose."""
        # Not with a Path, which takes three times as long: `missing` asks for thousands
        return os.path.exists(  # noqa: PTH110
            f"{self.root}/{sha256[:_FOLDER_NAME_LENGTH]}/{sha256}{SUFFIX}"
        )

    def find(self, sha256: str) -> Copy | None:
        """The loose copy of a blob, or None."""
        try:
            file = OpenFile(self.path(sha256))
        except FileNotFoundError:
            return None
        return Copy(sha256, file, f"loose/{sha256[:_FOLDER_NAME_LENGTH]}/{sha256}{SUFFIX}")

    def admit(self, arrival: Arrival, sha256: str) -> bool:
        """Name a flushed file after its digest, replacing a damaged one.

        Returns False if an intact one exists. Call `flush` afterwards: the folder is not flushed
        yet.
        """
        target = self.path(sha256)
        self._make_folder(target.parent)
        if arrival.link(target):
            return True
        there = self.find(sha256)
        if there is not None and is_intact(there):
            return False
        arrival.replace(target)
        return True

    def flush(self, sha256: str) -> None:
        """Return once the name of a loose blob is on the disk."""
        flush_folder(self.path(sha256).parent)

    def remove(self, sha256: str) -> None:
        """Remove a loose copy, if there is one."""
        self.path(sha256).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """The digests of the loose blobs, sorted."""
        for folder in _names(self.root):
            for name in _names(self.root / folder):
                sha256 = name.removesuffix(SUFFIX)
                if (
                    name.endswith(SUFFIX)
                    and is_digest(sha256)
                    and sha256[:_FOLDER_NAME_LENGTH] == folder
                ):
                    yield sha256

    def _make_folder(self, folder: Path) -> None:
        if folder.name not in self._ready:
            make_folder(folder)
            self._ready.add(folder.name)


class PackShelf:
    """The packs, as this process last saw them."""

    def __init__(self, root: Path, lock: Path) -> None:
        self.root = root
        self._lock = lock
        self._threads = threading.Lock()
        self._packs: dict[tuple[str, int], Pack] = {}

    def known(self) -> Sequence[Pack]:
        """The packs as last seen."""
        return tuple(self._packs.values())

    def refresh(self) -> Sequence[Pack]:
        """The packs as they are now.

        A blob that a seal moves is seen in one place at least: the old one is removed last, and no
        pack is removed while the packs are listed.
        """
        with self._threads, shared_lock(self._lock):
            # By inode, too: a seal may replace a damaged pack by a sound one of the same name
            with os.scandir(self.root) as entries:
                files = [entry for entry in entries if entry.name.endswith(PACK_SUFFIX)]
                keys = sorted((entry.name, entry.inode()) for entry in files)
            if keys != list(self._packs):
                packs_now = {}
                for key in keys:
                    packs_now[key] = self._packs.get(key) or Pack.open(self.root / key[0])
                self._packs = packs_now  # at once: other threads read it meanwhile
            return tuple(self._packs.values())

    def reopen(self) -> Sequence[Pack]:
        """The packs as they are now; their indexes are read again."""
        self._packs = {}
        return self.refresh()

    def remove(self, packs: Sequence[Pack]) -> None:
        """Remove packs whose blobs are elsewhere by now."""
        with exclusive_lock(self._lock):
            for pack in packs:
                with contextlib.suppress(FileNotFoundError):
                    (self.root / pack.name).unlink()

    def move(self, pack: Pack, folder: Path) -> None:
        """Move a pack to another folder, durably."""
        with exclusive_lock(self._lock):
            (self.root / pack.name).rename(folder / pack.name)
        flush_folder(folder)
        self.flush()

    def flush(self) -> None:
        """Return once the names of the packs are on the disk."""
        flush_folder(self.root)


def is_intact(copy: Copy) -> bool:
    """Whether the stored form of a copy is undamaged."""
    try:
        copy.check()
    except BlobDamagedError:
        return False
    return True


def _names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none if it is not a folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except NotADirectoryError:
        return []
