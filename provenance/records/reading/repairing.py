"""The careful way from bytes to a typed record: what may be repaired is, what may not is named.

For records that `decoding.py` cannot read at once: a number past 64 bits, a leap second,
nanoseconds (repaired as the contract says), a wrong type, a duplicate key, a NUL (refused, with the
field).
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.job_record import ExperimentName, JobId, JobRecord
from jobprov.provenance.records.reading.checks import LARGEST
from jobprov.provenance.records.reading.times import plain_time

SCHEMA_VERSION = 1
MOST_NESTED = 700
"""How deep objects and lists may lie in each other.

Less than Python follows, so that what reads them again can.
"""

_PATTERNS = {
    "-[0-9a-f]{12}": "not a UUID in lower case",
    "[0-9a-f]{64}": "not 64 lower-case hex digits",
    "[A-Za-z0-9_-]{0,63}": (
        "not 1 to 64 letters, digits, _ and -, the first of them a letter or digit"
    ),
}
_PATH = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


def parse_object(body: bytes, what: str = "The body") -> dict[str, Any]:
    """Return the JSON object in `body`, in UTF-8.

    Refuses duplicate keys, NUL and lone surrogates, NaN, and anything but an object.

    `what` it is begins the sentence that tells so.
    """
    try:
        # Of bytes, json.loads guesses: UTF-16 would be kept
        text = body.decode("utf-8", "surrogatepass")
        raw = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep(what) from None
    except (ValueError, UnicodeDecodeError) as problem:
        raise RecordError(f"{what} is not JSON: {problem}.", {"": [str(problem)]}) from None
    if not isinstance(raw, dict):
        raise RecordError(f"{what} is no JSON object.", {"": ["not an object"]})
    if body.count(b"[") + body.count(b"{") > MOST_NESTED and _is_deeper(raw, MOST_NESTED):
        raise _too_deep(what)
    if _may_hide_text(body) and (path := unstorable_text(raw, "")) is not None:
        raise RecordError(
            f"The text of {path} holds a NUL or a lone surrogate; escape it.",
            {path: ["NUL or lone surrogate"]},
        )
    return raw


def _too_deep(what: str) -> RecordError:
    words = (
        f"{what} is nested too deeply: objects and lists may lie {MOST_NESTED} deep in each other."
    )
    return RecordError(words, {"": ["nested too deeply"]})


def _is_deeper(value: dict[str, Any], most: int) -> bool:
    """Return whether objects and lists lie in each other more than so deep, itself counted."""
    level: list[Any] = [value]
    for _ in range(most):
        inner = (
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
        )
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


class _Envelope(msgspec.Struct):
    """What every version of the record has."""

    schema_version: int
    job_id: JobId
    experiment: ExperimentName


def is_later(raw: dict[str, Any]) -> bool:
    """Return whether the record is of a version that this service does not read yet.

    Its names must hold all the same.
    """
    version = raw.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version <= SCHEMA_VERSION:
        return False
    try:
        msgspec.convert(raw, _Envelope)
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        raise RecordError(f"{path or 'The record'}: {message}.", {path: [message]}) from None
    return True


def read_typed(raw: dict[str, Any]) -> tuple[JobRecord, tuple[str, ...]]:
    """Return what `read_plain` does.

    Raises:
        RecordError: a type is wrong beyond repair; `fields` says where.
    """
    try:
        return read_plain(raw)
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        path = _which_variable(raw) if path == "environment.variables[...]" else path
        raise RecordError(f"{path or 'The record'}: {message}.", {path: [message]}) from None


def _which_variable(raw: dict[str, Any]) -> str:
    """Return the path of the first variable that is no text: msgspec does not say which it was."""
    variables = raw["environment"]["variables"]
    return (
        "environment.variables."
        f"{next(name for name in variables if not isinstance(variables[name], str))}"
    )


def read_plain(raw: dict[str, Any]) -> tuple[JobRecord, tuple[str, ...]]:
    """Return the typed reading of plain JSON values, and the field paths that had to be repaired.

    Raises:
        msgspec.ValidationError: a type is wrong beyond repair.
    """
    repairs: list[str] = []
    record = msgspec.convert(_repair(raw, "", repairs), JobRecord)
    if repairs:  # a number may be left out only where a number belongs
        msgspec.convert(_repair(raw, "", [], instead=1), JobRecord)
    return record, tuple(repairs)


def without_unfit(raw: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """Return a record with null for values out of range, so that another witness may give them.

    Adds their paths to `repairs`.

    Lists are left as they are: they are taken whole, from one witness.
    """
    return {
        key: value if key in _FREE else _fitting(value, key, repairs) for key, value in raw.items()
    }


def _fitting(value: Any, path: str, repairs: list[str], depth: int = 1) -> Any:
    if isinstance(value, dict) and depth < _DEEPEST:
        return {
            key: item if key in _FREE else _fitting(item, f"{path}.{key}", repairs, depth + 1)
            for key, item in value.items()
        }
    is_unfit = (
        isinstance(value, int | float) and not isinstance(value, bool) and not _in_range(value)
    )
    if is_unfit:
        repairs.append(path)
    return None if is_unfit else value


def repaired(value: Any) -> Any:
    """Return a part of a record as its typed reading has it.

    What does not fit is null, times are cut.
    """
    return _repair(value, "", [])


def split_message(text: str) -> tuple[str, str]:
    """Return the field path and the words of a msgspec message.

    In place of a regular expression, what it asks for.
    """
    found = _PATH.search(text)
    if found:
        message = text[: found.start()].replace("`", "")
        return found.group(1), next(
            (words for part, words in _PATTERNS.items() if part in message), message
        )
    missing = re.search(r"missing required field `(\w+)`", text)
    return (missing.group(1) if missing else ""), text.replace("`", "")


def _may_hide_text(body: bytes) -> bool:
    """Return whether the text may hold an escape for NUL or a surrogate.

    The first byte of a surrogate in UTF-8 counts as well.
    """
    return any(part in body for part in (b"\\u0000", b"\\ud", b"\\uD", b"\xed"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordError(
            f"The key {twice!r} stands twice in one object.", {twice: ["duplicate key"]}
        )
    return found


def _refuse_constant(word: str) -> Any:
    raise RecordError(f"{word} is no JSON number.", {"": [f"{word} is no JSON number"]})


def unstorable_text(value: Any, path: str) -> str | None:
    """Return the path of the first text with a NUL or a lone surrogate, which no database keeps.

    None where there is none.
    """
    # By hand: a client's lists may lie in each other as deep as a call can go
    stack = [(value, path)]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str) and _is_unstorable(value):
            return path.encode("unicode_escape").decode() if _is_unstorable(path) else path
        if isinstance(value, dict):
            below = [(key, item, f"{path}.{key}" if path else key) for key, item in value.items()]
            stack += [
                pair for key, item, here in reversed(below) for pair in ((item, here), (key, here))
            ]
        elif isinstance(value, list):
            stack += [
                (item, f"{path}[{place}]") for place, item in reversed(list(enumerate(value)))
            ]
    return None


def _is_unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


# Free-form parts keep whatever they hold; only typed fields are repaired.
_FREE = frozenset({"extra", "metadata", "limits", "runs", "hosts", "ranks", "variables"})
_DEEPEST = 20  # no typed field lies that deep


def _repair(
    value: Any, path: str, repairs: list[str], *, instead: int | None = None, depth: int = 0
) -> Any:
    if isinstance(value, dict | list) and depth < _DEEPEST:
        how: Any = {"instead": instead, "depth": depth + 1}
        if isinstance(value, list):
            return [
                _repair(item, f"{path}[{place}]", repairs, **how)
                for place, item in enumerate(value)
            ]
        return {
            key: item
            if key in _FREE
            else _repair(item, f"{path}.{key}" if path else key, repairs, **how)
            for key, item in value.items()
        }
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not _in_range(value):
        repairs.append(path)
        return instead
    if isinstance(value, str) and path.endswith("_at"):
        return plain_time(value)
    return value


def _in_range(value: float) -> bool:
    return (isinstance(value, int) or math.isfinite(value)) and -LARGEST - 1 <= value <= LARGEST


def utc(moment: datetime) -> datetime:
    """Return the same moment in UTC.

    Raises:
        RecordError: the moment has no representation in UTC (the first or last hours that a date
            can name).
    """
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise RecordError(
            f"{moment.isoformat()} is outside the years that can be kept.", {"": ["out of range"]}
        ) from None
