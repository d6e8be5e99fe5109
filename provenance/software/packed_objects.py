"""Objects held in memory, e.g. of an uploaded pack: for code whose repository no mirror has."""

from collections.abc import Iterable, Iterator

from jobprov.provenance.software.object_form import TreeEntry, walk_tree
from jobprov.provenance.software.objects import MissingObjectError, ObjectHeader
from jobprov.provenance.software.read_pack import PackedObject


class PackedObjects:
    """What a pack holds, behind the interface of `Objects`."""

    where = "of the uploaded pack"

    def __init__(self, objects: Iterable[PackedObject]) -> None:
        self._objects = {item.oid: item for item in objects}

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
        return iter(walk_tree(lambda oid, path: self.read(oid, path)[1], tree))

    def headers(self, oids: Iterable[str]) -> list[ObjectHeader | None]:
        """Return type and size of each object in order, None where it is missing."""
        found = (self._objects.get(oid) for oid in oids)
        return [
            None if item is None else ObjectHeader(item.oid, item.kind, len(item.content))
            for item in found
        ]

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[ObjectHeader, Iterator[bytes]]]:
        """Yield each object in order with its content in one chunk.

        Raises:
            MissingObjectError: the pack lacks one.
        """
        for oid in oids:
            kind, content = self.read(oid)
            yield ObjectHeader(oid, kind, len(content)), iter([content] if content else [])
