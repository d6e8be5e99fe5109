"""The code in a bundle: `git/` (canonical packs), `src/` (plain trees of what ran), LICENSES."""

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobprov.provenance.bundle.fields import digest, mapping, readable_json, rows, text, to_bytes
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.payload.code_tree import CodeTree, code_tree
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, normal

_AT_ONCE = 50
_ENVIRONMENT = 3  # the level that installed software stands in the way of


def add_code(payload: Payload) -> None:
    """Write every entry of `software` that is possessed, and note the rest as needs.

    Checkouts are mapped to their copies.
    """
    found = {resolution.index: resolution for resolution in payload.ingredients.resolutions}
    entries = rows(payload.record.get("software"))
    for index, entry in sorted(enumerate(entries), key=lambda each: _depth(each[1], entries)):
        _add_entry(payload, entry, index, found.get(index))
    _add_folder_links(payload)
    if not entries and not rows(payload.record.get("scripts")):
        payload.needs.add(1, "code", "", "the record names no software and no script")


def _add_folder_links(payload: Payload) -> None:
    """Let copies be found by the symbolic links through which the job reached its checkouts.

    These are links to folders of checkouts; they work by relative paths as well.
    """
    places = payload.places
    # Then OUT/work is a link itself
    is_inside = any(line.startswith("work_inside ") for line in payload.layout)
    for link in rows(payload.record.get("folder_links")):
        path, place = text(link.get("path")), places.locate(text(link.get("target")))
        if place is None or not path.startswith("/"):
            continue
        old = places.locate(path)
        places.map(path, place)
        if old is not None and old.variable == "work" and old != place and not is_inside:
            payload.links.append(
                (f"{'../' * old.rest.count('/')}{place.variable}{place.rest}", old)
            )


def _depth(entry: Mapping[str, Any], entries: list[dict[str, Any]]) -> int:
    """In how many other checkouts this one lies.

    What lies inside finds its place by what lies outside.
    """
    checkout = text(entry.get("checkout"))
    tops = [text(other.get("checkout")) for other in entries]
    return sum(1 for top in tops if top and checkout.startswith(f"{top.rstrip('/')}/"))


def _add_entry(
    payload: Payload, entry: Mapping[str, Any], index: int, resolution: Resolution | None
) -> None:
    key = "" if resolution is None else f"{resolution.pack_sha256}:{resolution.ran}"
    name = payload.repository_name(text(entry.get("name")), f"software-{index}", key)
    if resolution is not None and resolution.commit:
        _write_git(payload, entry, resolution, name)
    if resolution is None or not payload.has(resolution.pack_sha256 or ""):
        _note_missing(payload, entry)
        return
    if resolution.inferred is not None:
        _add_source(payload, entry, resolution, name)
        return
    place = _checkout_place(payload, entry, name)
    if payload.level < 1:
        label = f"{text(entry.get('name'))} {resolution.commit}".strip()
        payload.needs.add(
            1,
            "software",
            label,
            "left out: level L0",
            digest=resolution.pack_sha256 or "",
            place=resolution.url,
        )
        return
    _add_tree(payload, resolution, name, place, _held_inside(payload, entry))
    if resolution.ambiguous:
        why = f"{resolution.ambiguous}; src holds that one"
        payload.needs.add(1, "software", text(entry.get("name")), why, place=resolution.url)
    if entry.get("is_dirty") and not resolution.worktree_tree:
        payload.needs.add(
            1,
            "software",
            text(entry.get("name")),
            "uncommitted changes that ran are not in the bundle; src holds the commit",
            digest=text(entry.get("worktree_tree")),
        )


def _add_source(
    payload: Payload, entry: Mapping[str, Any], resolution: Resolution, name: str
) -> None:
    """Write what an installed product was most likely built from.

    No rerun lays it out: what ran was the product.
    """
    if payload.level < 1:
        _note_product(
            payload,
            entry,
            "an installed product; its source, inferred from its version, is left out: level L0",
        )
        return
    _note_product(
        payload,
        entry,
        f"an installed product; git/{name} has its source, inferred from its version",
    )
    _add_tree(payload, resolution, name, None)


def _held_inside(payload: Payload, entry: Mapping[str, Any]) -> frozenset[str]:
    """Where, inside this checkout, lie others that the record names and the archive holds.

    These are submodules that were changed.
    """
    entries, top = rows(payload.record.get("software")), normal(text(entry.get("checkout"))) + "/"
    held = [
        found.index
        for found in payload.ingredients.resolutions
        if payload.has(found.pack_sha256 or "")
    ]
    checkouts = [
        normal(text(entries[index].get("checkout"))) for index in held if index < len(entries)
    ]
    return frozenset(
        checkout.removeprefix(top) for checkout in checkouts if checkout.startswith(top)
    )


def _add_tree(
    payload: Payload,
    resolution: Resolution,
    name: str,
    place: Place | None,
    held_inside: frozenset[str] = frozenset(),
) -> None:
    """Write a tree and lay it out, where it has a place.

    Then its submodules, each as a repository of its own that lies inside.

    Submodules that are held inside are laid out by entries of their own.
    """
    pack = resolution.pack_sha256 or ""
    tree = code_tree(payload.draft, pack, resolution.ran, name=name, top=payload.top)
    payload.draft.add_fragment(tree.fragment)
    for path, member in tree.licences.items():
        stored = payload.shelf.take("LICENSES", f"{name}-{path}", member.sha256)
        payload.draft.add_member(replace(member, path=f"data/{stored}", mode=0o644))
    if place is not None:
        _lay_out_tree(payload, tree, name, place)
    known = {submodule.path: submodule for submodule in resolution.submodules}
    for path, commit in tree.submodules.items():
        submodule = known.get(path)
        if (
            submodule is None
            or submodule.commit != commit
            or not payload.has(submodule.pack_sha256 or "")
        ):
            where = submodule.url if submodule is not None else ""
            why = "a submodule whose files are not in the bundle"
            blocks = 1 if place is not None else _ENVIRONMENT
            payload.needs.add(blocks, "submodule", f"{name}/{path} {commit}", why, place=where)
            continue
        wanted = f"{name}-{path.replace('/', '-')}"
        inner = payload.repository_name(
            wanted, f"{name}-{commit}", f"{submodule.pack_sha256}:{submodule.ran}"
        )
        _write_git(payload, {"path_in_parent": path}, submodule, inner)
        below = frozenset(
            other.removeprefix(f"{path}/") for other in held_inside if other.startswith(f"{path}/")
        )
        inside = None if place is None or path in held_inside else place.below(path)
        _add_tree(payload, submodule, inner, inside, below)


def _lay_out_tree(payload: Payload, tree: CodeTree, name: str, place: Place) -> None:
    payload.provide(place, tree.paths)
    for path, first_bytes in tree.scripts.items():
        payload.note_shebang(place.below(path), first_bytes)
    payload.lay_out("source_tree", name, f"src/{name}", place)
    for start in range(0, len(tree.programs), _AT_ONCE):
        payload.lay_out(
            "programs", *(place.below(path) for path in tree.programs[start : start + _AT_ONCE])
        )
    for stored, mode, path in tree.odd:
        payload.lay_out("place", stored, mode, place.below(path))
    # links come after every file of the job, so that no file is ever written through one
    for target, path in sorted(tree.links, key=lambda line: to_bytes(line[1])):
        payload.links.append((target, place.below(path)))


def _write_git(
    payload: Payload, entry: Mapping[str, Any], resolution: Resolution, name: str
) -> None:
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
        "worktree_tree": resolution.worktree_tree or text(entry.get("worktree_tree")) or None,
        "path_in_parent": text(entry.get("path_in_parent")) or None,
        "submodules": rows(entry.get("submodules")),
        "swhid": f"swh:1:rev:{resolution.commit}",
    }
    if resolution.inferred is not None:
        reference |= {"evidence": "inferred", **resolution.inferred}
    payload.write(f"git/{name}/ref.json", readable_json(reference))
    if payload.level >= 1 and payload.has(resolution.pack_sha256 or ""):
        payload.keep(f"git/{name}/objects.pack", resolution.pack_sha256 or "")
        shallow = [resolution.commit] if not resolution.shallow else sorted(resolution.shallow)
        payload.write(f"git/{name}/shallow", "".join(f"{commit}\n" for commit in shallow).encode())
        # what `run.sh --from-git` checks out
        payload.write(f"git/{name}/ran", f"{resolution.ran}\n".encode())
    patch = digest(entry.get("dirty_patch_sha256"))
    if payload.level >= 1 and payload.has(patch):
        payload.keep(f"git/{name}/dirty.patch", patch)


def _note_missing(payload: Payload, entry: Mapping[str, Any]) -> None:
    tarball = mapping(entry.get("tarball"))
    name, sha256 = text(entry.get("name")), digest(tarball.get("sha256"))
    if tarball and payload.level >= 1 and payload.has(sha256):
        stored = payload.shelf.take(
            "src/tarballs", posixpath.basename(text(tarball.get("path"))), sha256
        )
        payload.keep(stored, sha256)
        place = payload.places.settle(text(tarball.get("path")))
        if place is not None:
            payload.lay_out("place", stored, "0644", place)
        return
    if entry.get("repository") or entry.get("revision") or tarball:
        label = f"{name} {text(entry.get('revision')) or text(entry.get('requested_ref'))}".strip()
        where = text(entry.get("repository")) or text(tarball.get("path"))
        payload.needs.add(
            1, "software", label, "its source is not in the bundle", digest=sha256, place=where
        )
        return
    _note_product(payload, entry, "an installed product")


def _note_product(payload: Payload, entry: Mapping[str, Any], why: str) -> None:
    product = mapping(entry.get("product"))
    words = text(entry.get("name")), text(product.get("version")), text(product.get("qualifiers"))
    where = text(product.get("prefix")) or text(entry.get("checkout"))
    label, root_hash = " ".join(word for word in words if word), text(product.get("root_hash"))
    payload.needs.add(_ENVIRONMENT, "product", label, why, digest=root_hash, place=where)


def _checkout_place(payload: Payload, entry: Mapping[str, Any], name: str) -> Place:
    """Where a repository's copy lies: in `$src`, or in the working directory if it lay there."""
    places, work = payload.places, payload.places.working_directory
    checkout = text(entry.get("checkout")) or text(mapping(entry.get("product")).get("prefix"))
    if not checkout.startswith("/"):
        # a checkout inside the working directory
        settled = places.settle(checkout)
        return settled or Place("src", f"/{name}")
    checkout = normal(checkout)
    if work and checkout != work and work.startswith(checkout + "/"):
        outside = places.locate(checkout)
        place = outside or Place("src", f"/{name}")
        if outside is None:  # else the checkout around this one is where the job ran
            payload.layout.insert(0, f"work_inside {place.below(work[len(checkout) + 1 :]).word()}")
    else:
        place = places.locate(checkout) or Place("src", f"/{name}")
    places.map(checkout, place)
    return place
