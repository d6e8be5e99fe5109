"""Resolves a record's code: finds its commit in the service's own mirror, and keeps it for ever.

A resolution is a document that is entered once: for a repository and a ref or commit, it names
commit, tree, tag object and canonical pack. The commit is pinned in the mirror and its pack is a
blob, so nothing is lost when a tag moves, a branch is deleted or a server disappears. Code that
cannot be resolved stays a gap and is tried again later; the record is accepted all the same.

Source: record.md, "Resolutions"; facts about git are in provenance.software.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.db.changes.code import (
    ResolutionDraft,
    intern_resolution,
    point_at_resolution,
)
from jobprov.provenance.db.changes.ledger import NewEntry
from jobprov.provenance.db.queries.code.products import ProductMap, unsourced_entry
from jobprov.provenance.db.queries.code.repositories import RegisteredRepository
from jobprov.provenance.db.queries.code.software import (
    carried_entry,
    first_user_of_entry,
    unresolved_entry,
)
from jobprov.provenance.db.queries.holdings.possessions import possesses
from jobprov.provenance.db.recording.software_rows import repository_match_key
from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.code.product_maps import is_by, product_tags, read_product_maps
from jobprov.provenance.services.code.products import inferred_fields
from jobprov.provenance.services.code.ref_observations import fetch_and_observe, mirror_of, observe
from jobprov.provenance.services.code.repositories import enqueue_resolutions, note_fetched
from jobprov.provenance.services.code.submodules import (
    resolve_submodules,
    resolve_submodules_of_pack,
)
from jobprov.provenance.services.ledger.entries import append_document
from jobprov.provenance.services.work.notices import code_resolved
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.histories import find_history, tag_objects
from jobprov.provenance.software.mirrors import FetchReport, Mirror
from jobprov.provenance.software.object_form import object_id, parse_commit
from jobprov.provenance.software.objects import Objects
from jobprov.provenance.software.packs.canonical import canonical_pack
from jobprov.provenance.software.packs.reading import PackedObject
from jobprov.provenance.software.packs.uploaded import PackedObjects, objects_of_uploaded_pack
from jobprov.provenance.software.resolving import ResolvedRef, resolve_and_pin
from jobprov.provenance.software.urls import without_credentials

_Objects = list[tuple[str, bytes]]
"""Type and content of git objects that came with a record."""


class WantedCode(NamedTuple):
    """A software entry to be resolved, and its repository.

    Attributes:
        repository: None where a job sent everything, and no repository is registered.
        experiment: key of the experiment that used it first; the resolution is in its ledger.
        product_map: the map that gave the repository; None where the entry names it itself.
        tags: that the version of a product may have, each with its template.
    """

    sha256: str
    software: Software
    repository: RegisteredRepository | None
    experiment: int
    product_map: ProductMap | None = None
    tags: Mapping[str, str] = {}


def fetch_repository(parts: Parts, repository: RegisteredRepository) -> FetchReport:
    """Update a repository's mirror, note every tag that moved, and return what the fetch found.

    Raises:
        SoftwareError: the repository cannot be fetched.
    """
    report = fetch_and_observe(parts, repository, mirror_of(parts, repository))
    parts.writer.run(lambda writing: enqueue_resolutions(writing.connection))
    return report


def resolve_software(parts: Parts, software_sha256: str) -> None:
    """Resolve the software entry with this digest.

    Nothing happens if it is resolved already, or if neither a registered repository is known for it
    nor all its objects came with a record.

    Raises:
        SoftwareError: the repository cannot be fetched, or the commit is not in it; the work is
            tried again later.
    """
    with parts.database.reading.connect() as connection:
        wanted = read_wanted(connection, software_sha256)
    if wanted is None:
        return
    repository = wanted.repository
    mirror = None
    if repository is not None:
        mirror = mirror_of(parts, repository)
        fetch_and_observe(parts, repository, mirror)
        wanted = _with_its_tag(mirror, wanted)
    extra = _uploaded_objects(parts, wanted)
    resolved = _find_carried(wanted, extra) if mirror is None else _find(mirror, wanted, extra)
    pack_sha256 = _store_pack(parts, mirror, resolved, wanted, extra)
    document = _document(wanted, resolved, pack_sha256, has_worktree=bool(extra))
    document["submodules"] = _submodules(parts, mirror, wanted, document)
    parts.writer.run(lambda writing: _enter(writing, wanted, resolved, document))


def _submodules(
    parts: Parts, mirror: Mirror | None, wanted: WantedCode, document: Mapping[str, Any]
) -> list[dict[str, object]]:
    """Return the submodules of the tree that ran."""
    base_url = wanted.software.repository or ""
    if mirror is not None:
        # The mirror has neither the tree of a changed checkout nor a commit that was never pushed
        if document["worktree_tree"] is None and mirror.has_commit(document["commit"]):
            return resolve_submodules(parts, mirror, document["tree"])
        base_url = mirror.url.public
    pack = parts.store.get(document["pack_sha256"])
    tree = document["worktree_tree"] or document["tree"]
    return resolve_submodules_of_pack(parts, pack, tree, base_url=base_url)


def _find_carried(wanted: WantedCode, extra: _Objects) -> ResolvedRef:
    """Return the commit of a checkout without a repository that anybody could register.

    Raises:
        SoftwareError: its objects lack the commit.
    """
    resolved = _unpushed(wanted.software.revision or "", extra)
    if resolved is None:
        raise SoftwareError(f"The objects of {wanted.software.name} lack its commit.")
    return resolved


def _find(mirror: Mirror, wanted: WantedCode, extra: _Objects) -> ResolvedRef:
    """Return the entry's commit.

    If the entry also names a ref that still means this commit, the result names that ref. A commit
    that was never pushed is taken from the objects that the hook uploaded.

    Raises:
        SoftwareError: the commit is in neither place.
    """
    if wanted.product_map is not None:
        return _find_tag(mirror, wanted)
    software = wanted.software
    resolved = resolve_and_pin(mirror, software.revision or software.requested_ref or "")
    if isinstance(resolved, ResolvedRef):
        return _by_its_ref(mirror, software, resolved)
    unpushed = _unpushed(software.revision or "", extra)
    if unpushed is None:
        raise SoftwareError(f"{_name_of(wanted)}: {resolved.reason}")
    return unpushed


def _by_its_ref(mirror: Mirror, software: Software, resolved: ResolvedRef) -> ResolvedRef:
    """Return the commit as named by the ref that was asked for, if the ref still means it."""
    if software.revision and software.requested_ref:
        named = resolve_and_pin(mirror, software.requested_ref)
        if isinstance(named, ResolvedRef) and named.commit == resolved.commit:
            return named
    return resolved


def _with_its_tag(mirror: Mirror, wanted: WantedCode) -> WantedCode:
    """Return the entry of a product as if it asked for the first of its tags that is there.

    A branch of that name is not accepted: it may have moved since the product was built.

    Raises:
        SoftwareError: there is no such tag.
    """
    if wanted.product_map is None:
        return wanted
    present = mirror.refs_named(*map(_full_ref, wanted.tags))
    for tag in wanted.tags:
        if _full_ref(tag) in present:
            software = msgspec.structs.replace(wanted.software, requested_ref=tag)
            return wanted._replace(software=software)
    raise SoftwareError(f"{_name_of(wanted)} has no tag {' or '.join(wanted.tags)}.")


def _find_tag(mirror: Mirror, wanted: WantedCode) -> ResolvedRef:
    """Return the commit of the tag that a product's version gives.

    Raises:
        SoftwareError: the tag is unknown, or does not lead to a commit.
    """
    resolved = resolve_and_pin(mirror, _full_ref(wanted.software.requested_ref or ""))
    if not isinstance(resolved, ResolvedRef):
        raise SoftwareError(resolved.reason)
    return resolved


def _full_ref(tag: str) -> str:
    return f"refs/tags/{tag}"


def _name_of(wanted: WantedCode) -> str:
    if wanted.repository is not None:
        return wanted.repository.name
    return wanted.software.name or "code"


def _unpushed(revision: str, extra: _Objects) -> ResolvedRef | None:
    """Return the commit if it is among the uploaded objects, else None."""
    for kind, content in extra:
        if kind == "commit" and object_id(kind, content) == revision:
            fields = parse_commit(content)
            return ResolvedRef(
                ref_kind="commit",
                full_ref=None,
                tag_objects=(),
                commit=revision,
                tree=fields.tree,
                parents=fields.parents,
                describe=None,
                committed_at=fields.committed_at,
                subject=fields.subject,
                is_reachable=False,
            )
    return None


def _store_pack(
    parts: Parts,
    mirror: Mirror | None,
    resolved: ResolvedRef,
    wanted: WantedCode,
    uploaded: _Objects,
) -> str:
    """Store the commit's canonical pack; return its digest.

    The tree that ran is in it if its objects were uploaded, and what git needs to describe the
    commit as it did beside the job.
    """
    tree = wanted.software.worktree_tree
    trees = [tree] if tree and uploaded else []
    packed = [PackedObject(object_id(*item), *item) for item in uploaded]
    with ExitStack() as stack:
        objects: Objects = PackedObjects(packed)
        if mirror is not None:
            objects = stack.enter_context(mirror.objects())
        history = find_history(wanted.software, resolved.commit, mirror, packed)
        tags = [*resolved.tag_objects, *tag_objects(wanted.software, objects, packed)]
        pieces = canonical_pack(
            objects, resolved.commit, trees=trees, tags=tags, extra=uploaded, history=history
        )
        pack = b"".join(pieces)
    return str(parts.store.put(pack).sha256)


def _uploaded_objects(parts: Parts, wanted: WantedCode) -> _Objects:
    """Return the uploaded git objects of a dirty tree, or of a commit that was never pushed."""
    sha256 = wanted.software.objects_sha256
    if sha256 is None:
        return []
    with parts.database.reading.connect() as connection:
        if not possesses(connection, wanted.experiment, sha256):
            return []
    return [(item.kind, item.content) for item in objects_of_uploaded_pack(parts.store.get(sha256))]


def _document(
    wanted: WantedCode, resolved: ResolvedRef, pack_sha256: str, *, has_worktree: bool
) -> dict[str, object]:
    """Return what the ledger holds of a resolution."""
    how_inferred: dict[str, object] = {}
    if wanted.product_map is not None:
        template = wanted.tags[wanted.software.requested_ref or ""]
        how_inferred = inferred_fields(wanted.software, template)
    url, worktree_tree = None, None
    if wanted.repository is not None:
        url = without_credentials(wanted.repository.url)
    if has_worktree:
        worktree_tree = wanted.software.worktree_tree
    return {
        **how_inferred,
        "name": _name_of(wanted),
        "url": url,
        "requested_ref": wanted.software.requested_ref,
        "ref_kind": resolved.ref_kind,
        "tag_object": resolved.tag_object,
        "tag_objects": list(resolved.tag_objects),
        "commit": resolved.commit,
        "tree": resolved.tree,
        "parents": list(resolved.parents),
        "describe": resolved.describe,
        "committed_at": resolved.committed_at.isoformat() if resolved.committed_at else None,
        "subject": resolved.subject,
        "is_referenced": resolved.is_reachable,
        "pack_sha256": pack_sha256,
        "worktree_tree": worktree_tree,
    }


def _enter(
    writing: Writing, wanted: WantedCode, resolved: ResolvedRef, document: Mapping[str, Any]
) -> None:
    """Enter a resolution in the ledger, and queue the jobs whose gaps it changes."""
    connection = writing.connection
    if not is_still_wanted(connection, wanted):
        return  # a map in place of this one has queued the entry again
    match_key = repository_match_key(wanted.software.repository) or ""
    if wanted.repository is not None:
        # First: this locks the repository's row, so that processes take turns with its observations
        note_fetched(writing, wanted.repository.id)
        match_key = wanted.repository.match_key
    now = datetime.now(UTC)
    new = NewEntry(wanted.experiment, "resolution", now, None, b"")
    body = {"software": wanted.sha256, "match_key": match_key, "document": document}
    entry = append_document(connection, new, body)
    write_resolution_row(connection, entry, body)
    if resolved.full_ref is not None:
        oid = resolved.tag_object or resolved.commit
        observe(connection, wanted.experiment, match_key, resolved.full_ref, oid)
    # An inferred commit changes no gap: what ran is still the installed product
    if wanted.product_map is None:
        code_resolved(connection, wanted.sha256)


def write_resolution_row(connection: Connection, entry: int, body: Mapping[str, Any]) -> None:
    """Write the row of a resolution whose ledger entry exists, and point its software to it."""
    document = body["document"]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    draft = ResolutionDraft(
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        match_key=body["match_key"],
        asked=document.get("requested_ref") or document["commit"],
        commit=document["commit"],
        pack_sha256=document["pack_sha256"],
        is_referenced=document["is_referenced"],
        document=text,
        entry_id=entry,
    )
    point_at_resolution(connection, body["software"], intern_resolution(connection, draft))


def read_wanted(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry with this digest.

    Return None if it is resolved already, or if neither a registered repository nor objects that
    came with a record are known for it.

    Raises:
        SoftwareError: it is of a mapped product whose version gives no tag.
    """
    entry = unresolved_entry(connection, sha256)
    if entry is None:
        return _read_carried(connection, sha256) or _read_product(connection, sha256)
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


def _read_carried(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry if the objects that came for it give more than it is resolved to.

    They do if they came late, or if its checkout had no remote, so that they are the whole tree.
    """
    entry = carried_entry(connection, sha256)
    if entry is None or entry.software.objects_sha256 is None:
        return None
    if entry.resolution is None:
        if not is_carried_whole(entry.software):
            return None
    elif not entry.software.worktree_tree or json.loads(entry.resolution).get("worktree_tree"):
        return None
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None or not possesses(connection, experiment, entry.software.objects_sha256):
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


def is_carried_whole(software: Software) -> bool:
    """Return whether a record brings all objects of a commit: its checkout had no remote."""
    return bool(software.objects_sha256 and (software.repository or "").startswith("/"))


def _read_product(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry if the repository of its product is known, unless it is resolved by that.

    Raises:
        SoftwareError: its version gives no tag.
    """
    entry = unsourced_entry(connection, sha256)
    if entry is None:
        return None
    product_map = read_product_maps(connection).of(entry.software)
    if product_map is None or is_by(entry, product_map):
        return None
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    tags = product_tags(product_map, entry.software)
    return WantedCode(sha256, entry.software, product_map.repository, experiment, product_map, tags)


def is_still_wanted(connection: Connection, wanted: WantedCode) -> bool:
    """Whether the product's map is still the one by which its code was looked for.

    A fetch takes minutes, and an operator may have changed the map meanwhile.
    """
    tried = wanted.product_map
    if tried is None or wanted.repository is None:
        return True
    current = read_product_maps(connection).of_product(tried.name, tried.manager)
    if current is None:
        return False
    is_same_repository = current.repository.id == wanted.repository.id
    return is_same_repository and current.templates == tried.templates
