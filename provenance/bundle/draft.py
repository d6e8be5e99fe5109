"""The members of a bundle while it is being planned: stored blobs by reference, generated files written through."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from provenance.bundle.cksum import posix_cksum
from provenance.bundle.ingredients import Reader

_READ_WHEN_PLANNED = (
    1 << 20
)  # bytes; the digests of a larger blob are made while it is written, so that a bundle starts at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file of a bundle; the path is relative to the bag's root, the mode 0644 or 0755, the size in bytes.

    Attributes:
        sha256: empty for what the writer makes of the other members.
        sha512: empty where it is made while the member is written; `cksum` is -1 then.
        cksum: what POSIX's cksum prints.
        pack: digest of the git pack that holds the bytes; empty where they are a blob of their own.
        part_of: digest of the blob in which the bytes lie among others, likewise.
        offset: where the object begins in the pack, or the bytes in the blob.
    """

    path: str
    mode: int
    sha256: str
    sha512: str
    size: int
    cksum: int = -1
    pack: str = ""
    part_of: str = ""
    offset: int = -1

    @property
    def blob(self) -> str:
        """Digest of the blob that holds the bytes; empty for what the writer makes."""
        return self.pack or self.part_of or self.sha256


class Draft:
    """Collects members; the first to claim a path keeps it."""

    def __init__(self, reader: Reader, write_blob: Callable[[bytes], str]) -> None:
        self.reader = reader
        self.write_blob = write_blob
        self.fragments: dict[str, tuple[Member, ...]] = {}
        self._members: dict[str, Member] = {}
        self._generated: dict[str, bytes] = {}

    def add(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a generated file into the bundle; all of a bundle's own lie in one blob (`finish`)."""
        if path not in self._members:
            self._generated[path] = data
            self._keep(member_of(path, data, mode=mode))

    def add_shared(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a file into the bundle that is the same in every bundle, and so a blob of its own."""
        self._keep(member_of(path, data, mode=mode, sha256=self.write_blob(data)))

    def finish(self) -> None:
        """Write the blob of all generated files; nothing is added after this."""
        paths = sorted(self._generated, key=str.encode)
        part_of = self.write_blob(b"".join(self._generated[path] for path in paths))
        offset = 0
        for path in paths:
            self._members[path] = replace(self._members[path], part_of=part_of, offset=offset)
            offset += len(self._generated[path])

    def add_derived(self, path: str, size: int) -> None:
        """Put a file of this size into the bundle that the writer makes of the others."""
        self._keep(Member(path=path, mode=0o644, sha256="", sha512="", size=size))

    def add_blob(self, path: str, sha256: str, *, mode: int = 0o644) -> None:
        """Put a possessed blob into the bundle by reference."""
        size = self.reader.size(sha256)
        if size <= _READ_WHEN_PLANNED:
            with self.reader.open(sha256) as file:
                self._keep(member_of(path, file.read(), mode=mode, sha256=sha256))
        else:
            self._keep(Member(path=path, mode=mode, sha256=sha256, sha512="", size=size))

    def add_member(self, member: Member) -> None:
        """Put a file into the bundle whose digests are known."""
        self._keep(member)

    def add_fragment(self, fragment: bytes, members: tuple[Member, ...], stored: Iterable[bytes] = ()) -> None:
        """Put a part into the bundle that many bundles share; `stored` are those of its members that no pack holds."""
        if any(part is members for part in self.fragments.values()):
            return
        for data in stored:
            self.write_blob(data)
        self.fragments[self.write_blob(fragment)] = members

    def find(self, path: str) -> Member | None:
        """The member at a path, those of fragments apart."""
        return self._members.get(path)

    def own(self, folder: str = "") -> list[Member]:
        """The members below a folder, those of fragments apart, sorted by the bytes of their path."""
        return sorted((member for path, member in self._members.items() if path.startswith(folder)), key=by_path)

    def everything(self, folder: str = "") -> Iterator[Member]:
        """All members below a folder, those of fragments among them, in no order."""
        members = chain(self._members.values(), *self.fragments.values())
        return (member for member in members if member.path.startswith(folder))

    def _keep(self, member: Member) -> None:
        self._members.setdefault(member.path, member)


def member_of(
    path: str, data: bytes, *, mode: int = 0o644, sha256: str = "", pack: str = "", offset: int = -1
) -> Member:
    """The member that holds these bytes at this path."""
    sha256, sha512 = sha256 or hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()
    return Member(
        path=path,
        mode=mode,
        sha256=sha256,
        sha512=sha512,
        size=len(data),
        cksum=posix_cksum(data),
        pack=pack,
        offset=offset,
    )


def digested(member: Member, data: bytes) -> Member:
    """The member with the digests of its bytes."""
    return replace(member, sha256=hashlib.sha256(data).hexdigest(), sha512=hashlib.sha512(data).hexdigest())


def by_path(member: Member) -> bytes:
    """What members are sorted by."""
    return member.path.encode()
