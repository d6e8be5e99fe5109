"""The careful way from bytes to a typed record: it repairs what it may, and names what it may not.

For records that `decoding.py` cannot read at once: a number past 64 bits, a leap second,
nanoseconds (repaired as the contract says), a wrong type, a duplicate key, a NUL (refused, with the
field).
"""

import json
import math
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.job_record import ExperimentName, JobId, JobRecord, JsonObject
from jobprov.provenance.records.reading.checks import LARGEST
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.records.reading.slow_numbers import refuse_slow_numbers
from jobprov.provenance.records.reading.times import plain_time

SCHEMA_VERSION = 1
MOST_NESTED = 700
"""How deep objects and lists may lie in each other.

Less than Python follows, so that what reads them again can.
"""

_QUOTED = ("experiment", "job_id")
_LONGEST_QUOTED = 64
_BEGINNING = 20


def parse_object(body: bytes, what: str = "The body") -> JsonObject:
    """Return the JSON object in `body`, in UTF-8.

    Refuses duplicate keys, NUL and lone surrogates, NaN, and anything but an object.

    Args:
        body: the bytes.
        what: the subject of the error's sentence.
    """
    refuse_slow_numbers(body, what)
    try:
        # json.loads guesses the encoding of bytes, so that it would take UTF-16
        text = body.decode("utf-8", "surrogatepass")
        raw = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep(what) from None
    except ValueError as problem:
        reason = _reason(problem)
        raise RecordError(f"{what} is not JSON: {reason}.", {"": [reason]}) from None
    if not isinstance(raw, dict):
        raise RecordError(f"{what} is not a JSON object.", {"": ["not an object"]})
    if body.count(b"[") + body.count(b"{") > MOST_NESTED and _is_deeper(raw, MOST_NESTED):
        raise _too_deep(what)
    if _may_hide_text(body):
        _check_texts(raw)
    return raw


def _reason(problem: ValueError) -> str:
    """Return why JSON cannot be read; Python's own words tell how to change a program."""
    if isinstance(problem, UnicodeDecodeError):
        return f"not in UTF-8 (byte {problem.start})"
    if isinstance(problem, json.JSONDecodeError):
        return str(problem)
    return f"a number of more than {sys.get_int_max_str_digits()} digits"


def _too_deep(what: str) -> RecordError:
    limit = f"objects and lists may lie {MOST_NESTED} deep in each other"
    return RecordError(f"{what} is nested too deeply: {limit}.", {"": ["nested too deeply"]})


def _check_texts(raw: JsonObject) -> None:
    path = unstorable_text(raw, "")
    if path is not None:
        raise RecordError(
            f"The text of {path} holds a NUL or a lone surrogate; escape it.",
            {path: ["NUL or lone surrogate"]},
        )


def _is_deeper(value: JsonObject, most: int) -> bool:
    """Return whether objects and lists lie more than `most` deep in each other, itself counted."""
    level: list[Any] = [value]
    for _ in range(most):
        next_level: list[Any] = []
        for outer in level:
            items = outer.values() if isinstance(outer, dict) else outer
            next_level += [item for item in items if isinstance(item, dict | list)]
        if not next_level:
            return False
        level = next_level
    return True


class _Envelope(msgspec.Struct):
    """What every version of the record has."""

    schema_version: int
    job_id: JobId
    experiment: ExperimentName


def is_later(raw: JsonObject) -> bool:
    """Return whether the record is of a version that this service does not read yet.

    Raises:
        RecordError: it is, and its id or experiment is wrong.
    """
    version = raw.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version <= SCHEMA_VERSION:
        return False
    try:
        msgspec.convert(raw, _Envelope)
    except msgspec.ValidationError as problem:
        raise _refusal(raw, problem, _Envelope) from None
    return True


def read_typed(raw: JsonObject) -> tuple[JobRecord, tuple[str, ...]]:
    """Return what `read_plain` does.

    Raises:
        RecordError: a type is wrong beyond repair; `fields` says where.
    """
    try:
        return read_plain(raw)
    except msgspec.ValidationError as problem:
        raise _refusal(raw, problem, JobRecord) from None


def _refusal(raw: JsonObject, problem: msgspec.ValidationError, kind: type) -> RecordError:
    """Return the refusal of a record; it quotes a wrong name, since not every reader has it."""
    path, message = misfit(problem, kind)
    if path == "environment.variables[...]":
        path = _path_of_variable(raw)
    subject = path or "The record"
    if path in _QUOTED and isinstance(raw.get(path), str):
        subject = f"{path} {_quoted(raw[path])}"
    return RecordError(f"{subject}: {message}.", {path: [message]})


def _quoted(name: str) -> str:
    """Return a name in quotes; of a long one only the beginning, since it may be a secret."""
    if len(name) > _LONGEST_QUOTED:
        return f"{name[:_BEGINNING]!r}… ({len(name)} characters)"
    return repr(name)


def _path_of_variable(raw: JsonObject) -> str:
    """Return the path of the first variable that is not text, since msgspec does not name it."""
    variables = raw["environment"]["variables"]
    name = next(name for name in variables if not isinstance(variables[name], str))
    return f"environment.variables.{name}"


def read_plain(raw: JsonObject) -> tuple[JobRecord, tuple[str, ...]]:
    """Return the typed reading of plain JSON values, and the field paths that had to be repaired.

    Raises:
        msgspec.ValidationError: a type is wrong beyond repair.
    """
    repairs: list[str] = []
    record = msgspec.convert(_repair(raw, "", repairs), JobRecord)
    if repairs:
        # A null fits every field. That a number in its place fits too shows that one belongs there
        msgspec.convert(_repair(raw, "", [], instead=1), JobRecord)
    return record, tuple(repairs)


def without_unfit(raw: JsonObject, repairs: list[str]) -> JsonObject:
    """Return a record with null for values out of range, so that another witness may give them.

    Adds their paths to `repairs`.

    Lists are left as they are: they are taken whole, from one witness.
    """
    record: JsonObject = _fitting(raw, "", repairs, 0)
    return record


def _fitting(value: Any, path: str, repairs: list[str], depth: int) -> Any:
    if isinstance(value, dict) and depth < _DEEPEST:
        fitting = {}
        for key, item in value.items():
            if key in _FREE:
                fitting[key] = item
            else:
                fitting[key] = _fitting(item, _member_path(path, key), repairs, depth + 1)
        return fitting
    if _is_number(value) and not _in_range(value):
        repairs.append(path)
        return None
    return value


def repaired(value: Any) -> Any:
    """Return a part of a record as its typed reading has it.

    What does not fit is null, times are cut.
    """
    return _repair(value, "", [])


def _may_hide_text(body: bytes) -> bool:
    """Return whether the text may hold an escape for NUL or a surrogate.

    The first byte of a surrogate in UTF-8 counts as well.
    """
    return any(part in body for part in (b"\\u0000", b"\\ud", b"\\uD", b"\xed"))


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Return the object with these members; json.loads itself would take the last of one key."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordError(
            f"The key {twice!r} stands twice in one object.", {twice: ["duplicate key"]}
        )
    return members


def _refuse_constant(word: str) -> Any:
    raise RecordError(f"{word} is not a JSON number.", {"": [f"{word} is not a JSON number"]})


def unstorable_text(value: Any, path: str) -> str | None:
    """Return the path of the first text with a NUL or a lone surrogate, which no database keeps.

    None where there is none.
    """
    # Without recursion: a client's lists may lie in each other deeper than calls can
    stack = [(value, path)]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str) and _is_unstorable(value):
            return path.encode("unicode_escape").decode() if _is_unstorable(path) else path
        # What comes first is to be popped first
        stack += reversed(_inside(value, path))
    return None


def _inside(value: Any, path: str) -> list[tuple[Any, str]]:
    """Return what an object or list holds, each with its path: keys, members and elements."""
    inside: list[tuple[Any, str]] = []
    if isinstance(value, dict):
        for key, item in value.items():
            member_path = _member_path(path, key)
            inside += ((key, member_path), (item, member_path))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            inside.append((item, f"{path}[{place}]"))
    return inside


def _member_path(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


# Free-form parts keep whatever they hold; only typed fields are repaired.
_FREE = frozenset({"extra", "metadata", "limits", "runs", "hosts", "ranks", "variables"})
_DEEPEST = 20  # no typed field lies that deep


def _repair(
    value: Any, path: str, repairs: list[str], *, instead: int | None = None, depth: int = 0
) -> Any:
    """Return a value with `instead` for numbers out of range, and with times cut.

    Adds the paths of the numbers to `repairs`.
    """
    if isinstance(value, dict | list) and depth < _DEEPEST:
        return _repair_inside(value, path, repairs, instead, depth + 1)
    if _is_number(value) and not _in_range(value):
        repairs.append(path)
        return instead
    if isinstance(value, str) and path.endswith("_at"):
        return plain_time(value)
    return value


def _repair_inside(
    value: JsonObject | list[Any], path: str, repairs: list[str], instead: int | None, depth: int
) -> Any:
    if isinstance(value, list):
        items = []
        for place, item in enumerate(value):
            item_path = f"{path}[{place}]"
            items.append(_repair(item, item_path, repairs, instead=instead, depth=depth))
        return items
    members = {}
    for key, item in value.items():
        if key in _FREE:
            members[key] = item
        else:
            member_path = _member_path(path, key)
            members[key] = _repair(item, member_path, repairs, instead=instead, depth=depth)
    return members


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
