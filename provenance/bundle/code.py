"""The code in a bundle: `git/` (canonical packs), `src/` (plain trees of what ran), LICENSES."""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from provenance.bundle.fields import digest, mapping, readable_json, rows, text, to_bytes
from provenance.bundle.ingredients import GITLINK, SYMLINK, Resolution, SourceFile
from provenance.bundle.names import plain_name
from provenance.bundle.payload import Payload
from provenance.bundle.places import Place, normal

_LICENCE = re.compile(r"(?:LICEN[CS]E|COPYING|NOTICE)(?:[._-][A-Za-z0-9._-]*)?\Z", re.IGNORECASE)
_MODES = ("mode", "sha256", "path", "stored", "target")
_AT_ONCE = 50


def add_code(payload: Payload) -> None:
    """Write every entry of `software` that is possessed, note the rest as needs, map checkouts to their copies."""
    found = {resolution.index: resolution for resolution in payload.ingredients.resolutions}
    entries = rows(payload.record.get("software"))
    taken: set[str] = set()
    for index, entry in enumerate(entries):
        name = _repository_name(text(entry.get("name")), index, taken)
        _add_entry(payload, entry, found.get(index), name)
    if not entries and not rows(payload.record.get("scripts")):
        payload.needs.add(1, "code", "", "the record names no software and no script")


def _repository_name(name: str, index: int, taken: set[str]) -> str:
    wanted = plain_name(name, f"software-{index}")
    if wanted.lower() in taken or wanted.endswith((".odd", ".modes.tsv")):
        wanted = f"software-{index}"
    taken.add(wanted.lower())
    return wanted


def _add_entry(payload: Payload, entry: Mapping[str, Any], resolution: Resolution | None, name: str) -> None:
    if resolution is not None and resolution.commit:
        _write_git(payload, entry, resolution, name)
    files = iter(()) if resolution is None else payload.ingredients.source_files(resolution)
    source = _Source(payload, name)
    for file in files:
        source.add(file)
    if not source.modes:
        _note_missing(payload, entry)
        return
    source.finish(_checkout_place(payload, entry, name))
    if entry.get("is_dirty") and resolution is not None and not resolution.is_worktree:
        payload.needs.add(
            1,
            "software",
            text(entry.get("name")),
            "uncommitted changes that ran are not in the bundle; src holds the commit",
            digest=text(entry.get("worktree_tree")),
        )


def _write_git(payload: Payload, entry: Mapping[str, Any], resolution: Resolution, name: str) -> None:
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
        "worktree_tree": text(entry.get("worktree_tree")) or None,
        "submodules": rows(entry.get("submodules")),
    }
    payload.write(f"git/{name}/ref.json", readable_json(reference))
    if payload.level >= 1 and payload.has(resolution.pack_sha256 or ""):
        payload.keep(f"git/{name}/objects.pack", resolution.pack_sha256 or "")
        shallow = [resolution.commit] if not resolution.shallow else sorted(resolution.shallow)
        payload.write(f"git/{name}/shallow", "".join(f"{commit}\n" for commit in shallow).encode())
    patch = digest(entry.get("dirty_patch_sha256"))
    if payload.level >= 1 and payload.has(patch):
        payload.keep(f"git/{name}/dirty.patch", patch)


def _note_missing(payload: Payload, entry: Mapping[str, Any]) -> None:
    product, tarball = mapping(entry.get("product")), mapping(entry.get("tarball"))
    name, sha256 = text(entry.get("name")), digest(tarball.get("sha256"))
    if tarball and payload.level >= 1 and payload.has(sha256):
        stored = payload.shelf.take("src/tarballs", posixpath.basename(text(tarball.get("path"))), sha256)
        payload.keep(stored, sha256)
        place = payload.places.settle(text(tarball.get("path")))
        if place is not None:
            payload.lay_out("place", stored, "0644", place)
        return
    if entry.get("repository") or entry.get("revision") or tarball:
        label = f"{name} {text(entry.get('revision')) or text(entry.get('requested_ref'))}".strip()
        where = text(entry.get("repository")) or text(tarball.get("path"))
        payload.needs.add(1, "software", label, "its source is not in the bundle", digest=sha256, place=where)
        return
    label = " ".join(word for word in (name, text(product.get("version")), text(product.get("qualifiers"))) if word)
    where = text(product.get("prefix")) or text(entry.get("checkout"))
    payload.needs.add(3, "product", label, "an installed product", digest=text(product.get("root_hash")), place=where)


def _checkout_place(payload: Payload, entry: Mapping[str, Any], name: str) -> Place:
    """Where the copy of a repository lies: in `$src`, or in the working directory if the checkout lay there."""
    places, work = payload.places, payload.places.working_directory
    checkout = text(entry.get("checkout")) or text(mapping(entry.get("product")).get("prefix"))
    if not checkout.startswith("/"):
        # a checkout inside the working directory
        settled = places.settle(checkout)
        return settled or Place("src", f"/{name}")
    checkout = normal(checkout)
    if work and checkout != work and work.startswith(checkout + "/"):
        place = Place("src", f"/{name}")
        payload.layout.insert(0, f"work_inside {place.below(work[len(checkout) + 1 :]).word()}")
    else:
        place = places.locate(checkout) or Place("src", f"/{name}")
    places.map(checkout, place)
    return place


class _Source:
    """One repository's plain tree: what is stored under which name, and how it is restored."""

    def __init__(self, payload: Payload, name: str) -> None:
        self._payload = payload
        self._name = name
        self.modes: list[tuple[str, ...]] = []
        self._odd: list[tuple[str, str, str]] = []
        self._links: list[tuple[str, str]] = []
        self._programs: list[str] = []
        self._scripts: dict[str, bytes] = {}

    def add(self, file: SourceFile) -> None:
        path, mode, data = file
        data = to_bytes(data) if isinstance(data, str) else data
        if mode == GITLINK:
            self._payload.needs.add(1, "submodule", f"{self._name}/{path}", "its files are not in the bundle")
        elif mode == SYMLINK:
            self._links.append((data.decode("utf-8", "surrogateescape"), path))
            self.modes.append(("120000", "", path, "", data.decode("utf-8", "surrogateescape")))
        else:
            self._add_file(path, mode, data)

    def _add_file(self, path: str, mode: int, data: bytes) -> None:
        is_program = bool(mode & 0o111)
        octal = "100755" if is_program else "100644"
        if self._payload.level < 1:
            self.modes.append((octal, "", path, "", ""))
            return
        if data.startswith(b"#!"):
            self._scripts[path] = data[:512]
        sha256 = hashlib.sha256(data).hexdigest()
        folder = f"src/{self._name}"
        stored = self._payload.shelf.take(folder, path, sha256, odd=f"{folder}.odd")
        self._payload.write(stored, data, mode=0o755 if is_program else 0o644)
        self.modes.append((octal, sha256, path, stored, ""))
        if stored != f"{folder}/{path}":
            self._odd.append((stored, octal[2:], path))
        elif is_program:
            self._programs.append(path)
        if "/" not in path and _LICENCE.match(path):
            self._payload.write(self._payload.shelf.take("LICENSES", f"{self._name}-{path}", sha256), data)

    def finish(self, place: Place) -> None:
        """Write the table of modes and the lines that restore the tree at its place."""
        payload = self._payload
        payload.table(f"src/{self._name}.modes.tsv", _MODES, sorted(self.modes, key=lambda line: to_bytes(line[2])))
        payload.provided |= {place.below(line[2]) for line in self.modes}
        if payload.level < 1:
            return
        for path, first_bytes in self._scripts.items():
            payload.note_shebang(place.below(path), first_bytes)
        payload.lay_out("source_tree", f"src/{self._name}", place)
        programs = sorted(self._programs, key=to_bytes)
        for start in range(0, len(programs), _AT_ONCE):
            payload.lay_out("programs", *(place.below(path) for path in programs[start : start + _AT_ONCE]))
        for stored, mode, path in sorted(self._odd, key=lambda line: to_bytes(line[2])):
            payload.lay_out("place", stored, "0" + mode[1:], place.below(path))
        # links come after every file of the job, so that no file is ever written through one
        for target, path in sorted(self._links, key=lambda line: to_bytes(line[1])):
            payload.links.append((target, place.below(path)))
