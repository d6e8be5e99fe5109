"""A tree's digest depends on paths, modes and contents, and on nothing else."""

import itertools

from jobprov.provenance.software.read_pack import TreeFile
from jobprov.provenance.software.tree_digest import tree_digest

FILES = [
    TreeFile("a/b", "100644", b"one"),
    TreeFile("a.b", "100755", b"two"),
    TreeFile("link", "120000", b"a/b"),
    TreeFile("na\udce4me", "100644", b""),
]


def test_digest_of_a_known_tree_never_changes() -> None:
    assert (
        tree_digest(FILES)
        == "tree-content-1:3b76b7ef4a7367af7552fe8bf28a65946f05bdbb73b34c89867c8359a100b43b"
    )


def test_order_of_the_files_does_not_matter() -> None:
    assert {tree_digest(files) for files in itertools.permutations(FILES)} == {tree_digest(FILES)}


def test_path_mode_and_content_each_matter() -> None:
    first = FILES[0]
    changed = [
        TreeFile("a/c", first.mode, first.content),
        TreeFile(first.path, "100755", first.content),
        TreeFile(first.path, first.mode, b"One"),
    ]

    digests = {tree_digest([file, *FILES[1:]]) for file in [first, *changed]}

    assert len(digests) == 4
