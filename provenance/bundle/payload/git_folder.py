"""The repository of a bundle's code: `git/NAME/`, from which run.sh lays out a `.git`.

So git in the job answers as it did: `git describe`, `git log`, `git status`, `git clone .`. What
depends only on the code is a fragment, planned once for all jobs of a release. Git is not needed.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

from jobprov.provenance.bundle.draft import Fragment, by_path, member_of
from jobprov.provenance.bundle.fields import canonical_json, rows, text, texts
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.payload.code_tree import listing_of
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.software.names import is_oid, is_ref_name
from jobprov.provenance.software.packs.git_files import GitFiles, git_files

Entry = Mapping[str, Any]
_REMEMBERED = 8
_ABBREVIATION = re.compile(r"(?:^|-g)([0-9a-f]{4,40})\Z")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


class _Planned(NamedTuple):
    fragment: Fragment
    files: GitFiles


def add_repository(payload: Payload, entry: Entry, resolution: Resolution, name: str) -> None:
    """Write what makes the pack a repository: its index, HEAD, refs, settings."""
    converted = None
    if entry.get("is_dirty"):
        converted = frozenset(texts(entry.get("converted")))
    planned = _planned(payload, resolution, name, converted)
    payload.draft.add_fragment(planned.fragment)
    payload.write(f"git/{name}/HEAD", _head(entry, resolution))
    payload.write(f"git/{name}/packed-refs", _refs(entry, resolution, planned.files))
    payload.write(f"git/{name}/config", _settings(entry, resolution))
    ends = "".join(f"{oid}\n" for oid in planned.files.shallow)
    payload.write(f"git/{name}/history-ends", ends.encode())


def _planned(
    payload: Payload, resolution: Resolution, name: str, converted: frozenset[str] | None
) -> _Planned:
    pack = resolution.pack_sha256 or ""
    key = (pack, resolution.commit, resolution.ran, name, converted)
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)
            return _recent[key]
    files = git_files(
        payload.draft.reader.get(pack),
        resolution.commit,
        resolution.ran,
        hides=lambda path: converted is None or path in converted,
    )
    folder = f"data/git/{name}"
    contents = {f"{folder}/index": files.index, f"{folder}/objects.idx": files.pack_index}
    members = [member_of(path, data) for path, data in contents.items()]
    members.sort(key=by_path)
    listing = canonical_json(listing_of(pack, members))
    blobs = {member.sha256: contents[member.path] for member in members}
    sha256 = hashlib.sha256(listing).hexdigest()
    fragment = Fragment(
        sha256=sha256,
        members=tuple(members),
        blobs={**blobs, sha256: listing},
        size_bytes=sum(member.size for member in members),
        path_bytes=sum(len(member.path) for member in members),
    )
    planned = _Planned(fragment, files)
    with _lock:
        _recent[key] = planned
        while len(_recent) > _REMEMBERED:
            _recent.popitem(last=False)
    return planned


_Key = tuple[str, str, str, str, frozenset[str] | None]
_recent: OrderedDict[_Key, _Planned] = OrderedDict()
_lock = Lock()


def _branch(entry: Entry) -> str:
    """The branch that was checked out; empty if none was, or nobody recorded it."""
    branch = text(entry.get("requested_ref"))
    is_branch = entry.get("ref_kind") == "branch" and is_ref_name(branch)
    return branch if is_branch else ""


def _head(entry: Entry, resolution: Resolution) -> bytes:
    branch = _branch(entry)
    head = f"ref: refs/heads/{branch}" if branch else resolution.commit
    return f"{head}\n".encode()


def _refs(entry: Entry, resolution: Resolution, files: GitFiles) -> bytes:
    """The branch, and the tags by which git describes the commit."""
    refs = {}
    if branch := _branch(entry):
        refs[f"refs/heads/{branch}"] = resolution.commit
    for tag in rows(entry.get("tags")):
        ref, oid = text(tag.get("name")), text(tag.get("object"))
        if ref.startswith("refs/tags/") and is_ref_name(ref) and oid in files.named:
            refs[ref] = oid
    asked = text(entry.get("requested_ref"))
    if not entry.get("tags") and resolution.ref_kind.endswith("tag") and is_ref_name(asked):
        target = resolution.tag_object or resolution.commit
        if target in files.named and not is_oid(asked):
            refs.setdefault(f"refs/tags/{asked.removeprefix('refs/tags/')}", target)
    return "".join(f"{oid} {ref}\n" for ref, oid in sorted(refs.items())).encode()


def _settings(entry: Entry, resolution: Resolution) -> bytes:
    """The repository's own settings. No filter, hook or program is among them."""
    lines = ["[core]", "\trepositoryformatversion = 0", "\tfilemode = true", "\tbare = false"]
    lines.append("\tlogallrefupdates = true")
    found = _ABBREVIATION.search(text(entry.get("describe")))
    if found and resolution.commit.startswith(found[1]):
        lines.append(f"\tabbrev = {len(found[1])}")
    lines += ["[gc]", "\tauto = 0"]
    address = text(entry.get("repository"))
    if address and not address.startswith("/") and not _CONTROL.search(address):
        quoted = address.replace("\\", "\\\\").replace('"', '\\"')
        lines += ['[remote "origin"]', f'\turl = "{quoted}"']
        lines.append("\tfetch = +refs/heads/*:refs/remotes/origin/*")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
