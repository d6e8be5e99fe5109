"""The code in a bundle: `git/` (canonical packs), `src/` (plain trees of what ran), LICENSES."""

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobprov.provenance.bundle.fields import (
    digest,
    mapping,
    number,
    readable_json,
    rows,
    text,
    to_bytes,
)
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.payload.code.git_folder import add_repository
from jobprov.provenance.bundle.payload.code.tree import CodeTree, code_tree
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, normal
from jobprov.provenance.records.gaps.code import UNREAD
from jobprov.provenance.records.job_record import JsonObject

Entry = Mapping[str, Any]
"""An entry of `software`, as it was recorded."""
_AT_ONCE = 50  # programs named on one line of the layout
_ENVIRONMENT = 3  # the level that installed software blocks
_NO_LEVEL = 9  # a need that blocks none


def add_code(payload: Payload) -> None:
    """Write every entry of `software` that is possessed, and note the others as needs.

    Paths of checkouts are mapped to their copies.
    """
    resolutions = {resolution.index: resolution for resolution in payload.ingredients.resolutions}
    entries = rows(payload.record.get("software"))
    # Outer checkouts first: the place of an inner one depends on that of the one around it
    outer_first = sorted(range(len(entries)), key=lambda index: _depth(entries[index], entries))
    for index in outer_first:
        _add_entry(payload, entries[index], index, resolutions.get(index))
    _add_folder_links(payload)
    if not entries and not rows(payload.record.get("scripts")):
        payload.needs.add(1, "code", "", "the record names no software and no script")


def _depth(entry: Entry, entries: list[JsonObject]) -> int:
    """The number of other checkouts around this one."""
    checkout = text(entry.get("checkout"))
    depth = 0
    for other in entries:
        folder = text(other.get("checkout")).rstrip("/")
        if text(other.get("checkout")) and checkout.startswith(f"{folder}/"):
            depth += 1
    return depth


def _add_folder_links(payload: Payload) -> None:
    """Make the symbolic links through which the job reached folders of its checkouts.

    With these, relative paths through the links work as well.
    """
    places = payload.places
    # If the working directory is inside a checkout, OUT/work is a link itself
    is_inside = any(line.startswith("work_inside ") for line in payload.layout)
    for link in rows(payload.record.get("folder_links")):
        path, place = text(link.get("path")), places.locate(text(link.get("target")))
        if place is None or not path.startswith("/"):
            continue
        old_place = places.locate(path)
        places.map(path, place)
        if old_place is None or old_place.variable != "work" or old_place == place or is_inside:
            continue
        way_up = "../" * old_place.rest.count("/")
        payload.links_in_out.append((f"{way_up}{place.variable}{place.rest}", old_place))


def _add_entry(payload: Payload, entry: Entry, index: int, resolution: Resolution | None) -> None:
    key = "" if resolution is None else f"{resolution.pack_sha256}:{resolution.ran}"
    name = payload.repository_name(text(entry.get("name")), f"software-{index}", key)
    if resolution is not None and resolution.commit:
        _write_git(payload, entry, resolution, name)
    if resolution is None or not payload.has(resolution.pack_sha256 or ""):
        _add_without_repository(payload, entry)
    elif resolution.inferred is not None:
        _add_source(payload, entry, resolution, name)
    else:
        _add_checkout(payload, entry, resolution, name)


def _add_checkout(payload: Payload, entry: Entry, resolution: Resolution, name: str) -> None:
    """Write the tree that ran, to be laid out in the checkout's place."""
    # This maps the checkout. Even at L0, without the code, paths in it are rewritten
    place = _checkout_place(payload, entry, name)
    software = text(entry.get("name"))
    if payload.level < 1:
        payload.needs.add(
            1,
            "software",
            f"{software} {resolution.commit}".strip(),
            "left out: level L0",
            digest=resolution.pack_sha256 or "",
            place=resolution.url,
        )
        return
    _add_tree(payload, resolution, name, place, _held_inside(payload, entry))
    if resolution.ambiguous:
        why = f"{resolution.ambiguous}; src holds that one"
        payload.needs.add(1, "software", software, why, place=resolution.url)
    is_changed = entry.get("is_dirty") or entry.get("worktree_tree")
    if is_changed and not resolution.worktree_tree:
        payload.needs.add(
            1,
            "software",
            software,
            "the files that ran differ from the commit and are not in the bundle; src holds the commit",
            digest=text(entry.get("worktree_tree")),
        )
    _note_left_out(payload, entry)


def _empty_folders(entry: Entry) -> frozenset[str]:
    """The paths of submodules that were not checked out: the job found empty folders."""
    submodules = rows(entry.get("submodules"))
    return frozenset(
        text(submodule.get("path"))
        for submodule in submodules
        if submodule.get("is_checked_out") is False
    )


def _recorded_files(payload: Payload) -> set[str]:
    """The absolute paths of the files that the record describes by themselves."""
    files = [
        *rows(payload.record.get("inputs")),
        *rows(payload.record.get("outputs")),
        *rows(payload.record.get("scripts")),
    ]
    return {payload.places.absolute(text(file.get("path"))) for file in files if file.get("path")}


def _note_left_out(payload: Payload, entry: Entry) -> None:
    """Note the files of a checkout that were not kept."""
    name, checkout = text(entry.get("name")), text(entry.get("checkout"))
    recorded = _recorded_files(payload)
    for file in rows(entry.get("left_out")):
        path, why = text(file.get("path")), text(file.get("why"))
        if payload.places.absolute(posixpath.join(checkout, path)) in recorded:
            continue  # a file of the job itself
        label = f"{name}/{path or 'others'}"
        size = number(file.get("size_bytes"))
        if why in UNREAD:
            reason = f"not kept by git nor here ({why}); nothing shows that the job read it"
            payload.needs.add(_NO_LEVEL, "code", label, reason, size=size)
        elif why == "secret":
            payload.needs.add(1, "code", label, "a secret was taken out of it; put it in again")
        else:
            payload.needs.add(1, "code", label, f"was not kept: {why}", size=size)


def _add_source(payload: Payload, entry: Entry, resolution: Resolution, name: str) -> None:
    """Write the source from which an installed product was most likely built.

    A rerun does not use it, since the product itself ran.
    """
    source = f"git/{name} has its source, inferred from its version"
    if payload.level < 1:
        source = "its source, inferred from its version, is left out: level L0"
    _note_product(payload, entry, f"an installed product; {source}")
    if payload.level >= 1:
        _add_tree(payload, resolution, name, None)


def _held_inside(payload: Payload, entry: Entry) -> frozenset[str]:
    """The paths of other checkouts inside this one that the record names and the archive holds.

    These are submodules with changes.
    """
    entries = rows(payload.record.get("software"))
    top = normal(text(entry.get("checkout"))) + "/"
    inside = set(_empty_folders(entry))
    for resolution in payload.ingredients.resolutions:
        if resolution.index < len(entries) and payload.has(resolution.pack_sha256 or ""):
            checkout = normal(text(entries[resolution.index].get("checkout")))
            if checkout.startswith(top):
                inside.add(checkout.removeprefix(top))
    return frozenset(inside)


def _add_tree(
    payload: Payload,
    resolution: Resolution,
    name: str,
    place: Place | None,
    held_inside: frozenset[str] = frozenset(),
) -> None:
    """Write a tree and its submodules, to be laid out if the tree has a place in the rerun.

    `held_inside` are submodules that are entries of `software` themselves and are laid out by these,
    and those that were not checked out: the job found empty folders.
    """
    pack = resolution.pack_sha256 or ""
    tree = code_tree(payload.draft, pack, resolution.ran, name=name, top=payload.top)
    payload.draft.add_fragment(tree.fragment)
    for path, member in tree.licences.items():
        stored = payload.shelf.take("LICENSES", f"{name}-{path}", member.sha256)
        payload.draft.add_member(replace(member, path=f"data/{stored}", mode=0o644))
    if place is not None:
        _lay_out_tree(payload, tree, name, place)
    submodules = {submodule.path: submodule for submodule in resolution.submodules}
    for path, commit in tree.submodules.items():
        submodule = submodules.get(path)
        if place is not None:
            payload.lay_out("folder", place.below(path))
        if path in held_inside:
            continue
        if submodule is not None and _holds_commit(payload, submodule, commit):
            _add_submodule(payload, submodule, name, place, held_inside)
        else:
            url = "" if submodule is None else submodule.url
            _note_submodule(payload, f"{name}/{path} {commit}", url, place)


def _holds_commit(payload: Payload, submodule: Resolution, commit: str) -> bool:
    return submodule.commit == commit and payload.has(submodule.pack_sha256 or "")


def _note_submodule(payload: Payload, label: str, url: str, place: Place | None) -> None:
    # The source of an installed product has no place, and no rerun needs it
    blocks = 1 if place is not None else _ENVIRONMENT
    why = "a submodule whose files are not in the bundle"
    payload.needs.add(blocks, "submodule", label, why, place=url)


def _add_submodule(
    payload: Payload,
    submodule: Resolution,
    outer_name: str,
    outer_place: Place | None,
    held_inside: frozenset[str],
) -> None:
    path = submodule.path
    name = payload.repository_name(
        f"{outer_name}-{path.replace('/', '-')}",
        f"{outer_name}-{submodule.commit}",
        f"{submodule.pack_sha256}:{submodule.ran}",
    )
    _write_git(payload, {"path_in_parent": path}, submodule, name)
    place = None
    if outer_place is not None and path not in held_inside:
        place = outer_place.below(path)
    below = {other for other in held_inside if other.startswith(f"{path}/")}
    held_below = frozenset(other.removeprefix(f"{path}/") for other in below)
    _add_tree(payload, submodule, name, place, held_below)


def _lay_out_tree(payload: Payload, tree: CodeTree, name: str, place: Place) -> None:
    payload.provide(place, tree.paths)
    for path, first_bytes in tree.scripts.items():
        payload.note_shebang(place.below(path), first_bytes)
    payload.lay_out("source_tree", name, f"src/{name}", place)
    payload.lay_out("repository", name, place)
    for start in range(0, len(tree.programs), _AT_ONCE):
        programs = tree.programs[start : start + _AT_ONCE]
        payload.lay_out("programs", *(place.below(path) for path in programs))
    for stored, mode, path in tree.odd:
        payload.lay_out("place", stored, mode, place.below(path))
    # Links come after all files of the job, so that no file is ever written through a link
    for target, path in sorted(tree.links, key=lambda line: to_bytes(line[1])):
        payload.links.append((target, place.below(path)))


def _write_git(payload: Payload, entry: Entry, resolution: Resolution, name: str) -> None:
    """Write `git/NAME`: what the commit is, its objects, and the patch of uncommitted changes."""
    payload.write(f"git/{name}/ref.json", readable_json(_reference(entry, resolution)))
    if payload.level < 1:
        return
    pack = resolution.pack_sha256 or ""
    if payload.has(pack):
        payload.keep(f"git/{name}/objects.pack", pack)
        shallow = sorted(resolution.shallow) or [resolution.commit]
        payload.write(f"git/{name}/shallow", "".join(f"{commit}\n" for commit in shallow).encode())
        # For `run.sh --from-git`: what it checks out
        payload.write(f"git/{name}/ran", f"{resolution.ran}\n".encode())
        add_repository(payload, entry, resolution, name)
    patch = digest(entry.get("dirty_patch_sha256"))
    if payload.has(patch):
        payload.keep(f"git/{name}/dirty.patch", patch)


def _reference(entry: Entry, resolution: Resolution) -> JsonObject:
    """What is known of a commit: from the repository, else from the record."""
    worktree_tree = resolution.worktree_tree or text(entry.get("worktree_tree"))
    reference = {
        "name": resolution.name,
        "url": resolution.url or text(entry.get("repository")),
        "requested_ref": resolution.requested_ref or text(entry.get("requested_ref")),
        "ref_kind": resolution.ref_kind,
        "tag_object": resolution.tag_object,
        "commit": resolution.commit,
        "tree": resolution.tree,
        "describe": resolution.describe,
        "committed_at": resolution.committed_at,
        "evidence": text(entry.get("evidence")),
        "is_dirty": bool(entry.get("is_dirty")),
        "worktree_tree": worktree_tree or None,
        "path_in_parent": text(entry.get("path_in_parent")) or None,
        "submodules": rows(entry.get("submodules")),
        "swhid": f"swh:1:rev:{resolution.commit}",
    }
    if resolution.inferred is not None:
        reference |= {"evidence": "inferred", **resolution.inferred}
    return reference


def _add_without_repository(payload: Payload, entry: Entry) -> None:
    """Write code that came as a tar file; note other code and installed products as needs."""
    tarball = mapping(entry.get("tarball"))
    sha256 = digest(tarball.get("sha256"))
    if tarball and payload.level >= 1 and payload.has(sha256):
        _add_tarball(payload, text(tarball.get("path")), sha256)
    elif entry.get("repository") or entry.get("revision") or tarball:
        version = text(entry.get("revision")) or text(entry.get("requested_ref"))
        payload.needs.add(
            1,
            "software",
            f"{text(entry.get('name'))} {version}".strip(),
            "its source is not in the bundle",
            digest=sha256,
            place=text(entry.get("repository")) or text(tarball.get("path")),
        )
    else:
        _note_product(payload, entry, "an installed product")


def _add_tarball(payload: Payload, path: str, sha256: str) -> None:
    stored = payload.shelve("src/tarballs", posixpath.basename(path), sha256)
    place = payload.places.settle(path)
    if place is not None:
        payload.lay_out("place", stored, "0644", place)


def _note_product(payload: Payload, entry: Entry, why: str) -> None:
    product = mapping(entry.get("product"))
    names = text(entry.get("name")), text(product.get("version")), text(product.get("qualifiers"))
    payload.needs.add(
        _ENVIRONMENT,
        "product",
        " ".join(filter(None, names)),
        why,
        digest=text(product.get("root_hash")),
        place=text(product.get("prefix")) or text(entry.get("checkout")),
    )


def _checkout_place(payload: Payload, entry: Entry, name: str) -> Place:
    """The place of a repository's copy: in the working directory if it was there, else in `$src`."""
    places, work = payload.places, payload.places.working_directory
    checkout = text(entry.get("checkout")) or text(mapping(entry.get("product")).get("prefix"))
    own_place = Place("src", f"/{name}")
    if not checkout.startswith("/"):
        # The checkout was inside the working directory
        return places.settle(checkout) or own_place
    checkout = normal(checkout)
    outer_place = places.locate(checkout)
    place = outer_place or own_place
    # If there is a checkout around this one, that one has already settled where the job ran
    if outer_place is None and work.startswith(checkout + "/"):
        payload.layout.insert(0, f"work_inside {place.below(work[len(checkout) + 1 :]).word()}")
    places.map(checkout, place)
    return place
