"""Fields of records in bundles: what is strange is empty; JSON is written byte for byte alike."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.bundle.fields import RecordPart, readable_json, recorded_files, to_bytes

STRINGS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\udcff", "a\udc80", '[]{}:, "', "\x00\u2028"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=25,
)


@pytest.mark.slow
@given(VALUES)
def test_readable_json_is_what_json_makes(value: Any) -> None:
    assert readable_json(value) == to_bytes(
        json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    )


@pytest.mark.parametrize("strange", [None, True, 1.5, "word", ["word", 1, {"a": 1}], {"a": 1}])
def test_field_of_another_type_is_empty_and_never_an_error(strange: Any) -> None:
    part = RecordPart({"field": strange})

    assert part.text("field") == (strange if isinstance(strange, str) else "")
    assert part.texts("field") == (["word"] if isinstance(strange, list) else [])
    assert part.number("field") is None
    assert part.digest("field") == ""
    assert part.part("field").fields == (strange if isinstance(strange, dict) else {})
    rows = [row.fields for row in part.parts("field")]
    assert rows == ([{"a": 1}] if isinstance(strange, list) else [])


def test_missing_field_is_empty() -> None:
    part = RecordPart({})

    assert not part
    assert not part.has("field")
    assert not part.part("a").part("b").text("c")
    assert part.only(("a", "b")) == {}


def test_recorded_files_are_inputs_outputs_and_scripts() -> None:
    record = RecordPart(
        {kind: [{"name": kind}] for kind in ("scripts", "outputs", "inputs", "logs")}
    )

    names = [file.text("name") for file in recorded_files(record)]

    assert names == ["inputs", "outputs", "scripts"]
