"""Writing canonical packs: everything of one commit (not its history), in bytes that depend on nothing else.

The result is what a bundle carries as `objects.pack`: with a `shallow` file that names the commit, any git checks it
out. Memory holds ids and at most one chunk of content. The form itself is in `pack_form`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provenance.errors import SoftwareError
from provenance.software.object_form import KINDS, object_id, parse_commit, walk_tree
from provenance.software.objects import MissingObjectError, ObjectHeader, Objects
from provenance.software.pack_form import (
    entry_header,
    pack_header,
    sort_key,
    stored_size,
    stored_zlib,
    with_trailer,
)

_BATCH_BYTES = 1 << 16
_HEADER_BYTES, _TRAILER_BYTES = 12, 20


@dataclass(frozen=True)
class PackPlan:
    """What a canonical pack will hold, all of it known to be there.

    Attributes:
        headers: the objects that the repository gives, in the pack's order.
        extra: (type, content) by id of objects that the caller gives.
    """

    headers: tuple[ObjectHeader, ...]
    extra: Mapping[str, tuple[str, bytes]]

    @property
    def size_bytes(self) -> int:
        """The exact size of the pack."""
        size = _HEADER_BYTES + _TRAILER_BYTES
        for header in self.headers:
            size += len(entry_header(header.kind, header.size_bytes)) + stored_size(header.size_bytes)
        return size


def plan_pack(
    objects: Objects,
    commits: Iterable[str] = (),
    *,
    trees: Iterable[str] = (),
    tags: Iterable[str] = (),
    extra: Iterable[tuple[str, bytes]] = (),
    without: Iterable[str] = (),
) -> PackPlan:
    """Return the plan of the pack of commits and trees with all below them.

    Args:
        objects: where they are read.
        commits: ids of commits; their parents stay out.
        trees: ids of trees, e.g. of a dirty working tree.
        tags: ids of annotated tag objects that go in as they are.
        extra: (type, content) of objects that the repository may lack, e.g. those of a dirty working tree; what no
            commit, tree or tag leads to stays out.
        without: ids that stay out, because the reader has them.

    Raises:
        MissingObjectError: it lists every object that is nowhere, with its path.
    """
    extra_objects = {object_id(kind, content): (kind, content) for kind, content in extra}
    names = _names_of_all(objects, list(commits), list(trees), list(tags), extra_objects)
    for oid in without:
        names.pop(oid, None)
    needed_extra = {oid: entry for oid, entry in extra_objects.items() if oid in names}
    stored = [oid for oid in names if oid not in needed_extra]
    headers: list[ObjectHeader] = []
    missing: list[tuple[str, str]] = []
    for oid, header in zip(stored, objects.headers(stored), strict=True):
        if header is None:
            missing.append((oid, names[oid]))
        else:
            headers.append(header)
    if missing:
        raise MissingObjectError(missing, objects.where)
    for oid, (kind, content) in needed_extra.items():
        headers.append(ObjectHeader(oid, kind, len(content)))
    headers.sort(key=lambda header: sort_key(header.kind, header.oid))
    return PackPlan(tuple(headers), needed_extra)


def write_pack(objects: Objects, plan: PackPlan) -> Iterator[bytes]:
    """Yield the canonical pack of a plan in chunks of some 64 KiB."""
    return _batched(with_trailer(_parts(objects, plan)))


def canonical_pack(
    objects: Objects,
    commit: str,
    *,
    trees: Iterable[str] = (),
    tags: Iterable[str] = (),
    extra: Iterable[tuple[str, bytes]] = (),
) -> Iterator[bytes]:
    """Yield the canonical pack of one commit: commit, trees, blobs, and the tag objects that led to it.

    Args:
        objects: the mirror's.
        commit: the commit; it may be among `extra`, if it was never pushed.
        trees: further trees, e.g. of the dirty working tree that really ran.
        tags: ids of tag objects.
        extra: (type, content) of objects that the mirror may lack.

    Raises:
        MissingObjectError: before the first byte, where anything is missing.
    """
    return write_pack(objects, plan_pack(objects, [commit], trees=trees, tags=tags, extra=extra))


def pack_of_objects(objects: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the canonical pack of objects in memory, each as (type, content)."""
    by_id = {object_id(kind, content): (kind, content) for kind, content in objects}
    order = sorted(by_id, key=lambda oid: sort_key(by_id[oid][0], oid))
    parts = [pack_header(len(order))]
    for oid in order:
        kind, content = by_id[oid]
        parts += [entry_header(kind, len(content)), *stored_zlib([content], len(content))]
    return b"".join(with_trailer(parts))


def _names_of_all(
    objects: Objects,
    commits: list[str],
    trees: list[str],
    tags: list[str],
    extra: Mapping[str, tuple[str, bytes]],
) -> dict[str, str]:
    """Every id of the closure, with the path or role that names it in an error."""
    names = dict.fromkeys(tags, "tag object") | dict.fromkeys(commits, "commit")
    roots = list(trees)
    for commit in commits:
        kind, content = extra.get(commit) or objects.read(commit, "commit")
        if kind != "commit":
            raise SoftwareError(f"Object {commit} is a {kind}, not a commit: a pack is made of a commit.")
        roots.append(parse_commit(content).tree)
    contents: dict[str, bytes] = {}

    def read_tree(oid: str, path: str) -> bytes:
        if oid not in contents:
            _, contents[oid] = extra.get(oid) or objects.read(oid, path or "the root tree")
        return contents[oid]

    for root in roots:
        names.setdefault(root, "the root tree")
        for entry in walk_tree(read_tree, root):
            if not entry.is_gitlink:  # the commit of a submodule is in another repository
                names.setdefault(entry.oid, entry.path)
    return names


def _parts(objects: Objects, plan: PackPlan) -> Iterator[bytes]:
    """The pack up to its trailer; `extra` objects are merged in by their ids."""
    yield pack_header(len(plan.headers))
    stream = objects.stream(header.oid for header in plan.headers if header.oid not in plan.extra)
    for planned in plan.headers:
        if planned.oid in plan.extra:
            header, chunks = planned, iter([plan.extra[planned.oid][1]])
        else:
            header, chunks = next(stream)
        if header != planned or header.kind not in KINDS:
            raise SoftwareError(f"Object {planned.oid} changed while it was read: the repository is damaged.")
        yield entry_header(header.kind, header.size_bytes)
        yield from stored_zlib(chunks, header.size_bytes)


def _batched(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts: a tar or HTTP writer wants some tens of kilobytes at a time."""
    buffered = bytearray()
    for part in parts:
        buffered += part
        if len(buffered) >= _BATCH_BYTES:
            yield bytes(buffered)
            buffered.clear()
    if buffered:
        yield bytes(buffered)
