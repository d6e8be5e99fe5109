"""Questions to parameters, as people write them."""

import pytest

from jobprov.provenance.db.queries.configurations.parameters import ParameterCondition
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.parameter_filters import read_condition


@pytest.mark.parametrize(
    ("value", "operator", "canonical"),
    [
        ("5", "=", "5"),
        ("=5", "=", "5"),
        (" != 5 ", "!=", "5"),
        ("0x10", "=", "16"),
        ("5.0", "=", "5"),
        ("1234567", "=", "1.234567e6"),
        ("true", "=", "true"),
        ('"true"', "=", '"true"'),
        ("slow", "=", '"slow"'),
        ("'a b'", "=", '"a b"'),
        ("a/b.root", "=", '"a/b.root"'),
        ("a: 1 b", "=", '"a: 1 b"'),
        ("@nil", "=", "@nil"),
        ("[]", "=", "[]"),
        ("{}", "=", "{}"),
        ("[1, 2.0 ,0x3]", "=", "[1,2,3]"),
        ("!=[ slicer, fit ]", "!=", '["slicer","fit"]'),
        ("~Slicer*", "~", '"Slicer*"'),
        ('~"a b?"', "~", '"a b?"'),
        ("~'a b?'", "~", '"a b?"'),
        ("dir//file", "=", '"dir//file"'),
        ("run#5", "=", '"run#5"'),
        ("5 # five", "=", '"5 # five"'),
        ("5, 6", "=", '"5, 6"'),
        ("5\nvalue: 6", "=", '"5\\nvalue: 6"'),
        ("(1,2)", "=", "(1,2)"),
        ("!=''", "!=", '""'),
    ],
)
def test_a_value_is_read_as_fhicl_reads_it(value: str, operator: str, canonical: str) -> None:
    found = read_condition("a.b", value)

    assert found is not None
    assert (found.operator, found.canonical) == (operator, canonical)


@pytest.mark.parametrize(
    ("value", "number"),
    [("<5", 5.0), ("<=-0.5", -0.5), (">1e3", 1000.0), (">= infinity", float("inf"))],
)
def test_comparisons_by_size_take_a_number(value: str, number: float) -> None:
    found = read_condition("a.b", value)

    assert found is not None
    assert found.number == number


def test_a_key_alone_asks_whether_it_is_there() -> None:
    assert read_condition("a.*", None) == ParameterCondition("a.*")
    assert read_condition(None, None) is None


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (None, "5", "value: say of which parameter"),
        (
            "a b",
            None,
            "parameter: 'a b' is not a key; write a.b.c or a.b[2], with * for any letters",
        ),
        ("a.b?", "5", "parameter: 'a.b?' is not a key"),
        ("a", "=>5", "value: '=>' is not an operator; known are = != < <= > >= ~"),
        ("a", "<>5", "value: '<>' is not an operator"),
        ("a", "!", "value: '!' is not an operator"),
        ("a", "<", "value: nothing stands behind <"),
        ("a", "<slow", "value: < compares numbers, and 'slow' is none"),
        ("a", ">true", "value: > compares numbers"),
        (
            "a",
            "[1,2",
            "value: '[1,2' is neither a single value nor a whole sequence as FHiCL writes them",
        ),
        (
            "a",
            "{b:1}",
            "value: '{b:1}' is neither a single value nor a whole sequence as FHiCL writes them; of a table ask for",
        ),
        ("a", "~\x01", "value: the string holds the unprintable character"),
        ("a", "<[1]", "value: < compares numbers, and '[1]' is none"),
        ("a", "\x01", "value: the string holds the unprintable character"),
    ],
)
def test_what_is_no_question_is_refused_in_words(
    parameter: str | None, value: str | None, message: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        read_condition(parameter, value)

    assert str(caught.value).startswith(message)
    assert list(caught.value.fields) == [message.split(":", maxsplit=1)[0]]
