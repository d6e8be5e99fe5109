"""What a document means: prologs, assignments, references, erasure, protection."""

import pytest

from jobprov.provenance import fhicl


def text_of(source: str) -> str:
    return fhicl.loads(source).to_string()


def kind_of(source: str) -> str:
    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.loads(source)
    return caught.value.kind


def test_empty_document_has_the_empty_id() -> None:
    assert fhicl.loads("").parameter_set_id == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert fhicl.loads("# nothing\n").to_string() == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("b: 1 B: 2 a_: 3 a0: 4 a: 5", "B:2 a:5 a0:4 a_:3 b:1"),
        ("a: 1 a: {b: 2}", "a:{b:2}"),
        ("a: {x: 1} a: {y: 2}", "a:{y:2}"),
        ("a.b.c: 1", "a:{b:{c:1}}"),
        ("a[2].x: 1", "a:[@nil,@nil,{x:1}]"),
        ("a: [1,2] a[01]: 5", "a:[1,5]"),
        ("a\n.b # c\n[0] : 1", "a:{b:[1]}"),
        ("a: [,1]", "a:[1]"),
        ("a:1 b:[1]c:{}d:2", "a:1 b:[1] c:{} d:2"),
        ("infinity: 1 true: 2", "infinity:1 true:2"),
        ("a: {x: 1 x: 2 y: 3 y: @erase}", "a:{x:2}"),
        ("a: 1 a:@eraseb: 2", "b:2"),
    ],
)
def test_assignments_bind_and_replace(source: str, expected: str) -> None:
    assert text_of(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: {x: 1} b: @local::a a.x: 2", "a:{x:2} b:{x:1}"),
        (
            "a: {x: {y: 1}} b: @local::a b.x.y: 2 c: @local::b c.x.z: 3",
            "a:{x:{y:1}} b:{x:{y:2}} c:{x:{y:2 z:3}}",
        ),
        ("a: [[1]] b: [@local::a, @local::a] b[0][0][0]: 9", "a:[[1]] b:[[[9]],[[1]]]"),
        ("a: {x: 1} b: {c: @local::a d: {e: @local::a.x}}", "a:{x:1} b:{c:{x:1} d:{e:1}}"),
        ("a: [1,2] b: [0, @sequence::a, @sequence::a]", "a:[1,2] b:[0,1,2,1,2]"),
        ("a: {x: 1 y: {z: 2}} b: {x: 0 @table::a y: 3}", "a:{x:1 y:{z:2}} b:{x:1 y:3}"),
        ("a: {x: 1} b: {@table::a x: @erase w: 1}", "a:{x:1} b:{w:1}"),
        ("a: {x: 1} @table::a x: 5", "a:{x:1} x:5"),
        ("a: {c: [1,2]} b: @local::a .c\n[1]", "a:{c:[1,2]} b:2"),
        ("a: [7,8] b: @local::a[4294967297]", "a:[7,8] b:8"),  # indices wrap as C's int does
        ("a: {x: 1} a: @local::a a.y: 2", "a:{x:1 y:2}"),
    ],
)
def test_references_copy_what_is_bound_now(source: str, expected: str) -> None:
    assert text_of(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("BEGIN_PROLOG a: {x: 1 y: 2} END_PROLOG a.x: 5", "a:{x:5}"),
        ("BEGIN_PROLOG a: {x: 1 y: 2} END_PROLOG a: @local::a a.x: 5", "a:{x:5 y:2}"),
        ("BEGIN_PROLOG s: [1,2,3] END_PROLOG s[1]: 9", "s:[@nil,9]"),
        (
            (
                "BEGIN_PROLOG a: 1 END_PROLOG BEGIN_PROLOG b: @local::a a: 2 END_PROLOG c: "
                "[@local::a, @local::b]"
            ),
            "c:[2,1]",
        ),
        ("BEGIN_PROLOG a: {x: 1} @table::a END_PROLOG b: @local::x", "b:1"),
        ("BEGIN_PROLOGa: 1 END_PROLOG b: @local::a", "b:1"),
        ("BEGIN_PROLOG END_PROLOG: 1 END_PROLOG", ""),
        ("a: 0 END_PROLOG: 1 BEGIN_PROLOG: 2", "BEGIN_PROLOG:2 END_PROLOG:1 a:0"),
        ("BEGIN_PROLOG a: {x: 1} END_PROLOG a: @erase b: @local::a", "b:{x:1}"),
        ("BEGIN_PROLOG b: {a: 1} END_PROLOG\n@table::b", "a:1"),
    ],
)
def test_prologs_define_but_are_no_part_of_the_result(source: str, expected: str) -> None:
    assert text_of(source) == expected


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("a: 1 BEGIN_PROLOG b: 1 END_PROLOG", "prolog_placement"),
        ("BEGIN_PROLOG BEGIN_PROLOG END_PROLOG END_PROLOG", "prolog_placement"),
        ("a: { BEGIN_PROLOG b: 1 END_PROLOG }", "prolog_placement"),
        ("BEGIN_PROLOG: 1", "syntax"),
        ("BEGIN_PROLOG a: 1", "syntax"),
        ("END_PROLOG", "syntax"),
        ("a: 1 a.b: 2", "assignment_error"),
        ("a: {} a[0]: 1", "assignment_error"),
        ("a: 1 a.b: @erase", "erase_error"),
        ("a: [1] a[0]: @erase", "erase_error"),
        ("a: @local::b b: 1", "local_lookup"),
        ("a: {b: 1 c: @local::a.b}", "local_lookup"),
        ("a: [1] b: @local::a[1]", "local_lookup"),
        ("a: 1 b: @local::a.x", "local_lookup"),
        ("a: {x: 1} b: @local::a[0]", "local_lookup"),
        ("a: {x: 1} b: [@sequence::a.y]", "local_lookup"),
        ("a: 1 b: {@table::a}", "type_mismatch"),
        ("a: {} b: [@sequence::a]", "type_mismatch"),
        ("a: @db::x", "database_lookup"),
        ("a: @sequence::b", "syntax"),
        ("a: [1,]", "syntax"),
        ("a: [1 2]", "syntax"),
        ("a: {b: 1, c: 2}", "syntax"),
        ("a: {b.c: 1}", "syntax"),
        ("a: @local:: b", "syntax"),
        ("a[0x1]: 1", "syntax"),
        ("a: [@erase]", "syntax"),
        ("a: 1;", "syntax"),
        ('"a": 1', "syntax"),
    ],
)
def test_errors_have_their_kind(source: str, kind: str) -> None:
    assert kind_of(source) == kind


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a @protect_ignore: 1 a: 2", "a:1"),
        ("a @protect_ignore: 1 a: @erase", "a:1"),
        ("a @protect_ignore: {x: 1} a.x: 2 a.y: 3", "a:{x:1 y:@nil}"),
        ("a: {x @protect_ignore: 1} a.x: 2 a: 5", "a:5"),
        ("a: {x @protect_ignore: 1 x: 2}", "a:{x:1}"),
        ("a: {x @protect_ignore: 1 x: @erase}", "a:{x:1}"),
        ("b: 1 a: {x @protect_ignore: @local::b x: 2}", "a:{x:1} b:1"),
        ("b: 1 a: {x @protect_ignore: {y: @local::b} x: 2}", "a:{x:{y:1}} b:1"),
        ("b: {x @protect_ignore: 1} a: {@table::b x: 2 w: 3}", "a:{w:3 x:1} b:{x:1}"),
        ("a @protect_ignore: @nil a.x: 1", "a:{x:@nil}"),
        ("a @protect_error: 1 b: @local::a b: 2", "a:1 b:2"),
        ("a @protect_error: {x: 1} b: @local::a b.x: 2", "a:{x:1} b:{x:2}"),
        ("a: @nil a @protect_error: 1", "a:1"),
        ("BEGIN_PROLOG a @protect_error: 1 END_PROLOG a: 2", "a:2"),
    ],
)
def test_protection_keeps_the_first_binding(source: str, expected: str) -> None:
    assert text_of(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "a @protect_error: 1 a: 2",
        "a @protect_error: 1 a: @erase",
        "a @protect_error: {x: 1} a.x: 2",
        "a: 1 a @protect_ignore: 2",
        "a @protect_error: {x @protect_ignore: 1}",
        "a: {x @protect_error: 1} b: @local::a b.x: 2",
        "a: {x @protect_error: 1} b: {@table::a x: 2}",
        "x: 0 a: {x @protect_ignore: 1} @table::a",
        "t: {x: 1 x @protect_error: 2}",
        "t: {x @protect_error: 1 x: @erase}",
        "b: 1 t: {x: 1 x @protect_ignore: @local::b}",
        "b: {x @protect_ignore: 1} t: {x @protect_error: @local::b}",
        "b: {x @protect_ignore: 1} t: {x @protect_error: [@local::b]}",
        "b: {x @protect_error: 1} t: {x: 0 @table::b}",
    ],
)
def test_protection_with_error_refuses(source: str) -> None:
    assert kind_of(source) == "protection_violation"


def test_identifier_stands_for_an_earlier_table() -> None:
    inner = fhicl.loads("x: 1").parameter_set_id

    configuration = fhicl.loads(f"a: {{x: 1}} b: [@id::{inner}] c: {{d: @id::{inner}}}")

    assert configuration.to_string() == "a:{x:1} b:[{x:1}] c:{d:{x:1}}"
    assert configuration.value("c.d.x") == 1


def test_identifier_of_no_table_is_refused() -> None:
    inner = fhicl.loads("x: 1").parameter_set_id

    assert kind_of(f"a: @id::{inner}") == "unknown_parameter_set"
    assert kind_of(f"a: {{x: 1}} b: @id::{inner.upper()}") == "unknown_parameter_set"
    assert kind_of(f"a: {{b: @id::{inner}}} c: {{x: 1}}") == "unknown_parameter_set"
