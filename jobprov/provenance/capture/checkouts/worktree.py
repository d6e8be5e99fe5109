"""What a checkout held before the command ran: commit, tree, and whatever no remote has.

Nothing is written into a checkout: the tree of a dirty one is made with a copy of its index and a
temporary object folder. Into a checkout that belongs to somebody else git itself does not look,
since its filters would be foreign code.

`worktree_tree` is the tree of the files as they lay there (`work_files`), where that is not the
commit's tree. `objects_sha256` names a git pack (version 2, no deltas against anything outside): of
such a tree the objects that its commit lacks; of a commit that no remote has, the commits not yet
pushed; without any remote, the commit with its tree; of a changed tree on such a commit both.
"""

import os
from typing import Dict, List, Sequence, Set

from jobprov.provenance.capture.checkouts import history
from jobprov.provenance.capture.checkouts.git import git, text
from jobprov.provenance.capture.checkouts.work_files import WorkFiles
from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.secrets.texts import redact

_PATCH = (
    "diff-tree",
    "-p",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_MOST_CONVERTED = 1000  # paths
_DEEPEST = 4  # submodules of submodules


def observe(top: str, entry: Entry, draft: Draft) -> List[str]:
    """Fill in what a command could change: commit, tree, tree of the files as they lie there.

    Returns the folders of checkouts inside that the tree cannot hold.
    """
    import tempfile  # noqa: PLC0415 - loads slowly, and most jobs have no checkout

    is_ours = _is_ours(top)
    entry["revision"], entry["tree"] = git(top, "rev-parse", "HEAD", "HEAD^{tree}").decode().split()
    with tempfile.TemporaryDirectory(prefix="jobprov-") as folder:
        store = os.path.join(folder, "objects")
        os.mkdir(store)
        files = WorkFiles(top, store, entry["revision"])
        files.look(is_ours=is_ours)
        entry["is_dirty"] = bool(files.changed) if is_ours else bool(files.entries)
        if files.entries or files.changed:
            _keep_tree(top, entry, draft, files, _apart(top, folder))
        inside = files.nested + _changed_submodules(files, store)
    if files.left_out:
        entry["left_out"] = files.left_out
    return inside


def _changed_submodules(files: WorkFiles, store: str, depth: int = 0) -> List[str]:
    """Return the folders of submodules that hold anything else than the commit in the index.

    A checkout's tree cannot hold that.
    """
    changed = []
    for folder, oid in files.submodules.items():
        inner = WorkFiles(folder, store, oid)
        inner.look(is_ours=_is_ours(folder))
        if (
            text(folder, "rev-parse", "HEAD") != oid
            or inner.entries
            or inner.nested
            or inner.left_out
            or (depth < _DEEPEST and _changed_submodules(inner, store, depth + 1))
        ):
            changed.append(folder)
    return changed


def _is_ours(top: str) -> bool:
    return os.stat(top).st_uid == os.geteuid() or os.geteuid() == 0


def keep_unpushed(top: str, entry: Entry, draft: Draft) -> None:
    """Keep the objects of a commit that no remote has.

    Without any remote, of the commit alone with its whole tree.
    """
    unpushed = _unpushed(top, entry["revision"])
    if unpushed:
        _keep_objects(top, entry, draft, unpushed, {})


def _keep_tree(
    top: str, entry: Entry, draft: Draft, files: WorkFiles, environment: Dict[str, str]
) -> None:
    """Keep the tree with the files as they lie there, as objects.

    What git calls changed is kept as a patch.
    """
    changed = _write_tree(top, files.index_lines(files.changed), environment)
    if changed == entry["tree"]:
        entry["is_dirty"] = False
    else:
        patch = git(top, *_PATCH, entry["tree"], changed, environment=environment)
        if len(patch) <= SMALL_BYTES:
            entry["dirty_patch_sha256"] = draft.add_text(patch, "patch of " + top)
    tree = _write_tree(top, files.index_lines(), environment)
    if tree == entry["tree"]:
        return
    entry["worktree_tree"] = tree
    if entry["is_dirty"]:
        _name_converted(entry, set(files.entries) - files.changed)
    unpushed = _unpushed(top, entry["revision"])
    wanted = unpushed or ["--not", entry["revision"]]
    _keep_objects(top, entry, draft, [tree, *wanted], environment)


def _name_converted(entry: Entry, paths: Set[bytes]) -> None:
    """Name the files that differ from their blobs and that git does not call changed."""
    if paths:
        entry["converted"] = sorted(map(os.fsdecode, paths))[:_MOST_CONVERTED]


def _write_tree(top: str, lines: bytes, environment: Dict[str, str]) -> str:
    words = ("update-index", "-z", "--replace", "--index-info")
    git(top, *words, environment=environment, content=lines)
    return git(top, "write-tree", environment=environment).decode().strip()


def _apart(top: str, folder: str) -> Dict[str, str]:
    """Return variables by which git writes into a folder.

    To a copy of the checkout's index, and to new objects.
    """
    objects = os.path.join(top, _git_path(top, "objects"))
    index = os.path.join(top, _git_path(top, "index"))
    copy, store = os.path.join(folder, "index"), os.path.join(folder, "objects")
    if os.path.exists(index):
        with open(index, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        # An older time tells git which entries it must not trust (racy git)
        status = os.stat(index)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    return {
        "GIT_INDEX_FILE": copy,
        "GIT_OBJECT_DIRECTORY": store,
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
    }


def _git_path(top: str, name: str) -> str:
    return os.fsdecode(git(top, "rev-parse", "--git-path", name).strip())


def _unpushed(top: str, revision: str) -> List[str]:
    """Return the words by which git lists the commits that no remote has.

    Empty where a remote has this one.
    """
    if text(top, "for-each-ref", "--count=1", "--contains", revision, "refs/remotes"):
        return []
    if text(top, "for-each-ref", "--count=1", "refs/remotes"):
        return [revision, "--not", "--remotes"]
    return ["--no-walk", revision]


def _keep_objects(
    top: str,
    entry: Entry,
    draft: Draft,
    wanted: Sequence[str],
    environment: Dict[str, str],
) -> None:
    """Keep the objects as one pack, unless they are too many or hold a secret."""
    listed = git(top, "rev-list", "--objects", *wanted, environment=environment)
    ids = [line.split(b" ", 1)[0] for line in listed.splitlines()]
    if ids and "--no-walk" in wanted:  # no server has its history either
        ids += history.list_objects(top, entry)
        ids = list(dict.fromkeys(ids))
    if not ids:
        return
    content = b"\n".join(ids) + b"\n"
    sizes = git(
        top, "cat-file", "--batch-check=%(objectsize)", content=content, environment=environment
    )
    if sum(int(size) for size in sizes.split() if size.isdigit()) > SMALL_BYTES:
        draft.note("{}: its own objects are too large to be kept".format(top))
        return
    rules = redact(git(top, "cat-file", "--batch", content=content, environment=environment))[1]
    if rules:
        draft.note(
            "{}: its own objects hold secrets ({}) and stay behind".format(top, ", ".join(rules))
        )
        return
    pack = git(
        top,
        *("pack-objects", "--stdout", "-q", "--threads=1", "--window=0"),
        content=content,
        environment=environment,
    )
    entry["objects_sha256"] = draft.add_bytes(pack)
