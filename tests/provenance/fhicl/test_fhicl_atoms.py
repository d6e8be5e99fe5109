"""Numbers, words and strings: what they are and their canonical text."""

import pytest

from jobprov.provenance import fhicl


def canonical(source: str) -> str:
    return fhicl.loads(f"a: {source}\n").to_string().removeprefix("a:")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("007", "7"),
        ("-0.0", "0"),
        ("+.5", "5e-1"),
        ("1.", "1"),
        ("999999", "999999"),
        ("1000000", "1e6"),
        ("1234567", "1.234567e6"),
        ("12.34", "1.234e1"),
        ("-0.00120", "-1.2e-3"),
        ("1e5", "100000"),
        ("10e-1", "1"),
        ("1e400", "1e400"),
        ("0e99", "0"),
        ("0xF4240", "1e6"),
        ("0b101", "5"),
        ("0X00", "0"),
        ("0x" + "f" * 4000, None),
        ("infinity", "+infinity"),
        ("-infinity", "-infinity"),
        ("(1, 0x10)", "(1,16)"),
        ("( -infinity , 2.50 )", "(-infinity,2.5)"),
        ("1e4294967297", "10"),  # the exponent wraps as C's int does
        ("1e99999999999999999999", "1e-1"),
    ],
)
def test_number_has_its_canonical_form(source: str, expected: str | None) -> None:
    if expected is None:
        digits = _decimal_digits(source)
        expected = f"{digits[0]}.{digits[1:].rstrip('0')}e{len(digits) - 1}"

    assert canonical(source) == expected


def _decimal_digits(source: str) -> str:
    """Return the digits by repeated division, independent of the reader."""
    number, digits = int(source, 16), []
    while number:
        number, digit = divmod(number, 10)
        digits.append(str(digit))
    return "".join(reversed(digits))


@pytest.mark.parametrize(
    "word",
    ["0x", "0b2", "1e", "12abc", "1e5e5", "1_000", "nan", "Infinity", "TRUE", "nil", "_", "e5"],
)
def test_word_that_is_no_number_is_a_string(word: str) -> None:
    assert canonical(word) == f'"{word}"'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true # c", "true"),
        ("true#c", '"true"'),
        ("false//c", '"false"'),
        ("infinity#c", '"infinity"'),
        ("@nil # c", "@nil"),
        ("7#c", "7"),
    ],
)
def test_what_stands_behind_decides_what_a_word_is(source: str, expected: str) -> None:
    assert canonical(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "-0x10",
        "1-2",
        ".",
        "+",
        "1..2",
        "1e+",
        "a.b",
        "http://x",
        '"x"# c',
        "@nil#c",
        "'a'b'",
        "()",
        "(1,2,3)",
        "(a,1)",
        "1,2",
        "*",
        "0b1.1",
    ],
)
def test_other_words_are_refused(source: str) -> None:
    with pytest.raises(fhicl.FhiclError) as caught:
        canonical(source)

    assert caught.value.kind == "syntax"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("'a\\nb'", '"a\\\\nb"'),
        ('"a\\nb"', '"a\\nb"'),
        ('"a\nb\tc"', '"a\\nb\\tc"'),
        ("'it\"s'", '"it\\"s"'),
        ('"it\'s"', '"it\\\'s"'),
        ("''", '""'),
        ("'a\\'", '"a\\\\"'),
        ('"a\\\\" b"', '"a\\\\\\" b"'),  # a quote behind any backslash does not end the string
        ('"a#b//c"', '"a#b//c"'),
    ],
)
def test_string_has_its_canonical_form(source: str, expected: str) -> None:
    assert canonical(source) == expected


@pytest.mark.parametrize("source", ['"\\q"', '"\\x41"', '"a\x07"', "'a\x0b'", '"a\\\nb"'])
def test_string_that_cannot_be_canonical_is_refused(source: str) -> None:
    with pytest.raises(fhicl.FhiclError) as caught:
        canonical(source)

    assert caught.value.kind == "bad_string"


@pytest.mark.parametrize("source", ["a: 1 # café\n", "a: 'é'\n", "é: 1\n", "\ufeffa: 1\n"])
def test_text_beyond_ascii_is_refused_even_in_comments(source: str) -> None:
    with pytest.raises(fhicl.FhiclError, match="ASCII"):
        fhicl.loads(source)


def test_values_come_as_python_has_them() -> None:
    configuration = fhicl.loads(
        'a: @nil b: true c: 12 d: 1.5 e: 1e6 f: "x\\ty" g: (1,2) h: [1, {i: foo}] j: infinity k: '
        "1e400 l: 123456789012345678901"
    )

    values = {name: configuration.value(name) for name in "abcdefghjl"}

    assert values == {
        "a": None,
        "b": True,
        "c": 12,
        "d": 1.5,
        "e": 1000000,
        "f": "x\ty",
        "g": 1 + 2j,
        "h": [1, {"i": "foo"}],
        "j": float("inf"),
        "l": 123456789012345678901.0,
    }
    assert configuration.as_tree()["g"] == "(1,2)"
    assert configuration.as_tree()["j"] == "+infinity"
    assert configuration.as_tree()["k"] == "1e400"
