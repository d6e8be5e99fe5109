"""JSON in bundles: the fast way writes what the standard library's own does, byte for byte."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.bundle.fields import readable_json, to_bytes

STRINGS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\udcff", "a\udc80", '[]{}:, "', "\x00\u2028"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=25,
)


@given(VALUES)
def test_readable_json_is_what_json_makes(value: Any) -> None:
    assert readable_json(value) == to_bytes(
        json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    )
