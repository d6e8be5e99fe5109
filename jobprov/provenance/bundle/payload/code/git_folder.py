"""The repository of a bundle's code: `git/NAME/`, from which run.sh lays out a `.git`.

So git in the job answers as it did: `git describe`, `git log`, `git status`, `git clone .`. What
depends only on the code is a fragment, planned once for all jobs of a release. Git is not needed.
"""

import re
from typing import NamedTuple

from jobprov.provenance.bundle.draft import Fragment, by_path, member_of
from jobprov.provenance.bundle.fields import RecordPart, readable_json
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.needs import CODE
from jobprov.provenance.bundle.payload.code.tree import fragment_of
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.recent import Recent
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.software.names import is_oid, is_ref_name
from jobprov.provenance.software.packs.git_files import GitFiles, git_files

_REMEMBERED = 8  # repositories
_ABBREVIATION = re.compile(r"(?:^|-g)([0-9a-f]{4,40})\Z")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


def write_git(payload: Payload, entry: RecordPart, resolution: Resolution, name: str) -> None:
    """Write `git/NAME`: what the commit is, its objects, and the patch of uncommitted changes."""
    payload.write(f"git/{name}/ref.json", readable_json(_reference(entry, resolution)))
    if payload.level < CODE:
        return
    if payload.has(resolution.pack):
        payload.keep(f"git/{name}/objects.pack", resolution.pack)
        shallow = sorted(resolution.shallow) or [resolution.commit]
        payload.write(f"git/{name}/shallow", "".join(f"{commit}\n" for commit in shallow).encode())
        # For `run.sh --from-git`: what it checks out
        payload.write(f"git/{name}/ran", f"{resolution.ran}\n".encode())
        _write_repository(payload, entry, resolution, name)
    patch = entry.digest("dirty_patch_sha256")
    if payload.has(patch):
        payload.keep(f"git/{name}/dirty.patch", patch)


def _reference(entry: RecordPart, resolution: Resolution) -> JsonObject:
    """What is known of a commit: from the repository, else from the record."""
    worktree_tree = resolution.worktree_tree or entry.text("worktree_tree")
    reference: JsonObject = {
        "name": resolution.name,
        "url": resolution.url or entry.text("repository"),
        "requested_ref": resolution.requested_ref or entry.text("requested_ref"),
        "ref_kind": resolution.ref_kind,
        "tag_object": resolution.tag_object,
        "commit": resolution.commit,
        "tree": resolution.tree,
        "describe": resolution.describe,
        "committed_at": resolution.committed_at,
        "evidence": entry.text("evidence"),
        "is_dirty": entry.has("is_dirty"),
        "worktree_tree": worktree_tree or None,
        "path_in_parent": resolution.path or None,
        "submodules": [submodule.fields for submodule in entry.parts("submodules")],
        "swhid": f"swh:1:rev:{resolution.commit}",
    }
    if resolution.inferred is not None:
        reference |= {"evidence": "inferred", **resolution.inferred}
    return reference


class _Repository(NamedTuple):
    """What makes a pack a repository, as far as it depends only on the code.

    Attributes:
        fragment: its members: git's index of the tree, and that of the pack.
        files: of which they were made.
    """

    fragment: Fragment
    files: GitFiles


def _write_repository(
    payload: Payload, entry: RecordPart, resolution: Resolution, name: str
) -> None:
    """Write what makes the pack a repository: its index, HEAD, refs, settings."""
    converted = None
    if entry.has("is_dirty"):
        converted = frozenset(entry.texts("converted"))
    repository = _repository_of(payload, resolution, name, converted)
    payload.draft.add_fragment(repository.fragment)
    payload.write(f"git/{name}/HEAD", _head(entry, resolution))
    payload.write(f"git/{name}/packed-refs", _refs(entry, resolution, repository.files))
    payload.write(f"git/{name}/config", _settings(entry, resolution))
    ends = "".join(f"{oid}\n" for oid in repository.files.shallow)
    payload.write(f"git/{name}/history-ends", ends.encode())


def _repository_of(
    payload: Payload, resolution: Resolution, name: str, converted: frozenset[str] | None
) -> _Repository:
    """The repository of a pack, remembered from job to job.

    `converted` are the files in which git saw no difference though there was one; None for a clean
    checkout, in which it saw none at all.
    """
    key = (resolution.pack, resolution.commit, resolution.ran, name, converted)
    remembered = _recent.get(key)
    if remembered is not None:
        return remembered
    files = git_files(
        payload.draft.reader.get(resolution.pack),
        resolution.commit,
        resolution.ran,
        hides=lambda path: converted is None or path in converted,
    )
    folder = f"data/git/{name}"
    contents = {f"{folder}/index": files.index, f"{folder}/objects.idx": files.pack_index}
    members = [member_of(path, data) for path, data in contents.items()]
    blobs = {member.sha256: contents[member.path] for member in members}
    fragment = fragment_of(resolution.pack, sorted(members, key=by_path), blobs)
    repository = _Repository(fragment, files)
    _recent.keep(key, repository)
    return repository


_Key = tuple[str, str, str, str, frozenset[str] | None]
_recent: Recent[_Key, _Repository] = Recent(_REMEMBERED)


def _branch(entry: RecordPart) -> str:
    """The branch that was checked out; empty if there was none or it is not recorded."""
    if entry.text("ref_kind") != "branch":
        return ""
    branch = entry.text("requested_ref")
    return branch if is_ref_name(branch) else ""


def _head(entry: RecordPart, resolution: Resolution) -> bytes:
    branch = _branch(entry)
    head = f"ref: refs/heads/{branch}" if branch else resolution.commit
    return f"{head}\n".encode()


def _refs(entry: RecordPart, resolution: Resolution, files: GitFiles) -> bytes:
    """The branch, and the tags by which git describes the commit."""
    refs = {}
    branch = _branch(entry)
    if branch:
        refs[f"refs/heads/{branch}"] = resolution.commit
    for ref, oid in _tags(entry, resolution).items():
        if oid in files.named:
            refs[ref] = oid
    lines = [f"{oid} {ref}\n" for ref, oid in sorted(refs.items())]
    return "".join(lines).encode()


def _tags(entry: RecordPart, resolution: Resolution) -> dict[str, str]:
    """The recorded tags, or the one that the job asked for if the record has no list of tags."""
    if entry.has("tags"):
        tags = {}
        for tag in entry.parts("tags"):
            ref = tag.text("name")
            if ref.startswith("refs/tags/") and is_ref_name(ref):
                tags[ref] = tag.text("object")
        return tags
    name = entry.text("requested_ref")
    is_tag = resolution.ref_kind.endswith("tag") and is_ref_name(name) and not is_oid(name)
    if not is_tag:
        return {}
    short_name = name.removeprefix("refs/tags/")
    return {f"refs/tags/{short_name}": resolution.tag_object or resolution.commit}


def _settings(entry: RecordPart, resolution: Resolution) -> bytes:
    """The repository's own settings. No filter, hook or program is among them."""
    lines = ["[core]", "\trepositoryformatversion = 0", "\tfilemode = true", "\tbare = false"]
    lines.append("\tlogallrefupdates = true")
    abbreviation = _ABBREVIATION.search(entry.text("describe"))
    if abbreviation and resolution.commit.startswith(abbreviation[1]):
        lines.append(f"\tabbrev = {len(abbreviation[1])}")
    lines += ["[gc]", "\tauto = 0"]
    address = entry.text("repository")
    if address and not address.startswith("/") and not _CONTROL.search(address):
        quoted = address.replace("\\", "\\\\").replace('"', '\\"')
        lines += ['[remote "origin"]', f'\turl = "{quoted}"']
        lines.append("\tfetch = +refs/heads/*:refs/remotes/origin/*")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
