"""Reads packs that clients upload: git objects of a dirty working tree, or of commits never pushed.

Any client may have made them. A pack of whole objects is read without git. One with differences is
indexed by git in a temporary folder, with limits and with git's checks, and read from there. Nothing
gets into a mirror.

Source: git-index-pack(1). With --fsck-objects, not --strict, because such a pack refers to objects
that it does not contain.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.git_command import Limits, run_git
from jobprov.provenance.software.object_form import KINDS, TreeEntry, walk_tree
from jobprov.provenance.software.objects import MissingObjectError, ObjectHeader, RepositoryObjects
from jobprov.provenance.software.packs.reading import (
    DifferencesError,
    PackedObject,
    iterate_objects,
)

MAX_PACK_BYTES = 256 << 20
MAX_UPLOADED_BYTES = 1 << 30


def objects_of_uploaded_pack(
    pack: bytes, *, max_pack_bytes: int = MAX_PACK_BYTES, max_bytes: int = MAX_UPLOADED_BYTES
) -> list[PackedObject]:
    """Return the objects of a pack, each with the id computed from its bytes.

    Args:
        pack: of version 2, without differences to objects outside of it.
        max_pack_bytes: a larger pack is refused.
        max_bytes: a pack whose objects have more together is refused.

    Raises:
        SoftwareError: damaged, malformed or too large.
    """
    if len(pack) > max_pack_bytes:
        raise SoftwareError(
            f"A pack of {len(pack)} bytes is larger than the {max_pack_bytes} that are read."
        )
    try:
        return list(iterate_objects(pack, max_bytes=max_bytes))
    except DifferencesError:
        return _read_by_git(pack, max_bytes)


def _read_by_git(pack: bytes, max_bytes: int) -> list[PackedObject]:
    """Return the objects of a pack with differences, which git indexes in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="uploaded-") as folder:
        aside = Path(folder).resolve() / "aside.git"
        run_git(["init", "--quiet", "--bare", "--template=", "--", str(aside)])
        limits = Limits(wall_seconds=120, file_bytes=max_bytes)
        run_git(
            ["index-pack", "--fsck-objects", "--threads=1", "--stdin"],
            git_dir=aside,
            stdin=pack,
            limits=limits,
        )
        arguments = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objectsize)"]
        sizes = dict(line.split(" ") for line in run_git(arguments, git_dir=aside).lines)
        if sum(int(size) for size in sizes.values()) > max_bytes:
            raise SoftwareError(f"A pack unpacks to more than the {max_bytes} bytes that are read.")
        with RepositoryObjects(aside) as objects:
            unpacked = []
            for head, chunks in objects.stream(sizes):
                unpacked.append(PackedObject(head.oid, head.kind, b"".join(chunks)))
        return sorted(unpacked, key=lambda item: (KINDS.index(item.kind), item.oid))


class PackedObjects:
    """The objects of a pack in memory, with the interface of `Objects`."""

    where = "of the uploaded pack"

    def __init__(self, objects: Iterable[PackedObject]) -> None:
        self._objects = {packed.oid: packed for packed in objects}

    def read(self, oid: str, path: str = "") -> tuple[str, bytes]:
        """Return type and content of one object.

        Raises:
            MissingObjectError: the pack lacks it.
        """
        if oid not in self._objects:
            raise MissingObjectError([(oid, path or "asked for by id")], self.where)
        return self._objects[oid].kind, self._objects[oid].content

    def walk(self, tree: str) -> Iterator[TreeEntry]:
        """Yield the entries of a tree and of those below it.

        Raises:
            MissingObjectError: the pack lacks one of the trees.
        """
        return iter(walk_tree(self._content, tree))

    def _content(self, oid: str, path: str) -> bytes:
        _, content = self.read(oid, path)
        return content

    def headers(self, oids: Iterable[str]) -> list[ObjectHeader | None]:
        """Return type and size of each object in order, None where it is missing."""
        headers: list[ObjectHeader | None] = []
        for oid in oids:
            packed = self._objects.get(oid)
            if packed is None:
                headers.append(None)
            else:
                headers.append(ObjectHeader(oid, packed.kind, len(packed.content)))
        return headers

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[ObjectHeader, Iterator[bytes]]]:
        """Yield each object in order with its content in one chunk.

        Raises:
            MissingObjectError: the pack lacks one.
        """
        for oid in oids:
            kind, content = self.read(oid)
            yield ObjectHeader(oid, kind, len(content)), iter([content] if content else [])
