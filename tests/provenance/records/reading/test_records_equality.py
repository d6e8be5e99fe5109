"""Equal values: what makes a record that is sent again the same record."""

import pytest

from jobprov.provenance.records.reading.equality import have_equal_values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [true, null]}', '{"b":[true,null],"a":1}'),
        ("1", "1.0"),
        ("100", "1e2"),
        ("1e400", "10e399"),
        ("0.1", "0.10000000000000000555"),
        ("123456789012345678901234567890", " 123456789012345678901234567890"),
        ('"\\u0061"', '"a"'),
    ],
)
def test_the_same_values_are_equal_however_they_are_written(one: str, other: str) -> None:
    assert have_equal_values(one.encode(), other.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": true}', '{"a": 1}'),
        ('{"a": [false]}', '{"a": [0.0]}'),
        ("1e400", "1e500"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("1", '"1"'),
        ("null", "false"),
        ("{}", "[]"),
        ("[1]", "[1, 1]"),
        ('{"a": null}', "{}"),
    ],
)
def test_other_values_differ(one: str, other: str) -> None:
    assert not have_equal_values(one.encode(), other.encode())


def test_deep_nesting_is_compared() -> None:
    deep = b"[" * 900 + b"]" * 900

    assert have_equal_values(deep, deep + b" ")
