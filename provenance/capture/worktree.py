"""What a checkout held before the command ran: commit, tree, and whatever no remote has.

Nothing is written into a checkout: the tree of a dirty one is made with a copy of its index and a
temporary object folder. In a checkout that belongs to somebody else only the commit is read, since
its filters would be foreign code.

`objects_sha256` names a git pack (version 2, no deltas against anything outside): of a dirty tree
the objects that its commit lacks; of a commit that no remote has, the commits not yet pushed;
without any remote, the commit with its tree; of a dirty tree on such a commit both.
"""

import os

from jobprov.provenance.capture import redaction
from jobprov.provenance.capture.arguments import DATA_SUFFIXES
from jobprov.provenance.capture.git import git, text
from jobprov.provenance.capture.hashing import SMALL_BYTES

_UNTRACKED_BYTES = 1024 * 1024  # an untracked file above is data rather than code


def observe(top, entry, draft):
    """Fill in what a command could change: commit, tree, dirty tree."""
    if os.stat(top).st_uid != os.geteuid() and os.geteuid() != 0:
        entry["revision"] = git(top, "rev-parse", "HEAD").decode().strip()
        draft.note("git checkout {} belongs to somebody else: only its commit was read".format(top))
        return True
    ids = git(top, "rev-parse", "HEAD", "HEAD^{tree}").decode().split()
    entry["revision"], entry["tree"] = ids
    changed = git(
        top,
        "status",
        "--porcelain",
        "-z",
        "--ignore-submodules=dirty",
        "--untracked-files=all",
        "--no-renames",
    )
    entry["is_dirty"] = False
    if changed:
        _keep_dirty_tree(top, entry, draft, _usable(top, changed, draft))
    return True


def changed_submodules(top):
    """Return the folders of submodules that hold other than the commit that the index names.

    The tree of a checkout has no room for it.
    """
    if not os.path.exists(os.path.join(top, ".gitmodules")):
        return []
    listed = git(
        top,
        "status",
        "--porcelain",
        "-z",
        "--ignore-submodules=none",
        "--untracked-files=all",
        "--no-renames",
    )
    changed = [
        os.path.join(top, os.fsdecode(item[3:]))
        for item in listed.split(b"\0")
        if item[:2] not in (b"", b"??")
    ]
    return [folder for folder in changed if os.path.exists(os.path.join(folder, ".git"))]


def _usable(top, changed, draft):
    """Return the changed paths; untracked data is left out, large other things with a note."""
    paths = []
    for item in changed.split(b"\0"):
        if not item:
            continue
        path = item[3:]
        full = os.path.join(os.fsencode(top), path)
        is_untracked = item[:2] == b"??"
        if is_untracked and os.fsdecode(path).endswith(DATA_SUFFIXES):
            continue
        if is_untracked and (not os.path.isfile(full) or os.path.getsize(full) > _UNTRACKED_BYTES):
            draft.note("untracked {} in {} is left out of the code".format(os.fsdecode(path), top))
        else:
            paths.append(path)
    return paths


def _keep_dirty_tree(top, entry, draft, paths):
    import tempfile  # noqa: PLC0415 - loads slowly, and most checkouts are clean

    if not paths:
        return
    entry["is_dirty"] = True
    objects = os.path.join(top, os.fsdecode(git(top, "rev-parse", "--git-path", "objects").strip()))
    index = os.path.join(top, os.fsdecode(git(top, "rev-parse", "--git-path", "index").strip()))
    with tempfile.TemporaryDirectory(prefix="jobprov-") as folder:
        copy, store = os.path.join(folder, "index"), os.path.join(folder, "objects")
        os.mkdir(store)
        if os.path.exists(index):
            with open(index, "rb") as source, open(copy, "wb") as target:
                target.write(source.read())
            status = os.stat(
                index
            )  # an older time tells git which entries it must not trust (racy git)
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        environment = {
            "GIT_INDEX_FILE": copy,
            "GIT_OBJECT_DIRECTORY": store,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        names = b"\0".join(paths) + b"\0"
        git(
            top,
            "update-index",
            "--add",
            "--remove",
            "-z",
            "--stdin",
            environment=environment,
            content=names,
        )
        tree = git(top, "write-tree", environment=environment).decode().strip()
        entry["worktree_tree"] = tree
        if tree == entry["tree"]:
            entry["is_dirty"] = False
            del entry["worktree_tree"]
            return
        patch = git(
            top,
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
            entry["tree"],
            tree,
            environment=environment,
        )
        if len(patch) <= SMALL_BYTES:
            entry["dirty_patch_sha256"] = draft.add_text(patch, "patch of " + top)
        unpushed = _unpushed(top, entry["revision"])
        wanted = [tree, *unpushed] if unpushed else [tree, "--not", entry["revision"]]
        _keep_objects(
            top,
            entry,
            draft,
            _ids(git(top, "rev-list", "--objects", *wanted, environment=environment)),
            environment,
        )


def keep_unpushed(top, entry, draft):
    """Keep the objects of a commit that no remote has.

    Without any remote, of the commit alone with its whole tree.
    """
    unpushed = _unpushed(top, entry["revision"])
    if unpushed:
        _keep_objects(top, entry, draft, _ids(git(top, "rev-list", "--objects", *unpushed)), {})


def _unpushed(top, revision):
    """Return what makes git list the commits that no remote has.

    Empty where a remote has this one.
    """
    if text(top, "for-each-ref", "--count=1", "--contains", revision, "refs/remotes"):
        return []
    if text(top, "for-each-ref", "--count=1", "refs/remotes"):
        return [revision, "--not", "--remotes"]
    return ["--no-walk", revision]


def _ids(listed):
    return [line.split(b" ", 1)[0] for line in listed.splitlines()]


def _keep_objects(top, entry, draft, ids, environment):
    """Keep the objects as one pack, unless they are too many or hold a secret."""
    if not ids:
        return
    content = b"\n".join(ids) + b"\n"
    sizes = git(
        top, "cat-file", "--batch-check=%(objectsize)", content=content, environment=environment
    ).split()
    if sum(int(size) for size in sizes if size.isdigit()) > SMALL_BYTES:
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
        "pack-objects",
        "--stdout",
        "-q",
        "--threads=1",
        "--window=0",
        content=content,
        environment=environment,
    )
    entry["objects_sha256"] = draft.add_bytes(pack)
