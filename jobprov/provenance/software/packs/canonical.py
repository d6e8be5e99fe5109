"""Writes canonical packs: one commit without its history, always as the same bytes.

A bundle holds such a pack as `objects.pack`; with a `shallow` file that names the commit, any git
can check it out. Only ids and one chunk of content are in memory. The form is in `form`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.object_form import KINDS, object_id, parse_commit, walk_tree
from jobprov.provenance.software.objects import MissingObjectError, ObjectHeader, Objects
from jobprov.provenance.software.packs.form import (
    entry_header,
    pack_header,
    sort_key,
    stored_zlib,
    with_trailer,
)

_BATCH_BYTES = 1 << 16


@dataclass(frozen=True)
class _Plan:
    """The objects of a canonical pack; all of them are known to exist.

    Attributes:
        headers: all of them, in the pack's order.
        extra: type and content, by id, of those that come from the caller.
    """

    headers: tuple[ObjectHeader, ...]
    extra: Mapping[str, tuple[str, bytes]]


def canonical_pack(
    objects: Objects,
    commit: str,
    *,
    trees: Iterable[str] = (),
    tags: Iterable[str] = (),
    extra: Iterable[tuple[str, bytes]] = (),
    history: Iterable[str] = (),
) -> Iterator[bytes]:
    """Yield the canonical pack of one commit: commit, trees, blobs, and tag objects that led to it.

    Args:
        objects: the mirror's.
        commit: the commit; it may be among `extra`, if it was never pushed.
        trees: further trees, such as that of the dirty working tree that really ran.
        tags: ids of tag objects.
        extra: (type, content) of objects that the mirror may lack.
        history: earlier commits, which come without their trees.

    Raises:
        MissingObjectError: before the first byte, if anything is missing.
    """
    given = {object_id(kind, content): (kind, content) for kind, content in extra}
    named = _names_of_all(_Source(objects, given), commit, trees, tags)
    named |= dict.fromkeys(history, "an earlier commit")
    return _batched(with_trailer(_parts(objects, _plan(objects, named, given))))


def _plan(
    objects: Objects, named: Mapping[str, str], given: Mapping[str, tuple[str, bytes]]
) -> _Plan:
    """Look up all objects that the pack needs, and put them into its order."""
    given = {oid: known for oid, known in given.items() if oid in named}
    of_repository = [oid for oid in named if oid not in given]
    headers: list[ObjectHeader] = []
    missing = []
    for oid, header in zip(of_repository, objects.headers(of_repository), strict=True):
        if header is None:
            missing.append((oid, named[oid]))
        else:
            headers.append(header)
    if missing:
        raise MissingObjectError(missing, objects.where)
    for oid, (kind, content) in given.items():
        headers.append(ObjectHeader(oid, kind, len(content)))
    headers.sort(key=lambda header: sort_key(header.kind, header.oid))
    return _Plan(tuple(headers), given)


class _Source:
    """The objects of a repository, and those that the caller gives because it may lack them."""

    def __init__(self, objects: Objects, given: Mapping[str, tuple[str, bytes]]) -> None:
        self._objects = objects
        self._given = given
        self._trees: dict[str, bytes] = {}

    def read_commit(self, oid: str) -> bytes:
        """Return the content of a commit.

        Raises:
            SoftwareError: it is not a commit.
        """
        kind, content = self._given.get(oid) or self._objects.read(oid, "commit")
        if kind != "commit":
            raise SoftwareError(
                f"Object {oid} is a {kind}, not a commit: a pack is made of a commit."
            )
        return content

    def read_tree(self, oid: str, path: str) -> bytes:
        """Return the content of a tree; `path` names it in an error."""
        # The trees of a dirty working tree and of its commit are mostly the same: each is read once
        if oid not in self._trees:
            given = self._given.get(oid)
            _kind, content = given or self._objects.read(oid, path or "the root tree")
            self._trees[oid] = content
        return self._trees[oid]


def _names_of_all(
    source: _Source, commit: str, trees: Iterable[str], tags: Iterable[str]
) -> dict[str, str]:
    """Return every object id that the pack needs, with the path or role that names it in an error.

    Args:
        trees: those that the pack is to hold besides that of the commit.
    """
    named = dict.fromkeys(tags, "tag object")
    named[commit] = "commit"
    tree_of_commit = parse_commit(source.read_commit(commit)).tree
    for root in (*trees, tree_of_commit):
        named.setdefault(root, "the root tree")
        for entry in walk_tree(source.read_tree, root):
            if not entry.is_gitlink:
                named.setdefault(entry.oid, entry.path)
    return named


def _parts(objects: Objects, plan: _Plan) -> Iterator[bytes]:
    """The pack without its trailer. Objects from `extra` are merged in at their place."""
    yield pack_header(len(plan.headers))
    stream = objects.stream(header.oid for header in plan.headers if header.oid not in plan.extra)
    for planned in plan.headers:
        if planned.oid in plan.extra:
            header, chunks = planned, iter([plan.extra[planned.oid][1]])
        else:
            header, chunks = next(stream)
        if header != planned or header.kind not in KINDS:
            raise SoftwareError(
                f"Object {planned.oid} changed while it was read: the repository is damaged."
            )
        yield entry_header(header.kind, header.size_bytes)
        yield from stored_zlib(chunks, header.size_bytes)


def _batched(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts, because writers of tars and HTTP want some tens of kilobytes at a time."""
    buffered = bytearray()
    for part in parts:
        buffered += part
        if len(buffered) >= _BATCH_BYTES:
            yield bytes(buffered)
            buffered.clear()
    if buffered:
        yield bytes(buffered)
