"""What a checkout held before the command ran: commit, tree, and whatever no remote has.

Nothing is written into a checkout: the tree of a dirty one is made with a copy of its index and a
temporary object folder. In a checkout that belongs to somebody else only the commit is read, since
its filters would be foreign code.

`objects_sha256` names a git pack (version 2, no deltas against anything outside): of a dirty tree
the objects that its commit lacks; of a commit that no remote has, the commits not yet pushed;
without any remote, the commit with its tree; of a dirty tree on such a commit both.
"""

import os
from typing import Any, Dict, List, Sequence

from jobprov.provenance.capture.checkouts.git import git, text
from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from jobprov.provenance.capture.files.names import DATA_SUFFIXES
from jobprov.provenance.capture.record import redaction
from jobprov.provenance.capture.record.draft import Draft

_UNTRACKED_BYTES = 1024 * 1024  # a larger untracked file is data rather than code
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
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


def observe(top: str, entry: Dict[str, Any], draft: Draft) -> bool:
    """Fill in what a command could change: commit, tree, dirty tree.

    Returns True once that is done.
    """
    if os.stat(top).st_uid != os.geteuid() and os.geteuid() != 0:
        entry["revision"] = git(top, "rev-parse", "HEAD").decode().strip()
        draft.note("git checkout {} belongs to somebody else: only its commit was read".format(top))
        return True
    entry["revision"], entry["tree"] = git(top, "rev-parse", "HEAD", "HEAD^{tree}").decode().split()
    changed = git(top, *_STATUS, "--ignore-submodules=dirty")
    entry["is_dirty"] = False
    paths = _code_paths(top, changed, draft)
    if paths:
        entry["is_dirty"] = True
        _keep_dirty_tree(top, entry, draft, paths)
    return True


def changed_submodules(top: str) -> List[str]:
    """Return the folders of submodules that differ from the commit in the index.

    A checkout's tree cannot hold that.
    """
    if not os.path.exists(os.path.join(top, ".gitmodules")):
        return []
    folders = []
    for item in git(top, *_STATUS, "--ignore-submodules=none").split(b"\0"):
        folder = os.path.join(top, os.fsdecode(item[3:]))
        if item[:2] not in (b"", b"??") and os.path.exists(os.path.join(folder, ".git")):
            folders.append(folder)
    return folders


def keep_unpushed(top: str, entry: Dict[str, Any], draft: Draft) -> None:
    """Keep the objects of a commit that no remote has.

    Without any remote, of the commit alone with its whole tree.
    """
    unpushed = _unpushed(top, entry["revision"])
    if unpushed:
        _keep_objects(top, entry, draft, unpushed, {})


def _code_paths(top: str, changed: bytes, draft: Draft) -> List[bytes]:
    """Return the changed paths; untracked data is left out, other large files with a note."""
    paths = []
    for item in changed.split(b"\0"):
        if not item:
            continue
        path = item[3:]
        is_untracked = item[:2] == b"??"
        if is_untracked and os.fsdecode(path).endswith(DATA_SUFFIXES):
            continue
        if is_untracked and not _is_small(os.path.join(os.fsencode(top), path)):
            draft.note("untracked {} in {} is left out of the code".format(os.fsdecode(path), top))
        else:
            paths.append(path)
    return paths


def _is_small(path: bytes) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) <= _UNTRACKED_BYTES


def _keep_dirty_tree(top: str, entry: Dict[str, Any], draft: Draft, paths: Sequence[bytes]) -> None:
    """Keep the tree with these changed paths, as a patch and as objects."""
    import tempfile  # noqa: PLC0415 - loads slowly, and most checkouts are clean

    with tempfile.TemporaryDirectory(prefix="jobprov-") as folder:
        environment = _apart(top, folder)
        names = b"\0".join(paths) + b"\0"
        git(
            top,
            *("update-index", "--add", "--remove", "-z", "--stdin"),
            environment=environment,
            content=names,
        )
        tree = git(top, "write-tree", environment=environment).decode().strip()
        if tree == entry["tree"]:
            entry["is_dirty"] = False
            return
        entry["worktree_tree"] = tree
        patch = git(top, *_PATCH, entry["tree"], tree, environment=environment)
        if len(patch) <= SMALL_BYTES:
            entry["dirty_patch_sha256"] = draft.add_text(patch, "patch of " + top)
        unpushed = _unpushed(top, entry["revision"])
        wanted = unpushed or ["--not", entry["revision"]]
        _keep_objects(top, entry, draft, [tree, *wanted], environment)


def _apart(top: str, folder: str) -> Dict[str, str]:
    """Return variables by which git writes into a folder.

    To a copy of the checkout's index, and to new objects.
    """
    objects = os.path.join(top, _git_path(top, "objects"))
    index = os.path.join(top, _git_path(top, "index"))
    copy, store = os.path.join(folder, "index"), os.path.join(folder, "objects")
    os.mkdir(store)
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
    entry: Dict[str, Any],
    draft: Draft,
    wanted: Sequence[str],
    environment: Dict[str, str],
) -> None:
    """Keep the objects as one pack, unless they are too many or hold a secret."""
    listed = git(top, "rev-list", "--objects", *wanted, environment=environment)
    ids = [line.split(b" ", 1)[0] for line in listed.splitlines()]
    if not ids:
        return
    content = b"\n".join(ids) + b"\n"
    sizes = git(
        top, "cat-file", "--batch-check=%(objectsize)", content=content, environment=environment
    )
    if sum(int(size) for size in sizes.split() if size.isdigit()) > SMALL_BYTES:
        draft.note("{}: its own objects are too large to be kept".format(top))
        return
    rules = redaction.redact(
        git(top, "cat-file", "--batch", content=content, environment=environment)
    )[1]
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
