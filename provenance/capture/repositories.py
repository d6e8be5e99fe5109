"""Git state of the checkouts that a job's scripts and fcl lie in, as it was before the command ran.

Nothing is written into a checkout: the tree of a dirty one is made with a copy of its index and a temporary object
folder. Hooks, file system monitors, external diffs and pagers of the repository are switched off; in a checkout that
belongs to somebody else only commit and address are read, since its filters would be foreign code.

`objects_sha256` names a git pack (version 2, no deltas outside itself): of a dirty tree the objects that its commit
lacks; of a commit that no remote has, the commits not yet pushed; without any remote, the commit with its whole tree.
"""

import os
import re
import subprocess
import tempfile

from provenance.capture import redaction
from provenance.capture.arguments import DATA_SUFFIXES
from provenance.capture.draft import SMALL_BYTES, without_empty

_OPTIONS = [
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.untrackedCache=keep",
    "-c",
    "gc.auto=0",
    "-c",
    "core.quotePath=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "diff.external=",
    "-c",
    "maintenance.auto=false",
]
_UNTRACKED_BYTES = 1024 * 1024  # an untracked file above is data rather than code
_SECONDS = 20


class GitError(Exception):
    """A git command failed; carries its last line."""


class Repositories:
    """The checkouts met so far; one record entry each.

    Attributes:
        entries: record entries by top folder; `finish` completes those that are new.
    """

    def __init__(self, draft):
        self.draft = draft
        self.entries = {entry["checkout"]: entry for entry in draft.record.get("software", ()) if entry.get("checkout")}
        self._tops = {}  # folder -> top folder of its checkout, or None
        self._unfinished = []

    def place(self, path):
        """Return {software, path_in_repository} of a file; empty where it lies in no checkout."""
        real = os.path.realpath(path)
        top = self._top(os.path.dirname(real))
        if top is None:
            return {}
        return {"software": self._entry(top)["name"], "path_in_repository": os.path.relpath(real, top)}

    def add(self, folder):
        """Record the checkout that a folder lies in; a note where it lies in none."""
        top = self._top(os.path.realpath(folder))
        if top is None:
            self.draft.note("{} is in no git checkout".format(folder))
        else:
            self._entry(top)

    def finish(self):
        """Find out what does not change while the job runs: asked ref, description, address, submodules."""
        pending, self._unfinished = self._unfinished, []
        for top, entry in pending:
            self.draft.attempt("git checkout " + top, _complete, top, entry, self.draft)

    def _top(self, folder):
        """Return the nearest folder above that holds `.git`, without starting git."""
        if folder not in self._tops:
            if os.path.exists(os.path.join(folder, ".git")):
                self._tops[folder] = folder
            else:
                parent = os.path.dirname(folder)
                self._tops[folder] = None if parent == folder else self._top(parent)
        return self._tops[folder]

    def _entry(self, top):
        if top not in self.entries:
            entry = {
                "name": self._free_name(os.path.basename(top) or "root"),
                "evidence": "observed",
                "vcs": "git",
                "checkout": top,
            }
            self.entries[top] = entry
            self.draft.extend("software", [entry])
            if self.draft.attempt("git checkout " + top, _observe, top, entry, self.draft) is not None:
                self._unfinished.append((top, entry))
        return self.entries[top]

    def _free_name(self, name):
        taken = {entry["name"] for entry in self.draft.record.get("software", ())}
        candidates = [name] + ["{}-{}".format(name, number) for number in range(2, 1000)]
        return next(candidate for candidate in candidates if candidate not in taken)


def git(top, *words, **more):
    """Return a git command's output bytes; raises GitError. `environment` adds variables, `content` is its stdin."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(
        {
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_PAGER": "cat",
            "GIT_NO_LAZY_FETCH": "1",
        }
    )
    environment.update(more.get("environment", {}))
    safe = ["-c", "safe.directory=" + top]
    process = subprocess.Popen(
        ["git"] + _OPTIONS + safe + ["-C", top] + list(words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        out, err = process.communicate(more.get("content", b""), timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise GitError("git {} took more than {} s".format(words[0], _SECONDS))
    if process.returncode:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        raise GitError("git {}: {}".format(words[0], lines[-1] if lines else "exit code {}".format(process.returncode)))
    return out


def text(top, *words):
    """Return a git command's output as text, or None where it fails or says nothing."""
    try:
        return git(top, *words).decode("utf-8", "surrogateescape").strip() or None
    except GitError:
        return None


def _observe(top, entry, draft):
    """Fill in what a command could change: commit, tree, dirty tree."""
    if os.stat(top).st_uid != os.geteuid() and os.geteuid() != 0:
        entry["revision"] = git(top, "rev-parse", "HEAD").decode().strip()
        draft.note("git checkout {} belongs to somebody else: only its commit was read".format(top))
        return True
    ids = git(top, "rev-parse", "HEAD", "HEAD^{tree}").decode().split()
    entry["revision"], entry["tree"] = ids
    changed = git(
        top, "status", "--porcelain", "-z", "--ignore-submodules=dirty", "--untracked-files=all", "--no-renames"
    )
    entry["is_dirty"] = False
    if changed:
        _keep_dirty_tree(top, entry, draft, _usable(top, changed, draft))
    return True


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
        environment = {
            "GIT_INDEX_FILE": copy,
            "GIT_OBJECT_DIRECTORY": store,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        names = b"\0".join(paths) + b"\0"
        git(top, "update-index", "--add", "--remove", "-z", "--stdin", environment=environment, content=names)
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
        new = git(top, "rev-list", "--objects", tree, "--not", entry["revision"], environment=environment)
        _keep_objects(top, entry, draft, _ids(new), environment)


def _complete(top, entry, draft):
    address = _address(top)
    entry["repository"] = address or top
    name = re.sub(r"\.git$", "", (address or top).rstrip("/").replace(":", "/").rsplit("/", 1)[-1])
    if name and name != entry["name"]:
        _rename(entry, name, draft)
    entry.update(without_empty(_asked_ref(top, entry)))
    entry.update(without_empty({"describe": text(top, "describe", "--tags", "--always", "--long")}))
    entry.update(without_empty({"submodules": _submodules(top)}))
    if "tree" in entry and "objects_sha256" not in entry:
        _keep_unpushed(top, entry, draft)


def _rename(entry, name, draft):
    """Call the software by its repository, not by the folder that it lay in."""
    if any(other["name"] == name for other in draft.record.get("software", ()) if other is not entry):
        return
    old, entry["name"] = entry["name"], name
    users = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        users.extend(configuration["files"])
    for user in users:
        if user.get("software") == old:
            user["software"] = name


def _address(top):
    """Return the remote's address without credentials: of the upstream, of origin, or of the only remote."""
    remotes = (text(top, "remote") or "").split()
    upstream = text(top, "rev-parse", "--abbrev-ref", "HEAD@{upstream}") if remotes else None
    wanted = [(upstream or "").split("/", 1)[0], "origin"] + (remotes if len(remotes) == 1 else [])
    remote = next((name for name in wanted if name in remotes), None)
    address = text(top, "config", "--get", "remote.{}.url".format(remote)) if remote else None
    return redaction.redact_text(re.sub(r"(?<=://)[^/@]*@", "", address)) if address else None


def _asked_ref(top, entry):
    branch = text(top, "symbolic-ref", "--short", "-q", "HEAD")
    if branch:
        return {"requested_ref": branch, "ref_kind": "branch"}
    tags = (text(top, "tag", "--points-at", "HEAD") or "").split()
    moves = re.findall(r"checkout: moving from \S+ to (\S+)", text(top, "reflog", "-5", "--format=%gs") or "")
    asked = moves[0] if moves else None
    if tags:
        return {"requested_ref": asked if asked in tags else tags[0], "ref_kind": "tag"}
    return {"requested_ref": entry["revision"], "ref_kind": "commit"}


def _submodules(top):
    lines = (
        (text(top, "submodule", "status") or "").splitlines()
        if os.path.exists(os.path.join(top, ".gitmodules"))
        else []
    )
    found = []
    for line in lines:
        match = re.match(r"^[ +\-U]?([0-9a-f]{40,64}) (.+?)(?: \(.*\))?$", line)
        if match:
            path = match.group(2)
            address = text(top, "config", "-f", ".gitmodules", "--get", "submodule.{}.url".format(path))
            found.append(
                without_empty(
                    {"path": path, "revision": match.group(1), "repository": address and redaction.redact_text(address)}
                )
            )
    return found or None


def _keep_unpushed(top, entry, draft):
    if text(top, "for-each-ref", "--count=1", "--contains", entry["revision"], "refs/remotes"):
        return
    if text(top, "for-each-ref", "--count=1", "refs/remotes"):
        listed = git(top, "rev-list", "--objects", entry["revision"], "--not", "--remotes")
    else:
        listed = git(top, "rev-list", "--objects", "--no-walk", entry["revision"])
    _keep_objects(top, entry, draft, _ids(listed), {})


def _ids(listed):
    return [line.split(b" ", 1)[0] for line in listed.splitlines()]


def _keep_objects(top, entry, draft, ids, environment):
    """Keep the objects as one pack, unless they are too many or hold a secret."""
    if not ids:
        return
    content = b"\n".join(ids) + b"\n"
    sizes = git(top, "cat-file", "--batch-check=%(objectsize)", content=content, environment=environment).split()
    if sum(int(size) for size in sizes if size.isdigit()) > SMALL_BYTES:
        draft.note("{}: its own objects are too large to be kept".format(top))
        return
    rules = redaction.redact(git(top, "cat-file", "--batch", content=content, environment=environment))[1]
    if rules:
        draft.note("{}: its own objects hold secrets ({}) and stay behind".format(top, ", ".join(rules)))
        return
    pack = git(
        top, "pack-objects", "--stdout", "-q", "--threads=1", "--window=0", content=content, environment=environment
    )
    entry["objects_sha256"] = draft.add_bytes(pack)
