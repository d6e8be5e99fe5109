"""Objects are read as git wrote them, and hostile ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software import object_form
from jobprov.provenance.software.object_form import (
    object_id,
    parse_commit,
    parse_tree,
    tagged_object,
    walk_tree,
)
from jobprov.provenance.software.packs.reading import tree_files
from tests.library.git import pack_of_objects

COMMIT = b"""tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
parent 1111111111111111111111111111111111111111
parent 2222222222222222222222222222222222222222
author Ada <ada@example.org> 1700000000 +0100
committer Bob > odd <bob@example.org> 1700000060 -0600
gpgsig -----BEGIN PGP SIGNATURE-----
 tree 0000000000000000000000000000000000000000
 -----END PGP SIGNATURE-----

Subject line

tree 3333333333333333333333333333333333333333
"""


def test_commit_fields_come_from_its_header_alone() -> None:
    fields = parse_commit(COMMIT)

    assert fields.tree == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert fields.parents == ("1" * 40, "2" * 40)
    assert fields.subject == "Subject line"
    assert fields.committed_at is not None
    assert fields.committed_at.isoformat() == "2023-11-14T22:14:20+00:00"


@pytest.mark.parametrize("date", [b"", b"99999999999999999999 +0000", b"soon", b"-1e9 +0000"])
def test_unreadable_date_is_no_date(date: bytes) -> None:
    assert parse_commit(b"tree x\ncommitter A <a> " + date + b"\n\n").committed_at is None


def test_tag_names_its_object() -> None:
    tag = b"object " + b"1" * 40 + b"\ntype commit\ntag v1\ntagger A <a> 0 +0000\n\nrelease\n"

    assert tagged_object(tag) == "1" * 40


@pytest.mark.parametrize("content", [b"", b"\n\n", b"author x\n\ny"])
def test_objects_without_their_link_are_refused(content: bytes) -> None:
    with pytest.raises(SoftwareError):
        parse_commit(content)
    with pytest.raises(SoftwareError):
        tagged_object(content)


@pytest.mark.parametrize("name", [b"..", b".", b"", b".git", b".GIT", b"a/b", b"/etc"])
def test_entry_that_leads_out_of_the_tree_is_refused(name: bytes) -> None:
    tree = b"100644 " + name + b"\0" + bytes.fromhex(object_id("blob", b"x"))
    pack = pack_of_objects([("tree", tree), ("blob", b"x")])

    with pytest.raises(SoftwareError, match=r"not allowed|cut off"):
        list(tree_files(pack, object_id("tree", tree)))


def test_entry_named_twice_is_refused() -> None:
    entry = b"100644 a\0" + bytes(20)

    with pytest.raises(SoftwareError, match="twice"):
        parse_tree(entry + entry)


def test_tree_of_trees_that_grows_without_bounds_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_form, "MAX_ENTRIES", 5000)
    oid, trees = "0" * 40, {}
    for _ in range(10):
        content = b"".join(b"40000 d%d\0" % n + bytes.fromhex(oid) for n in range(10))
        oid = object_id("tree", content)
        trees[oid] = content
    trees["0" * 40] = b""

    with pytest.raises(SoftwareError, match="more than 5000"):
        list(walk_tree(lambda oid, _path: trees[oid], oid))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(content: bytes) -> None:
    for parse in (parse_tree, parse_commit, tagged_object):
        try:
            parse(content)
        except SoftwareError:
            continue
