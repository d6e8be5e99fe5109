"""What msgspec finds wrong, in plain words: where, what is expected, and which values there are."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from jobprov.provenance.records.reading.misfits import misfit


class State(Enum):
    RUNNING = "running"
    HELD = "held"


class Held(msgspec.Struct, tag_field="when", tag="held", forbid_unknown_fields=True):
    over: int = 0


class Stuck(msgspec.Struct, tag_field="when", tag="stuck"):
    over: int = 0


class Part(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=3)]
    state: State | None = None


class Whole(msgspec.Struct, kw_only=True):
    count: Annotated[int, Meta(ge=0, le=5)] = 0
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    parts: Annotated[list[Part], Meta(min_length=1)] | None = None
    by_name: dict[str, State] | None = None
    keyed: dict[Annotated[str, Meta(max_length=1)], int] | None = None
    pair: tuple[str, Literal["x", "y"]] | None = None
    at: datetime | None = None
    zoned: Annotated[datetime, Meta(tz=True)] | None = None
    rule: Held | Stuck | None = None
    is_dirty: bool = False
    either: Literal["x"] | int | None = None
    shape: Annotated[str, Meta(pattern="^a+$")] = "a"


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"count": "many"}, "count", "a whole number is expected, not text"),
        ({"count": 1.5}, "count", "a whole number is expected, not a number"),
        ({"count": -1}, "count", "a whole number of at least 0 is expected"),
        ({"count": 6}, "count", "a whole number of at most 5 is expected"),
        ({"share": 1}, "share", "a number below 1.0 is expected"),
        ({"parts": "all"}, "parts", "a list is expected, not text"),
        ({"parts": []}, "parts", "a list of at least 1 item is expected"),
        ({"parts": [{}]}, "parts[0].name", "missing; it has to be given"),
        ({"parts": [{"name": ""}]}, "parts[0].name", "text of at least 1 character is expected"),
        (
            {"parts": [{"name": "long"}]},
            "parts[0].name",
            "text of at most 3 characters is expected",
        ),
        (
            {"parts": [{"name": "a", "state": "z"}]},
            "parts[0].state",
            "one of running, held, not 'z'",
        ),
        (
            {"parts": [{"name": "a", "state": 4}]},
            "parts[0].state",
            "one of running, held, not a whole number",
        ),
        ({"by_name": {"a": "zzz"}}, "by_name[...]", "one of running, held, not 'zzz'"),
        (
            {"by_name": {"a": "z" * 99}},
            "by_name[...]",
            f"one of running, held, not '{'z' * 39}…",
        ),
        ({"keyed": {"aa": 1}}, "keyed", "a key of it: text of at most 1 character is expected"),
        ({"pair": ["a"]}, "pair", "a list of 2 items is expected"),
        ({"pair": ["a", "z"]}, "pair[1]", "one of x, y, not 'z'"),
        ({"at": "noon"}, "at", "a time such as 2026-11-24T16:00:00Z is expected"),
        (
            {"zoned": "2026-01-01T00:00:00"},
            "zoned",
            "a time with its zone is expected, such as 2026-11-24T16:00:00Z",
        ),
        ({"rule": {"when": "lost"}}, "rule.when", "one of held, stuck, not 'lost'"),
        ({"rule": {}}, "rule.when", "missing; it has to be given"),
        (
            {"rule": {"when": "held", "ovr": 1}},
            "rule.ovr",
            "there is no such field here; there are when, over",
        ),
        ({"is_dirty": "no"}, "is_dirty", "true or false is expected, not text"),
        ({"either": []}, "either", "a whole number or text is expected, not a list"),
        ({"shape": "b"}, "shape", "text that matches ^a+$ is expected"),
        ([], "", "an object is expected, not a list"),
    ],
)
def test_misfit_says_where_and_what_is_expected(document: Any, path: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(document, Whole)

    assert misfit(refused.value, Whole) == (path, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "it ends too early"),
        (b'{"count": 1', "it ends too early"),
        (b"nope", "invalid character (byte 4)"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"shape": "\xff"}', "not in UTF-8"),
    ],
)
def test_misfit_says_why_bytes_are_no_json(body: bytes, message: str) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError, RecursionError)) as refused:
        msgspec.json.decode(body, type=dict[str, Any])

    assert misfit(refused.value, dict[str, Any]) == ("", message)
