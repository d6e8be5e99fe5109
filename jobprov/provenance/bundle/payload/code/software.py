"""The code in a bundle: each entry of `software` as a plain tree in `src/`, or as a need."""

import posixpath

from msgspec.structs import replace

from jobprov.provenance.bundle.fields import RecordPart, recorded_files, to_bytes
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.needs import CODE, ENVIRONMENT, NO_LEVEL
from jobprov.provenance.bundle.payload.code.git_folder import write_git
from jobprov.provenance.bundle.payload.code.tree import CodeTree, code_tree
from jobprov.provenance.bundle.payload.payload import LaidOutLink, Payload
from jobprov.provenance.bundle.payload.places import Place, normal
from jobprov.provenance.records.gaps.code import UNREAD

_AT_ONCE = 50  # programs named on one line of the layout


def add_code(payload: Payload) -> None:
    """Write every entry of `software` that is possessed, and note the others as needs.

    Paths of checkouts are mapped to their copies.
    """
    resolutions = {resolution.index: resolution for resolution in payload.ingredients.resolutions}
    entries = payload.record.parts("software")
    # Outer checkouts first: the place of an inner one depends on that of the one around it
    outer_first = sorted(range(len(entries)), key=lambda index: _depth(entries[index], entries))
    for index in outer_first:
        _add_entry(payload, entries[index], index, resolutions.get(index))
    _add_folder_links(payload)
    # Of a hook, no software means that it looked and found only what the system has
    is_looked_for = bool(payload.record.part("hook")) and bool(payload.steps)
    if not entries and not payload.record.parts("scripts") and not is_looked_for:
        payload.needs.add(CODE, "code", "", "the record names no software and no script")


def _depth(entry: RecordPart, entries: list[RecordPart]) -> int:
    """The number of other checkouts around this one."""
    checkout = entry.text("checkout")
    depth = 0
    for other in entries:
        folder = other.text("checkout").rstrip("/")
        if other.text("checkout") and checkout.startswith(f"{folder}/"):
            depth += 1
    return depth


def _add_folder_links(payload: Payload) -> None:
    """Make the symbolic links through which the job reached folders of its checkouts.

    With these, relative paths through the links work as well.
    """
    places = payload.places
    # If the working directory is inside a checkout, OUT/work is a link itself
    is_work_link = payload.is_work_inside_checkout()
    for recorded in payload.record.parts("folder_links"):
        path, place = recorded.text("path"), places.locate(recorded.text("target"))
        if place is None or not path.startswith("/"):
            continue
        old_place = places.locate(path)
        places.map(path, place)
        if old_place is None or old_place.variable != "work" or old_place == place:
            continue
        if not is_work_link:
            way_up = "../" * old_place.rest.count("/")
            link = LaidOutLink(f"{way_up}{place.variable}{place.rest}", old_place)
            payload.links_in_out.append(link)


def _add_entry(
    payload: Payload, entry: RecordPart, index: int, resolution: Resolution | None
) -> None:
    key = "" if resolution is None else _content_key(resolution)
    name = payload.repository_name(entry.text("name"), f"software-{index}", key)
    if resolution is not None and resolution.commit:
        write_git(payload, entry, resolution, name)
    if resolution is None or not payload.has(resolution.pack):
        _add_without_repository(payload, entry)
    elif resolution.inferred is not None:
        _add_source(payload, entry, resolution, name)
    else:
        _add_checkout(payload, entry, resolution, name)


def _content_key(resolution: Resolution) -> str:
    """What tells the content of a repository's folder from that of another."""
    return f"{resolution.pack_sha256}:{resolution.ran}"


def _add_checkout(payload: Payload, entry: RecordPart, resolution: Resolution, name: str) -> None:
    """Write the tree that ran, to be laid out in the checkout's place."""
    # This maps the checkout. Even at L0, without the code, paths in it are rewritten
    place = _checkout_place(payload, entry, name)
    software = entry.text("name")
    if payload.level < CODE:
        payload.needs.add(
            CODE,
            "software",
            f"{software} {resolution.commit}".strip(),
            payload.left_out,
            digest=resolution.pack,
            place=resolution.url,
        )
        return
    _add_tree(payload, resolution, name, place, held_inside=_held_inside(payload, entry))
    if resolution.ambiguous:
        why = f"{resolution.ambiguous}; src holds that one"
        payload.needs.add(CODE, "software", software, why, place=resolution.url)
    is_changed = entry.has("is_dirty") or entry.has("worktree_tree")
    if is_changed and not resolution.worktree_tree:
        why = (
            "the files that ran differ from the commit and are not in the bundle; src holds the "
            "commit"
        )
        payload.needs.add(CODE, "software", software, why, digest=entry.text("worktree_tree"))
    _note_left_out(payload, entry)


def _note_left_out(payload: Payload, entry: RecordPart) -> None:
    """Note the files of a checkout that were not kept."""
    name, checkout = entry.text("name"), entry.text("checkout")
    recorded = set()
    for file in recorded_files(payload.record):
        if file.has("path"):
            recorded.add(payload.places.absolute(file.text("path")))
    for file in entry.parts("left_out"):
        path, why = file.text("path"), file.text("why")
        if payload.places.absolute(posixpath.join(checkout, path)) in recorded:
            continue  # a file of the job itself
        label = f"{name}/{path or 'others'}"
        size = file.number("size_bytes")
        if why in UNREAD:
            reason = f"not kept by git nor here ({why}); nothing shows that the job read it"
            payload.needs.add(NO_LEVEL, "code", label, reason, size=size)
        elif why == "secret":
            payload.needs.add(CODE, "code", label, "a secret was taken out of it; put it in again")
        else:
            payload.needs.add(CODE, "code", label, f"was not kept: {why}", size=size)


def _add_source(payload: Payload, entry: RecordPart, resolution: Resolution, name: str) -> None:
    """Write the source from which an installed product was most likely built.

    A rerun does not use it, since the product itself ran.
    """
    source = f"git/{name} has its source, inferred from its version"
    if payload.level < CODE:
        source = "its source, inferred from its version, is left out: level L0"
    _note_product(payload, entry, f"an installed product; {source}")
    if payload.level >= CODE:
        _add_tree(payload, resolution, name, None, held_inside=frozenset())


def _held_inside(payload: Payload, entry: RecordPart) -> frozenset[str]:
    """The paths of submodules whose files are not laid out with those of the checkout around them.

    Submodules with changes are entries of `software` themselves and are laid out by these. Of those
    that were not checked out, the job found empty folders.
    """
    inside = set()
    for submodule in entry.parts("submodules"):
        if submodule.fields.get("is_checked_out") is False:
            inside.add(submodule.text("path"))
    entries = payload.record.parts("software")
    top = normal(entry.text("checkout")) + "/"
    for resolution in payload.ingredients.resolutions:
        if resolution.index < len(entries) and payload.has(resolution.pack):
            checkout = normal(entries[resolution.index].text("checkout"))
            if checkout.startswith(top):
                inside.add(checkout.removeprefix(top))
    return frozenset(inside)


def _add_tree(
    payload: Payload,
    resolution: Resolution,
    name: str,
    place: Place | None,
    *,
    held_inside: frozenset[str],
) -> None:
    """Write a tree and its submodules, to be laid out if the tree has a place in the rerun.

    The submodules `held_inside` only get a folder.
    """
    tree = code_tree(payload.draft, resolution.pack, resolution.ran, name=name, top=payload.top)
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
    return submodule.commit == commit and payload.has(submodule.pack)


def _note_submodule(payload: Payload, label: str, url: str, place: Place | None) -> None:
    # The source of an installed product has no place, and no rerun needs it
    blocks = CODE if place is not None else ENVIRONMENT
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
        _content_key(submodule),
    )
    write_git(payload, RecordPart({}), submodule, name)
    place = None
    if outer_place is not None and path not in held_inside:
        place = outer_place.below(path)
    held_below = set()
    for other in held_inside:
        if other.startswith(f"{path}/"):
            held_below.add(other.removeprefix(f"{path}/"))
    _add_tree(payload, submodule, name, place, held_inside=frozenset(held_below))


def _lay_out_tree(payload: Payload, tree: CodeTree, name: str, place: Place) -> None:
    payload.provide(place, tree.paths)
    for path, first_bytes in tree.scripts.items():
        payload.note_shebang(place.below(path), first_bytes)
    payload.lay_out("source_tree", name, f"src/{name}", place)
    payload.lay_out("repository", name, place)
    for start in range(0, len(tree.programs), _AT_ONCE):
        programs = tree.programs[start : start + _AT_ONCE]
        payload.lay_out("programs", *(place.below(path) for path in programs))
    for file in tree.odd:
        payload.lay_out("place", file.stored, file.mode, place.below(file.path))
    # Links come after all files of the job, so that no file is ever written through a link
    for link in sorted(tree.links, key=lambda link: to_bytes(link.path)):
        payload.links.append(LaidOutLink(link.target, place.below(link.path)))


def _add_without_repository(payload: Payload, entry: RecordPart) -> None:
    """Write code that came as a tar file; note other code and installed products as needs."""
    tarball = entry.part("tarball")
    sha256 = tarball.digest("sha256")
    if tarball and payload.level >= CODE and payload.has(sha256):
        _add_tarball(payload, tarball.text("path"), sha256)
    elif entry.has("repository") or entry.has("revision") or tarball:
        version = entry.text("revision") or entry.text("requested_ref")
        payload.needs.add(
            CODE,
            "software",
            f"{entry.text('name')} {version}".strip(),
            "its source is not in the bundle",
            digest=sha256,
            place=entry.text("repository") or tarball.text("path"),
        )
    else:
        _note_product(payload, entry, "an installed product")


def _add_tarball(payload: Payload, path: str, sha256: str) -> None:
    stored = payload.shelve("src/tarballs", posixpath.basename(path), sha256)
    place = payload.places.settle(path)
    if place is not None:
        payload.lay_out("place", stored, "0644", place)


def _note_product(payload: Payload, entry: RecordPart, why: str) -> None:
    product = entry.part("product")
    names = entry.text("name"), product.text("version"), product.text("qualifiers")
    payload.needs.add(
        ENVIRONMENT,
        "product",
        " ".join(filter(None, names)),
        why,
        digest=product.text("root_hash"),
        place=product.text("prefix") or entry.text("checkout"),
    )


def _checkout_place(payload: Payload, entry: RecordPart, name: str) -> Place:
    """The place of a repository's copy: in that of the folder around it if it has one, else `$src`.

    The checkout is mapped to it.
    """
    places, work = payload.places, payload.places.working_directory
    checkout = entry.text("checkout") or entry.part("product").text("prefix")
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
