"""Values are shared until they change.

A model that copies everything, always, must come to the same result.
"""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobprov.provenance import fhicl
from tests.library.examples import examples

Part = str | int
names = st.sampled_from("abc")
parts = st.one_of(names, st.integers(0, 2))
RICH = "{a: {a: 1 b: [1, {c: 2}]} b: [[5], {a: 4}] c: {a: {b: 8}}}"
INSIDE_RICH = [
    (),
    ("a",),
    ("a", "b"),
    ("a", "b", 1),
    ("b",),
    ("b", 0),
    ("b", 1),
    ("c",),
    ("c", "a"),
    ("b", 1, "a"),
    ("c", "a", "b"),
]
paths = st.one_of(
    st.tuples(names, st.sampled_from(INSIDE_RICH)).map(lambda drawn: (drawn[0], *drawn[1])),
    st.tuples(names, st.lists(parts, max_size=3)).map(lambda drawn: (drawn[0], *drawn[1])),
)
constants = st.sampled_from(
    [RICH, "1", "{}", "[]", "{a: 1 b: {c: 2}}", "[3, {a: 4}, [5]]", "{a: [6, [7]] c: {a: {b: 8}}}"]
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("constant"), paths, constants),
        st.tuples(st.just("local"), paths, paths),
        st.tuples(st.just("inside"), paths, paths),
        st.tuples(st.just("table"), paths, paths),
        st.tuples(st.just("sequence"), paths, paths),
        st.tuples(st.just("erase"), paths, paths),
        st.tuples(st.just("top"), paths, paths),
    ),
    max_size=12,
)


class Impossible(Exception):  # noqa: N818 - no error: the model skips the operation
    """The operation is an error in FHiCL."""


class Model:
    """Nested dicts and lists, copied deeply at every reference."""

    def __init__(self) -> None:
        self.top: dict[str, Any] = {}

    def find(self, path: tuple[Part, ...]) -> Any:
        value: Any = self.top
        for part in path:
            if not isinstance(value, dict if isinstance(part, str) else list):
                raise Impossible
            try:
                value = value[part]  # type: ignore[call-overload]
            except LookupError:
                raise Impossible from None
        return copy.deepcopy(value)

    def insert(self, path: tuple[Part, ...], value: Any) -> None:
        holder: Any = self.top
        for part, following in zip(path, [*path[1:], None], strict=True):
            if isinstance(part, int):
                holder += [None] * (part + 1 - len(holder))
            elif part not in holder:
                holder[part] = None
            if following is None:
                holder[part] = value
                return
            if holder[part] is None:
                holder[part] = {} if isinstance(following, str) else []
            holder = holder[part]
            if not isinstance(holder, dict if isinstance(following, str) else list):
                raise Impossible

    def erase(self, path: tuple[Part, ...]) -> None:
        holder: Any = self.top
        for index, part in enumerate(path):
            if not isinstance(holder, dict if isinstance(part, str) else list):
                raise Impossible
            if (part not in holder) if isinstance(part, str) else (part >= len(holder)):
                return
            if index == len(path) - 1:
                if isinstance(part, int):
                    raise Impossible
                del holder[part]
                return
            holder = holder[part]


def dotted(path: tuple[Part, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


# One for each operation
def apply(model: Model, kind: str, target: tuple[Part, ...], source: Any) -> str:  # noqa: PLR0911
    """Do one operation in the model and return it as FHiCL."""
    if kind == "constant":
        model.insert(target, fhicl.loads(f"v: {source}").value("v"))
        return f"{dotted(target)}: {source}"
    if kind == "erase":
        model.erase(target)
        return f"{dotted(target)}: @erase"
    found = model.find(source)
    if kind == "top":
        if not isinstance(found, dict):
            raise Impossible
        model.top.update(found)
        return f"@table::{dotted(source)}"
    if kind == "local":
        model.insert(target, found)
        return f"{dotted(target)}: @local::{dotted(source)}"
    if kind == "inside":
        model.insert(target, {"a": found, "b": [copy.deepcopy(found), {"c": copy.deepcopy(found)}]})
        reference = f"@local::{dotted(source)}"
        return f"{dotted(target)}: {{a: {reference} b: [{reference}, {{c: {reference}}}]}}"
    if not isinstance(found, dict if kind == "table" else list):
        raise Impossible
    if kind == "table":
        model.insert(target, {"a": 0, **found, "c": 9})
        return f"{dotted(target)}: {{a: 0 @table::{dotted(source)} c: 9}}"
    model.insert(target, [0, *found, *copy.deepcopy(found)])
    return f"{dotted(target)}: [0, @sequence::{dotted(source)}, @sequence::{dotted(source)}]"


@given(operations)
@settings(max_examples=examples(300), deadline=None)
@pytest.mark.slow
def test_sharing_is_never_seen(drawn: list[tuple[str, tuple[Part, ...], Any]]) -> None:
    model, lines = Model(), []
    start = [("constant", (name,), RICH) for name in "abc"]
    for operation in [*start, *drawn]:
        trial = copy.deepcopy(model)
        try:
            lines.append(apply(trial, *operation))
        except Impossible:
            continue
        model = trial

    text = "\n".join(lines)

    assert fhicl.loads(text).as_tree() == model.top, text
