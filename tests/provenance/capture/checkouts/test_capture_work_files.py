"""The tree that the hook records is that of the files as they lay in the checkout, whatever git stores."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.checkouts import worktree
from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.record.draft import Draft
from tests.library.git import Repository, git

Change = Callable[[Repository], None]


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "code")
    repository.write("run.py", "print(1)\n")
    repository.write("lib/tool.py", "x = 1\n")
    return repository


def observed(checkout: Repository) -> tuple[dict[str, Any], Draft]:
    """Return the entry of the record, and the draft with its blobs."""
    draft, entry = Draft(), dict[str, Any]()
    worktree.observe(str(checkout.path), entry, draft)
    return entry, draft


def files_of_record(checkout: Repository, entry: dict[str, Any], draft: Draft) -> dict[str, Any]:
    """Return what the recorded tree holds, by path: (mode, content)."""
    bare = checkout.path.parent / "bare.git"
    shutil.rmtree(bare, ignore_errors=True)
    git(checkout.path, "clone", "-q", "--bare", checkout.path, bare)
    if "objects_sha256" in entry:
        git(bare, "index-pack", "--stdin", stdin=draft.blobs[entry["objects_sha256"]])
    tree = entry.get("worktree_tree", entry["tree"])
    files = {}
    for line in git(bare, "ls-tree", "-r", "-z", tree).split("\0")[:-1]:
        words, path = line.split("\t")
        mode, kind, oid = words.split()
        if kind == "blob":
            content = subprocess.check_output(["git", "-C", bare, "cat-file", "blob", oid])
            files[path] = (mode, content)
    return files


def files_of_folder(top: Path) -> dict[str, Any]:
    """Return what lies in a checkout, by path, apart from git's own folder."""
    files = {}
    for path in top.rglob("*"):
        name = str(path.relative_to(top))
        if path.relative_to(top).parts[0] == ".git" or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            files[name] = ("120000", os.fsencode(path.readlink()))
        else:
            mode = "100755" if path.stat().st_mode & 0o100 else "100644"
            files[name] = (mode, path.read_bytes())
    return files


def _lfs_like(repository: Repository) -> None:
    """A filter that stores a pointer, as Git LFS does, also where that is not installed."""
    repository.git("config", "filter.big.clean", "sha256sum | cut -c1-64")
    repository.git("config", "filter.big.smudge", "cat >/dev/null; echo CONTENT OF DATA")
    repository.write(".gitattributes", "*.dat filter=big\n")
    repository.write("table.dat", "CONTENT OF DATA\n")
    repository.commit()


def _line_ends(repository: Repository) -> None:
    repository.write(".gitattributes", "*.txt text eol=crlf\n*.py text=auto\n")
    repository.write("steering.txt", "a\r\nb\r\n")
    repository.commit()


def _autocrlf(repository: Repository) -> None:
    repository.git("config", "core.autocrlf", "true")
    repository.write("steering.cfg", "a\r\nb\r\n")
    repository.commit()


def _ident(repository: Repository) -> None:
    repository.write(".gitattributes", "*.h ident\n")
    repository.write("version.h", "// $Id$\n")
    repository.commit()
    (repository.path / "version.h").unlink()
    repository.git("checkout", "--", "version.h")
    assert "$Id: " in (repository.path / "version.h").read_text()


def _encoding(repository: Repository) -> None:
    repository.write(".gitattributes", "*.u16 working-tree-encoding=UTF-16LE-BOM\n")
    repository.write("names.u16", b"\xff\xfe" + "Müller\n".encode("utf-16-le"))
    repository.commit()


def _filter_of_same_size(repository: Repository) -> None:
    repository.git("config", "filter.case.clean", "tr A-Z a-z")
    repository.git("config", "filter.case.smudge", "tr a-z A-Z")
    repository.write(".gitattributes", "*.up filter=case\n")
    repository.write("loud.up", "LOUD\n")
    repository.commit()


def _assume_unchanged(repository: Repository) -> None:
    repository.commit()
    repository.git("update-index", "--assume-unchanged", "lib/tool.py")
    repository.write("lib/tool.py", "x = 2\n")


def _skip_worktree(repository: Repository) -> None:
    repository.commit()
    repository.git("update-index", "--skip-worktree", "lib/tool.py")
    repository.write("lib/tool.py", "x = 3\n")


def _sparse(repository: Repository) -> None:
    repository.write("other/thing.py", "y = 1\n")
    repository.commit()
    repository.git("sparse-checkout", "set", "lib")
    assert not (repository.path / "other").exists()


def _mode(repository: Repository) -> None:
    repository.commit()
    repository.git("config", "core.fileMode", "false")
    (repository.path / "run.py").chmod(0o755)


def _links(repository: Repository) -> None:
    (repository.path / "current").symlink_to("lib")
    (repository.path / "out").symlink_to("/nowhere/else")
    repository.commit()
    (repository.path / "current").unlink()
    (repository.path / "current").symlink_to("lib/tool.py")


def _links_as_files(repository: Repository) -> None:
    (repository.path / "current").symlink_to("lib")
    repository.commit()
    repository.git("config", "core.symlinks", "false")
    (repository.path / "current").unlink()
    repository.git("checkout", "--", "current")
    assert not (repository.path / "current").is_symlink()


def _folder_by_link(repository: Repository) -> None:
    repository.commit()
    (repository.path / "lib").rename(repository.path / "library")
    (repository.path / "lib").symlink_to("library")


def _ignored_code(repository: Repository) -> None:
    repository.write(".gitignore", "_version.py\nbuild/\n")
    repository.commit()
    repository.write("_version.py", "version = '1.2.dev3'\n")
    repository.write("build/tool.so", b"\x7fELF\0" + bytes(range(256)) * 8192)
    (repository.path / "build/prog").write_bytes(b"\x7fELF\0" * 400_000)
    (repository.path / "build/prog").chmod(0o755)


def _untracked(repository: Repository) -> None:
    repository.commit()
    repository.write("new name\n ü.py", "z = 1\n")
    repository.write("lib/tool.py", "x = 4\n")
    repository.git("rm", "-q", "--cached", "run.py")


def _conflict(repository: Repository) -> None:
    repository.commit()
    repository.git("checkout", "-q", "-b", "other")
    repository.write("run.py", "print(2)\n")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("run.py", "print(3)\n")
    repository.commit()
    words = ["git", "-C", repository.path, "-c", "user.name=a", "-c", "user.email=b", "merge"]
    subprocess.run([*words, "other"], check=False, capture_output=True)
    assert "<<<<" in (repository.path / "run.py").read_text()


def _intent_to_add(repository: Repository) -> None:
    repository.commit()
    repository.write("soon.py", "s = 1\n")
    repository.git("add", "-N", "soon.py")


KINDS = {
    function.__name__: function
    for function in (
        *(_lfs_like, _line_ends, _autocrlf, _ident, _encoding, _filter_of_same_size),
        *(_assume_unchanged, _skip_worktree, _sparse, _mode, _links, _links_as_files),
        *(_folder_by_link, _ignored_code, _untracked, _conflict, _intent_to_add),
    )
}
CLEAN = {
    *("_lfs_like", "_line_ends", "_autocrlf", "_ident", "_encoding", "_filter_of_same_size"),
    *("_assume_unchanged", "_skip_worktree", "_sparse", "_mode", "_links_as_files"),
    "_ignored_code",
}


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_tree_is_what_lies_there(checkout: Repository, kind: str) -> None:
    KINDS[kind](checkout)
    before = files_of_folder(checkout.path)

    entry, draft = observed(checkout)

    assert files_of_record(checkout, entry, draft) == before
    assert files_of_folder(checkout.path) == before
    assert entry["worktree_tree"] != entry["tree"]
    assert entry["is_dirty"] is (kind not in CLEAN)
    assert "left_out" not in entry


def test_clean_checkout_has_no_tree_of_its_own(checkout: Repository) -> None:
    checkout.write(".gitattributes", "*.py text diff=python\n")
    checkout.commit()

    entry, draft = observed(checkout)

    assert entry["is_dirty"] is False
    assert "worktree_tree" not in entry
    assert draft.blobs == {}


@pytest.mark.slow
def test_what_is_not_kept_is_named(checkout: Repository) -> None:
    checkout.write(".gitignore", "*.csv\n.env\nvenv/\n__pycache__/\nid_rsa\nmany/\n")
    checkout.commit()
    checkout.write("calibration.csv", "1,2\n")
    checkout.write("events.root", b"root\0")
    checkout.write("blob.bin", bytes(2 << 20))
    checkout.write(".env", "MODE=fast\n")
    checkout.write("id_rsa", "x\n")
    checkout.write("venv/pyvenv.cfg", "home = /usr\n")
    checkout.write("__pycache__/tool.pyc", b"\0")
    for number in range(2001):
        checkout.write(f"many/{number}", "")
    checkout.write("lib/tool.py", "password = 'correct-horse-battery'\n")
    token = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
    checkout.write("setup.sh", f"export GITHUB_TOKEN={token}\n")

    entry, draft = observed(checkout)

    left_out = {item["path"]: item["why"] for item in entry["left_out"]}
    assert left_out.pop("setup.sh") == "secret"
    left_out.pop("lib/tool.py", None)
    assert left_out == {
        "calibration.csv": "ignored",
        "events.root": "data",
        "blob.bin": "too large",
        ".env": "ignored",
        "id_rsa": "private",
        "venv/": "ignored",
        "many/": "too many",
    }
    recorded = files_of_record(checkout, entry, draft)
    assert token.encode() not in recorded["setup.sh"][1]
    assert b"<redacted:" in recorded["setup.sh"][1]


def test_large_file_in_place_of_its_pointer_is_left_out_by_name(checkout: Repository) -> None:
    _lfs_like(checkout)
    with (checkout.path / "table.dat").open("wb") as stream:
        stream.truncate(17 << 20)
    checkout.git("update-index", "--assume-unchanged", "table.dat")

    entry, draft = observed(checkout)

    assert entry["left_out"] == [{"path": "table.dat", "why": "too large", "size_bytes": 17 << 20}]
    assert "table.dat" not in files_of_record(checkout, entry, draft)


def test_converted_files_of_a_changed_checkout_are_named(checkout: Repository) -> None:
    _line_ends(checkout)
    checkout.write("run.py", "print(7)\n")

    entry, draft = observed(checkout)

    assert entry["is_dirty"] is True
    assert entry["converted"] == ["steering.txt"]
    patch = draft.blobs[entry["dirty_patch_sha256"]]
    assert isinstance(patch, bytes)
    assert b"run.py" in patch
    assert b"steering.txt" not in patch


@pytest.mark.slow
def test_nested_repository_is_a_checkout_of_its_own(checkout: Repository) -> None:
    checkout.write(".gitignore", "vendor/\n")
    checkout.commit()
    for place in ("inner", "vendor"):
        nested = Repository(checkout.path / place)
        nested.write("n.py", "n = 1\n")
        nested.commit()
        nested.write("n.py", "n = 2\n")
    draft = Draft()

    Repositories(draft).add(str(checkout.path))

    assert [entry["name"] for entry in draft.record["software"]] == ["code", "inner", "vendor"]
    assert [entry["is_dirty"] for entry in draft.record["software"]] == [False, True, True]


def test_worktree_of_a_repository_is_read_like_any_checkout(checkout: Repository) -> None:
    checkout.commit()
    checkout.git("worktree", "add", "-q", "../second", "-b", "second")
    second = Repository(checkout.path.parent / "second")
    second.write("run.py", "print(9)\n")
    before = files_of_folder(second.path)

    entry, draft = observed(second)

    assert files_of_record(second, entry, draft) == before
