"""A dirty working tree is captured as git would commit it, and nothing of the user's is touched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provenance.errors import SoftwareError
from provenance.software.canonical_pack import canonical_pack
from provenance.software.mirrors import Mirror
from provenance.software.object_form import parse_tree
from provenance.software.read_pack import iterate_objects, tree_files
from provenance.software.worktree import WorktreeLimits, worktree_state
from tests.library.git import MakeRepository, Repository


def git_s_own_tree(repository: Repository, tmp_path: Path) -> str:
    """What `git add -A && git write-tree` say, in a copy."""
    copy = tmp_path / "copy"
    shutil.copytree(repository.path, copy, symlinks=True)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "add", "-A"], cwd=copy, env=environment, check=True, capture_output=True)
    written = subprocess.run(["git", "write-tree"], cwd=copy, env=environment, check=True, capture_output=True)
    shutil.rmtree(copy)
    return written.stdout.decode().strip()


def everything_under(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mtime_ns, status.st_mode, content)
    return found


def make_dirty(repository: Repository) -> None:
    repository.write(".gitignore", "*.log\n")
    repository.write("job.log", "ignored\n")
    repository.write("fcl/prolog.fcl", "x: 3\n")  # tracked
    repository.write("staged.fcl", "y: 1\n")
    repository.git("add", "staged.fcl")  # staged: its blob lies in the user's repository only
    repository.write("new folder/ünïcode.fcl", "z: 1\n")  # untracked
    (repository.path / "empty").unlink()
    (repository.path / "bin/run.sh").chmod(0o644)
    (repository.path / "latest.fcl").unlink()
    (repository.path / "latest.fcl").symlink_to("fcl/prolog.fcl")


def test_clean_tree_is_its_commit_s(production: Repository) -> None:
    state = worktree_state(production.path / "fcl")

    assert not state.is_dirty
    assert state.commit == production.git("rev-parse", "HEAD")
    assert state.branch == "refs/heads/main"
    assert state.worktree_tree == production.git("rev-parse", "HEAD^{tree}")
    assert (state.objects_pack, state.changed_paths, state.left_out) == (b"", (), ())


def test_dirty_tree_has_the_id_that_git_would_give_it(production: Repository, tmp_path: Path) -> None:
    make_dirty(production)

    state = worktree_state(production.path)

    assert state.is_dirty
    assert state.worktree_tree == git_s_own_tree(production, tmp_path)
    assert "job.log" not in state.changed_paths
    assert {"fcl/prolog.fcl", "new folder/ünïcode.fcl", "empty", "latest.fcl"} <= set(state.changed_paths)


def test_nothing_is_written_into_the_user_s_repository(production: Repository) -> None:
    make_dirty(production)
    before = everything_under(production.path)

    worktree_state(production.path)

    assert everything_under(production.path) == before


def test_objects_of_the_dirty_tree_complete_the_commit_s_pack(production: Repository, tmp_path: Path) -> None:
    make_dirty(production)
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)
    mirror.fetch()
    state = worktree_state(production.path)
    dirty = [(item.kind, item.content) for item in iterate_objects(state.objects_pack)]

    with mirror.objects() as objects:
        pack = b"".join(
            canonical_pack(objects, production.git("rev-parse", "HEAD"), trees=[state.worktree_tree], extra=dirty)
        )

    files = {file.path: file for file in tree_files(pack, state.worktree_tree)}
    assert files["staged.fcl"].content == b"y: 1\n"
    assert files["fcl/prolog.fcl"].content == b"x: 3\n"
    assert files["latest.fcl"].content == b"fcl/prolog.fcl"
    assert files["bin/run.sh"].mode == "100644"
    assert "empty" not in files
    assert "job.log" not in files


def test_pack_of_the_dirty_tree_holds_only_what_the_commit_lacks(production: Repository) -> None:
    production.write("fcl/prolog.fcl", "x: 3\n")

    state = worktree_state(production.path)

    kinds = sorted(item.kind for item in iterate_objects(state.objects_pack))
    assert kinds == ["blob", "tree", "tree"]


def test_change_that_was_undone_is_no_change(production: Repository) -> None:
    path = production.path / "fcl/prolog.fcl"
    content = path.read_bytes()
    path.write_bytes(b"other\n")
    path.write_bytes(content)

    assert not worktree_state(production.path).is_dirty


def test_copied_checkout_with_other_times_is_clean(production: Repository, tmp_path: Path) -> None:
    copy = shutil.copytree(production.path, tmp_path / "copy", symlinks=True)
    for path in copy.glob("fcl/*"):
        os.utime(path, (1, 1))

    state = worktree_state(copy)

    assert (state.is_dirty, state.changed_paths) == (False, ())


def test_change_within_the_same_second_and_size_is_seen(production: Repository) -> None:
    path = production.path / "fcl/prolog.fcl"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert worktree_state(production.path).is_dirty


def test_file_that_became_a_folder_and_folder_that_became_a_file(production: Repository, tmp_path: Path) -> None:
    (production.path / "empty").unlink()
    production.write("empty/inside", "x\n")
    shutil.rmtree(production.path / "bin")
    production.write("bin", "now a file\n")

    assert worktree_state(production.path).worktree_tree == git_s_own_tree(production, tmp_path)


def test_before_the_first_commit_everything_is_new(make_repository: MakeRepository) -> None:
    repository = make_repository("young")
    repository.write("a", "a\n")

    state = worktree_state(repository.path)

    assert (state.commit, state.is_dirty) == (None, True)
    [tree, blob] = iterate_objects(state.objects_pack)
    assert parse_tree(tree.content)[0].oid == blob.oid


def test_too_large_files_are_left_out_and_listed(production: Repository) -> None:
    production.write("small", "x")
    production.write("large", b"x" * 2000)
    production.write("medium-1", b"x" * 600)
    production.write("medium-2", b"y" * 600)

    state = worktree_state(production.path, limits=WorktreeLimits(file_bytes=1000, total_bytes=1000))

    assert state.left_out == ("large", "medium-2")
    assert state.is_dirty


def test_repository_inside_and_submodule_are_not_entered(
    production: Repository, make_repository: MakeRepository
) -> None:
    inner = make_repository("inner")
    first = inner.commit()
    production.git("submodule", "--quiet", "add", str(inner.path), "sub")
    production.commit("submodule")
    nested = make_repository("upstream/nested")
    nested.write("file", "x")
    nested.commit()
    production.write("sub/dirty", "x")

    state = worktree_state(production.path)

    assert state.left_out == ("nested/",)
    assert state.worktree_tree == production.git("rev-parse", "HEAD^{tree}")
    assert first == production.git("rev-parse", "HEAD:sub")


def test_submodule_at_another_commit_changes_the_tree(
    production: Repository, make_repository: MakeRepository, tmp_path: Path
) -> None:
    inner = make_repository("inner")
    inner.commit()
    production.git("submodule", "--quiet", "add", str(inner.path), "sub")
    production.commit("submodule")
    production.git("-C", "sub", "commit", "-q", "--allow-empty", "-m", "newer")

    state = worktree_state(production.path)

    assert state.is_dirty
    assert state.worktree_tree == git_s_own_tree(production, tmp_path)


def test_linked_working_tree_and_odd_folder_names_work(production: Repository, tmp_path: Path) -> None:
    linked = tmp_path / 'odd: "name"'
    production.git("worktree", "add", "-q", "--detach", str(linked), "light-1")
    (linked / "new").write_text("x\n")

    state = worktree_state(linked)

    assert state.commit == production.git("rev-parse", "light-1^{commit}")
    assert (state.branch, state.changed_paths) == (None, ("new",))
    assert len(list(iterate_objects(state.objects_pack))) == 2


def test_merge_conflict_is_captured_with_its_markers(production: Repository, tmp_path: Path) -> None:
    production.git("checkout", "-q", "-b", "side", "light-1")
    production.write("fcl/prolog.fcl", "side\n")
    production.commit("side")
    with pytest.raises(AssertionError):
        production.git("merge", "-q", "main")

    state = worktree_state(production.path)

    assert "fcl/prolog.fcl" in state.changed_paths
    assert state.worktree_tree == git_s_own_tree(production, tmp_path)


def test_folder_outside_any_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SoftwareError, match="no git working tree"):
        worktree_state(tmp_path)
