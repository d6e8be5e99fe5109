"""The state of a working tree: its commit, whether it is dirty, and the tree that its files really make.

The user's repository is only read. git runs in a repository of its own, in a temporary folder: with
the user's objects and a copy of the index, but without the user's configuration, which can name
programs (filters, file monitors, hooks). New objects land in the temporary folder and come back as
a canonical pack.

Source: git(1) on GIT_INDEX_FILE, GIT_OBJECT_DIRECTORY and GIT_ALTERNATE_OBJECT_DIRECTORIES; the
tree id equals `git add -A && git write-tree`, and the SWHID of the folder, where no filter is
configured.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.canonical_pack import plan_pack, write_pack
from jobprov.provenance.software.git_command import run_git
from jobprov.provenance.software.names import is_sha256_oid
from jobprov.provenance.software.objects import RepositoryObjects

_LINKS_ARE_LINKS = (
    "core.symlinks=true",
)  # here nothing is checked out, which is what the wrapper's setting is for


@dataclass(frozen=True)
class WorktreeLimits:
    """Changed files beyond these sizes are left out, and listed."""

    file_bytes: int = 16 << 20
    total_bytes: int = 256 << 20


@dataclass(frozen=True)
class WorktreeState:
    """A working tree as it was found.

    Attributes:
        commit: what is checked out; None before the first commit.
        branch: its full ref; None where HEAD is detached.
        is_dirty: whether the files make another tree than the commit has, or something was left
            out.
        worktree_tree: id of the tree that the files make, ignored files apart.
        changed_paths: files that differ from the index or are not in it.
        objects_pack: canonical pack of the objects that the tree needs beyond those of the commit;
            empty when clean.
        left_out: changed files over a size limit, and folders that hold repositories of their own.
    """

    commit: str | None
    branch: str | None
    is_dirty: bool
    worktree_tree: str
    changed_paths: tuple[str, ...]
    objects_pack: bytes
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Places:
    """A user's checkout (`top`, `objects`, `index`, `exclude`) and the git folder of our own beside it."""

    top: Path
    git_dir: Path
    objects: Path
    index: Path
    exclude: Path


def worktree_state(path: Path, *, limits: WorktreeLimits | None = None) -> WorktreeState:
    """Return the state of the working tree in which `path` lies.

    Nothing is written into it or its repository.

    Raises:
        SoftwareError: no working tree, or one of a bare or SHA-256 repository.
    """
    places = _find(path.resolve())
    commit, branch = _head(places.git_dir)
    with _own_repository(places) as own:
        alternates = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(places.objects)}
        at_work = {"GIT_WORK_TREE": str(places.top)}
        changed, left_out = _changed_paths(
            own, at_work | alternates, places.top, limits or WorktreeLimits()
        )
        # without the user's objects while writing: git would renew the times of those that are
        # there already
        _take_in(own, at_work, changed)
        tree = run_git(["write-tree", "--missing-ok"], git_dir=own, environment=at_work).lines[0]
        pack, is_same = _new_objects(own, alternates, tree, commit)
    return WorktreeState(
        commit=commit,
        branch=branch,
        is_dirty=not is_same or bool(left_out),
        worktree_tree=tree,
        changed_paths=tuple(changed),
        objects_pack=pack,
        left_out=tuple(left_out),
    )


def _find(path: Path) -> _Places:
    """Ask git where things lie; rev-parse runs no program of the repository."""
    dot_git = next(
        (folder / ".git" for folder in (path, *path.parents) if (folder / ".git").exists()), None
    )
    if dot_git is None:
        raise SoftwareError(f"{path} lies in no git working tree.")
    git_dir = dot_git if dot_git.is_dir() else _linked(dot_git)
    asked = ["objects", "index", "info/exclude"]
    answer = run_git(
        ["rev-parse", *(part for name in asked for part in ("--git-path", name))], git_dir=git_dir
    )
    objects, index, exclude = (git_dir / line for line in answer.lines)
    return _Places(dot_git.parent, git_dir, objects, index, exclude)


def _linked(dot_git: Path) -> Path:
    """The git folder of a linked working tree or submodule (gitrepository-layout(5), `gitdir:`)."""
    content = dot_git.read_text(encoding="utf-8", errors="surrogateescape").strip()
    if not content.startswith("gitdir: "):
        raise SoftwareError(f"{dot_git} is neither a git folder nor a pointer to one.")
    return (dot_git.parent / content.removeprefix("gitdir: ")).resolve()


def _head(git_dir: Path) -> tuple[str | None, str | None]:
    verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"]
    found = run_git(verify, git_dir=git_dir, accept=(0, 1, 128))
    commit = found.lines[-1] if found.exit_code == 0 else None
    if commit and is_sha256_oid(commit):
        raise SoftwareError(f"{git_dir} is in git's SHA-256 format, which is not supported yet.")
    branch = run_git(["symbolic-ref", "--quiet", "HEAD"], git_dir=git_dir, accept=(0, 1, 128))
    return commit, branch.lines[0] if branch.exit_code == 0 else None


@contextmanager
def _own_repository(places: _Places) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="worktree-") as folder:
        own = Path(folder).resolve() / "own.git"
        run_git(["init", "--quiet", "--bare", "--template=", "--", str(own)])
        (own / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n", encoding="ascii"
        )
        if places.index.exists():
            # with its time: git takes entries as old as the index for possibly changed
            shutil.copy2(places.index, own / "index")
        if places.exclude.exists():
            (own / "info").mkdir(exist_ok=True)
            shutil.copyfile(places.exclude, own / "info/exclude")
        yield own


def _changed_paths(
    own: Path, environment: dict[str, str], top: Path, limits: WorktreeLimits
) -> tuple[list[str], list[str]]:
    """Files to take in, and those left out, both sorted."""
    refresh = [
        "update-index",
        "-q",
        "--refresh",
    ]  # ours: a copied checkout has other times, not other files
    run_git(refresh, git_dir=own, environment=environment, settings=_LINKS_ARE_LINKS, accept=(0, 1))
    asked = ["ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"]
    answer = run_git(asked, git_dir=own, environment=environment, settings=_LINKS_ARE_LINKS)
    names = sorted(set(answer.stdout.decode("utf-8", "surrogateescape").split("\0")) - {""})
    taken, left_out, total = [], [], 0
    for name in names:
        size = _size_of(top / name)
        if name.endswith("/") or size > limits.file_bytes or total + size > limits.total_bytes:
            left_out.append(name)
        else:
            taken.append(name)
            total += size
    return taken, left_out


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # deleted, or its folder became a file
        return 0


def _take_in(own: Path, environment: dict[str, str], paths: list[str]) -> None:
    """update-index, not add: it starts no git inside submodules, whose configuration is a stranger's."""
    named = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    arguments = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"]
    run_git(arguments, git_dir=own, environment=environment, stdin=named, settings=_LINKS_ARE_LINKS)


def _new_objects(
    own: Path, alternates: dict[str, str], tree: str, commit: str | None
) -> tuple[bytes, bool]:
    """The pack of what the tree needs beyond its commit, and whether it is the commit's own tree."""
    with RepositoryObjects(own, alternates) as objects:
        known: set[str] = set()
        if commit:
            base = objects.commit(commit).tree
            if base == tree:
                return b"", True
            known = {base, *(entry.oid for entry in objects.walk(base))}
        plan = plan_pack(objects, trees=[tree], without=known)
        return b"".join(write_pack(objects, plan)), False


def _quoted(folder: Path) -> str:
    """Quote as git reads a list of folders: they are split at colons."""
    escaped = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
