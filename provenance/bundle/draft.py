"""The members of a bundle while it is being planned: stored blobs by reference, generated files written through."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from provenance.bundle.ingredients import Reader

PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a bundle; the path is relative to the bag's root, the mode 0644 or 0755, the size in bytes."""

    path: str
    mode: int
    sha256: str
    sha512: str
    size: int


class Draft:
    """Collects members; the first to claim a path keeps it."""

    def __init__(self, reader: Reader, write_blob: Callable[[bytes], str]) -> None:
        self.reader = reader
        self._write_blob = write_blob
        self._members: dict[str, Member] = {}
        self._sha512: dict[str, str] = {}

    def add(self, path: str, data: bytes, *, mode: int = 0o644) -> str:
        """Put a generated file into the bundle; its SHA-256."""
        sha256 = self._write_blob(data)
        self._keep(path, sha256, hashlib.sha512(data).hexdigest(), len(data), mode)
        return sha256

    def add_blob(self, path: str, sha256: str, *, mode: int = 0o644) -> None:
        """Put a possessed blob into the bundle by reference; it is read once, in pieces."""
        if sha256 not in self._sha512:
            self._sha512[sha256] = self._read_sha512(sha256)
        self._keep(path, sha256, self._sha512[sha256], self.reader.size(sha256), mode)

    def members(self, folder: str = "") -> list[Member]:
        """The members below a folder, sorted by the bytes of their path."""
        chosen = [member for path, member in self._members.items() if path.startswith(folder)]
        return sorted(chosen, key=lambda member: member.path.encode())

    def _keep(self, path: str, sha256: str, sha512: str, size: int, mode: int) -> None:
        self._members.setdefault(path, Member(path=path, mode=mode, sha256=sha256, sha512=sha512, size=size))

    def _read_sha512(self, sha256: str) -> str:
        seen = hashlib.sha512()
        with self.reader.open(sha256) as file:
            while piece := file.read(PIECE):
                seen.update(piece)
        return seen.hexdigest()
