"""Resolves the submodules of a tree, recursively, and stores the canonical pack of each commit.

Only registered repositories are fetched: anybody may have written the URLs in `.gitmodules`. Other
submodules stay needs of the bundle, named by path and commit.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jobprov.provenance.db.queries.code.repositories import RegisteredRepository, repository_at
from jobprov.provenance.db.recording.software_rows import repository_match_key
from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.services.code.ref_observations import fetch_and_observe, mirror_of
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.packs.canonical import canonical_pack
from jobprov.provenance.software.packs.reading import iterate_objects
from jobprov.provenance.software.packs.uploaded import PackedObjects
from jobprov.provenance.software.resolving import ResolvedRef, resolve_and_pin
from jobprov.provenance.software.submodules import Submodule, submodules_of
from jobprov.provenance.software.urls import without_credentials

# Anybody may have committed the tree: bounds of its nesting, and of the submodules of one tree
_DEEPEST = 8
_MOST = 500


def resolve_submodules(
    parts: Parts, mirror: Mirror, tree: str, *, depth: int = 1
) -> list[dict[str, object]]:
    """Return one document for each submodule of a tree.

    A resolved one has a `pack_sha256`, and `submodules` of its own.
    """
    with mirror.objects() as objects:
        resolved = submodules_of(objects, tree, base_url=mirror.url.public)[:_MOST]
    return [_resolved(parts, submodule, depth) for submodule in resolved]


def resolve_submodules_of_pack(
    parts: Parts, pack: bytes, tree: str, *, base_url: str
) -> list[dict[str, object]]:
    """Do as `resolve_submodules` for a tree that is in a pack and not in the mirror.

    It is a dirty tree, or that of a commit that was never pushed.
    """
    objects = PackedObjects(iterate_objects(pack))
    resolved = submodules_of(objects, tree, base_url=base_url)[:_MOST]
    return [_resolved(parts, submodule, 1) for submodule in resolved]


def packs_of_submodules(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the digests of the packs of a resolution's submodules, at any depth."""
    for submodule in document.get("submodules") or ():
        if submodule.get("pack_sha256"):
            yield submodule["pack_sha256"]
        yield from packs_of_submodules(submodule)


def _resolved(parts: Parts, submodule: Submodule, depth: int) -> dict[str, object]:
    """Return the document of a submodule, without a pack if it could not be resolved."""
    document: dict[str, object] = {
        "name": submodule.path.rpartition("/")[2],
        "path": submodule.path,
        "url": None,
        "commit": submodule.revision,
        "pack_sha256": None,
    }
    repository = None
    if submodule.url:
        document["url"] = without_credentials(submodule.url)
        repository = _registered(parts, submodule.url)
    if repository is None or depth > _DEEPEST:
        return document
    try:
        mirror = mirror_of(parts, repository)
        fetch_and_observe(parts, repository, mirror)
        resolved = resolve_and_pin(mirror, submodule.revision)
        # A submodule may name a commit that no branch or tag leads to: ask the server for it alone
        if not isinstance(resolved, ResolvedRef) and mirror.fetch_commit(submodule.revision):
            resolved = resolve_and_pin(mirror, submodule.revision)
        if not isinstance(resolved, ResolvedRef):
            return document
        with mirror.objects() as objects:
            pack = b"".join(canonical_pack(objects, resolved.commit))
    except SoftwareError:
        # A submodule that cannot be fetched must not keep its parent from being resolved
        return document
    document |= {
        "url": without_credentials(repository.url),
        "ref_kind": resolved.ref_kind,
        "tree": resolved.tree,
        "describe": resolved.describe,
        "committed_at": resolved.committed_at.isoformat() if resolved.committed_at else None,
        "pack_sha256": str(parts.store.put(pack).sha256),
        "submodules": resolve_submodules(parts, mirror, resolved.tree, depth=depth + 1),
    }
    return document


def _registered(parts: Parts, url: str) -> RegisteredRepository | None:
    with parts.database.reading.connect() as connection:
        return repository_at(connection, repository_match_key(url))
