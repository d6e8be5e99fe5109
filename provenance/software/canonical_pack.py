"""Writes canonical packs: all of one commit, without history, in bytes that depend on nothing else.

The result is what a bundle carries as `objects.pack`: with a `shallow` file that names the commit,
any git checks it out. Memory holds ids and at most one chunk of content. The form itself is in
`pack_form`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.object_form import KINDS, object_id, parse_commit, walk_tree
from jobprov.provenance.software.objects import MissingObjectError, ObjectHeader, Objects
from jobprov.provenance.software.pack_form import (
    entry_header,
    pack_header,
    sort_key,
    stored_zlib,
    with_trailer,
)

_BATCH_BYTES = 1 << 16


@dataclass(frozen=True)
class _Plan:
    """What a canonical pack will hold, all of it known to be there.

    Attributes:
        headers: the objects that the repository gives, in the pack's order.
        extra: (type, content) by id of objects that the caller gives.
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
) -> Iterator[bytes]:
    """Yield the canonical pack of one commit: commit, trees, blobs, and tag objects that led to it.

    Args:
        objects: the mirror's.
        commit: the commit; it may be among `extra`, if it was never pushed.
        trees: further trees, e.g. of the dirty working tree that really ran.
        tags: ids of tag objects.
        extra: (type, content) of objects that the mirror may lack.

    Raises:
        MissingObjectError: before the first byte, where anything is missing.
    """
    return _batched(with_trailer(_parts(objects, _plan(objects, commit, trees, tags, extra))))


def _plan(
    objects: Objects,
    commit: str,
    trees: Iterable[str],
    tags: Iterable[str],
    extra: Iterable[tuple[str, bytes]],
) -> _Plan:
    given = {object_id(kind, content): (kind, content) for kind, content in extra}
    named = _names_of_all(objects, [commit], list(trees), list(tags), given)
    given = {oid: known for oid, known in given.items() if oid in named}
    asked = [oid for oid in named if oid not in given]
    found = objects.headers(asked)
    missing = [
        (oid, named[oid]) for oid, header in zip(asked, found, strict=True) if header is None
    ]
    if missing:
        raise MissingObjectError(missing, objects.where)
    headers = [header for header in found if header is not None]
    headers += [ObjectHeader(oid, kind, len(content)) for oid, (kind, content) in given.items()]
    return _Plan(
        tuple(sorted(headers, key=lambda header: sort_key(header.kind, header.oid))), given
    )


def _names_of_all(
    objects: Objects,
    commits: list[str],
    trees: list[str],
    tags: list[str],
    given: Mapping[str, tuple[str, bytes]],
) -> dict[str, str]:
    """Every id of the closure, with the path or role that names it in an error."""
    named = dict.fromkeys(tags, "tag object") | dict.fromkeys(commits, "commit")
    roots = list(trees)
    for commit in commits:
        kind, content = given.get(commit) or objects.read(commit, "commit")
        if kind != "commit":
            raise SoftwareError(
                f"Object {commit} is a {kind}, not a commit: a pack is made of a commit."
            )
        roots.append(parse_commit(content).tree)
    known: dict[str, bytes] = {}

    def read_tree(oid: str, path: str) -> bytes:
        if oid not in known:
            known[oid] = (given.get(oid) or objects.read(oid, path or "the root tree"))[1]
        return known[oid]

    for root in roots:
        named.setdefault(root, "the root tree")
        for entry in walk_tree(read_tree, root):
            if not entry.is_gitlink:
                named.setdefault(entry.oid, entry.path)
    return named


def _parts(objects: Objects, plan: _Plan) -> Iterator[bytes]:
    """The pack up to its trailer; `extra` objects are merged in where their ids stand."""
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
    """Join small parts: a tar or HTTP writer wants some tens of kilobytes at a time."""
    buffered = bytearray()
    for part in parts:
        buffered += part
        if len(buffered) >= _BATCH_BYTES:
            yield bytes(buffered)
            buffered.clear()
    if buffered:
        yield bytes(buffered)
