"""What erasing takes from a record, how it names fields, and which texts it looks for."""

import json
from typing import Any

import pytest

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.erasing import (
    digests_of,
    forms_of,
    holds_any,
    texts_gone,
    values_at,
    without_fields,
)

RECORD = {
    "environment": {"variables": {"A": "1", "A.B": "dotted"}, "withheld": ["C"]},
    "command": {"argv": ["run", "secret"]},
    "outputs": [{"name": "x", "metadata": {"any.dotted": "key", "any": {"other": 5}}}],
    "threads": 4,
}


def without(*paths: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(without_fields(json.dumps(RECORD).encode(), paths))
    return read


def test_variable_is_withheld_and_other_fields_say_that_they_were_erased() -> None:
    found = without("environment.variables.A", "command.argv[1]", "threads")

    assert found["environment"] == {"variables": {"A.B": "dotted"}, "withheld": ["C", "A"]}
    assert found["command"]["argv"] == ["run", "[erased]"]
    assert found["threads"] is None
    assert found["outputs"] == RECORD["outputs"]


def test_names_with_dots_are_found_by_the_longest_that_fits() -> None:
    assert without("environment.variables.A.B")["environment"]["variables"] == {"A": "1"}
    assert (
        without("outputs[0].metadata.any.dotted")["outputs"][0]["metadata"]["any.dotted"]
        == "[erased]"
    )
    assert without("outputs[0].metadata.any.other")["outputs"][0]["metadata"]["any"] == {
        "other": None
    }


@pytest.mark.parametrize(
    "path",
    ["", "none", "command.argv[2]", "command.argv.x", "threads.x", "outputs[0]x", "command[0]"],
)
def test_field_that_is_not_there_is_refused(path: str) -> None:
    with pytest.raises(RecordError, match="has no field"):
        without(path)
    with pytest.raises(RecordError, match="has no field"):
        values_at(json.dumps(RECORD).encode(), [path])


def test_number_that_json_cannot_write_asks_for_a_whole_record() -> None:
    with pytest.raises(RecordError, match="--replacement"):
        without_fields(b'{"threads": 1e999, "unit": "x"}', ["unit"])


def test_values_written_otherwise_share_a_digest() -> None:
    first, second = digests_of(b'{"a": 1, "b": "\\u00e9"}'), digests_of('{"b":"é","a":1}'.encode())

    assert len(first & second) == 1
    assert not digests_of(b'{"a": 2}') & first


def test_texts_that_are_gone_are_those_that_nothing_holds_any_more() -> None:
    before = [
        json.dumps(
            {"a": "long-secret", "b": "stays-here", "c": "short", "n": 1234567, "t": True}
        ).encode()
    ]

    assert texts_gone(before, json.dumps({"x": ["it stays-here too"]}).encode()) == [
        "1234567",
        "long-secret",
    ]


@pytest.mark.parametrize(
    "text", ["plain-text", 'with "quotes"', "back\\slash", "überall", "two\nlines"]
)
def test_text_is_found_plain_in_json_and_in_json_within_json(text: str) -> None:
    forms = forms_of([text])
    once = json.dumps({"a": f"<{text}>"})

    assert holds_any(text.encode(), forms)
    assert holds_any(once.encode(), forms)
    assert holds_any(json.dumps({"record": once}).encode(), forms)
    assert holds_any(
        json.dumps(
            {"record": json.dumps({"a": text}, ensure_ascii=False)}, ensure_ascii=False
        ).encode(),
        forms,
    )
    assert not holds_any(b"nothing of it", forms)
