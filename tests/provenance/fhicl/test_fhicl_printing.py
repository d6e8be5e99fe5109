"""The printed forms, with the reference's oddities."""

import hashlib
from pathlib import Path

from jobprov.provenance import fhicl

EVERYTHING = """\
a: { b: [] c: {} d: [ [1, 2], {}, { e: @nil } ] }
f: { g: { h: {} } i: "x" }
"""


def test_indented_form_is_what_fhicl_dump_prints() -> None:
    assert fhicl.loads(EVERYTHING).to_indented_string() == (
        "a: {\n"
        "   b: []\n"
        "   c: {}\n"
        "   d: [\n"
        "      [\n"
        "         1,\n"
        "         2\n"
        "      ],\n"
        "      {},\n"
        "      {\n"
        "         e: @nil\n"
        "      }\n"
        "   ]\n"
        "}\n"
        "f: {\n"
        "   g: {\n"
        "      h: {}\n"
        "}\n"  # the table visited last is empty, so this brace is not indented
        '   i: "x"\n'
        "}\n"
    )


def test_identity_is_the_sha1_of_the_canonical_form() -> None:
    configuration = fhicl.loads(EVERYTHING)

    assert configuration.to_string() == 'a:{b:[] c:{} d:[[1,2],{},{e:@nil}]} f:{g:{h:{}} i:"x"}'
    assert (
        configuration.parameter_set_id
        == hashlib.sha1(configuration.to_string().encode(), usedforsecurity=False).hexdigest()
    )


def test_compact_form_replaces_tables_longer_than_their_reference() -> None:
    kept, replaced = (
        f"{{k: '{'0' * 39}'}}",
        f"{{k: '{'0' * 40}'}}",
    )  # 45 and 46 characters in canonical form
    identity = fhicl.loads(replaced[1:-1]).parameter_set_id

    compact = fhicl.loads(f"a: {replaced} b: [{kept}, {replaced}, [], [1]]").to_compact_string()

    assert compact == f'a:@id::{identity} b:[{{k:"{"0" * 39}"}},@id::{identity},[],[1]]'


def test_annotated_form_names_the_place_of_each_item(tmp_path: Path) -> None:
    (tmp_path / "x.fcl").write_text("BEGIN_PROLOG\nt: { u: [1,\n 2] }\nEND_PROLOG\n")
    (tmp_path / "main.fcl").write_text('#include "x.fcl"\na: @local::t\na.v.w: 3\nb: {}\n')

    configuration = fhicl.load(tmp_path / "main.fcl", [tmp_path])

    assert configuration.to_annotated_string().replace(f"{tmp_path}/", "") == (
        "a: {  # main.fcl:2\n"
        "   u: [  # x.fcl:2\n"
        "      1,  # x.fcl:2\n"
        "      2  # x.fcl:3\n"
        "   ]\n"
        "   v: {\n"
        "      w: 3  # main.fcl:3\n"
        "   }\n"
        "}\n"
        "b: {  # main.fcl:4\n"
        "}\n"
    )


def test_prefix_annotated_form_puts_key_and_place_before_each_item(tmp_path: Path) -> None:
    (tmp_path / "main.fcl").write_text("a: { b: [ {c: 1}, 2 ] }\nd.e: 3\n")

    configuration = fhicl.load(tmp_path / "main.fcl", [])

    assert configuration.to_prefix_annotated_string().replace(f"{tmp_path}/", "") == (
        "#KEY|a|\n#SRC|main.fcl:1|\na: {\n"
        "#KEY|a.b|\n#SRC|main.fcl:1|\n   b: [\n"
        "#KEY|a.b[0]|\n#SRC|main.fcl:1|\n      {\n"
        "#KEY|a.b[0].c|\n#SRC|main.fcl:1|\n         c: 1\n"
        "      },\n"
        "#KEY|a.b[1]|\n#SRC|main.fcl:1|\n      2\n"
        "   ]\n"
        "}\n#KEY|d|\n#SRC||\nd: {\n#KEY|d.e|\n#SRC|main.fcl:2|\n   e: 3\n}\n"
    )


def test_line_numbers_behind_an_include_are_true_in_origins_and_the_references_in_annotations(
    tmp_path: Path,
) -> None:
    """The reference counts the lines before an include twice behind it."""
    (tmp_path / "x.fcl").write_text("x: 1\n")
    (tmp_path / "main.fcl").write_text(
        '# comment\n# comment\n#include "x.fcl"\na: 1\n#include "x.fcl"\n\nb: 2\n'
    )

    configuration = fhicl.load(tmp_path / "main.fcl", [tmp_path])

    assert [configuration.origin(name).line for name in "abx"] == [4, 7, 1]
    assert (
        configuration.to_annotated_string().replace(f"{tmp_path}/", "")
        == "a: 1  # main.fcl:6\nb: 2  # main.fcl:10\nx: 1  # x.fcl:1\n"
    )


def test_equal_tables_are_annotated_as_the_first_of_them(tmp_path: Path) -> None:
    (tmp_path / "main.fcl").write_text("b: {x: 1\n y: 2}\na: {y: 2\n x: 1}\n")

    configuration = fhicl.load(tmp_path / "main.fcl", [])

    assert configuration.to_annotated_string().replace(f"{tmp_path}/", "") == (
        "a: {  # main.fcl:3\n   x: 1  # main.fcl:4\n   y: 2  # main.fcl:3\n}\n"
        "b: {  # main.fcl:1\n   x: 1  # main.fcl:4\n   y: 2  # main.fcl:3\n}\n"
    )
    assert configuration.origin("b.x") == (str(tmp_path / "main.fcl"), 1)


def test_parameters_are_listed_with_path_value_and_origin() -> None:
    configuration = fhicl.loads("a: { b: [ {c: 1},\n [] ] } d: foo", name="t.fcl")

    assert list(configuration.parameters()) == [
        ("a.b[0].c", "1", ("t.fcl", 1)),
        ("a.b[1]", "[]", ("t.fcl", 2)),
        ("d", '"foo"', ("t.fcl", 2)),
    ]
    assert configuration.canonical_value("a") == "{b:[{c:1},[]]}"
    assert configuration.as_tree() == {"a": {"b": [{"c": 1}, []]}, "d": "foo"}
