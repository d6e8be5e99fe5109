"""Submodules are named with path, url and exact commit."""

from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.software.objects import RepositoryObjects
from jobprov.provenance.software.submodules import Submodule, submodules_of
from tests.library.git import Repository


def submodules(repository: Repository, **more: Any) -> list[Submodule]:
    with RepositoryObjects(repository.path / ".git") as objects:
        return submodules_of(objects, repository.git("rev-parse", "HEAD^{tree}"), **more)


def add_gitlink(repository: Repository, path: str, revision: str) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{revision},{path}")


def commit_index(repository: Repository) -> None:
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "submodules")


def test_tree_without_submodules_has_none(production: Repository) -> None:
    assert submodules(production) == []


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://git.example.org/nova/soft.git", "https://git.example.org/nova/lib.git"),
        ("git@git.example.org:nova/soft.git", "ssh://git@git.example.org/nova/lib.git"),
        ("/srv/nova/soft.git", "/srv/nova/lib.git"),
        (None, "../lib.git"),
    ],
)
def test_paths_urls_and_revisions_come_back(
    production: Repository, base: str | None, url: str
) -> None:
    production.write(
        ".gitmodules",
        '[submodule "a name"]\n\tpath = lib/sub\n\turl = ../lib.git\n[submodule "b"]\n\tpath = b\n'
        "\turl = https://h/b.git # note\n",
    )
    add_gitlink(production, "lib/sub", "1" * 40)
    add_gitlink(production, "b", "2" * 40)
    add_gitlink(production, "unnamed", "3" * 40)
    commit_index(production)

    found = submodules(production, base_url=base)

    assert [(item.path, item.url, item.revision) for item in found] == [
        ("b", "https://h/b.git", "2" * 40),
        ("lib/sub", url, "1" * 40),
        ("unnamed", None, "3" * 40),
    ]


def test_gitmodules_that_cannot_be_read_or_includes_files_names_nothing(
    production: Repository, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text('[submodule "x"]\n\tpath = x\n\turl = https://secret/x\n')
    for content in (f"[include]\n\tpath = {other}\n", "[submodule\n", "\0\0"):
        production.write(".gitmodules", content)
        add_gitlink(production, "x", "1" * 40)
        commit_index(production)

        [found] = submodules(production)

        assert (found.path, found.url) == ("x", None)
