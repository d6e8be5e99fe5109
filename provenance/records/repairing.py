"""The careful way from bytes to a typed record: repairs what may be repaired, and names what may not.

For records that `decoding.py` cannot read at once: a number past 64 bits, a leap second, nanoseconds (repaired as the
contract says), a wrong type, a duplicate key, a NUL (refused, with the field).
"""

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec

from provenance.errors import RecordError
from provenance.records.checks import LARGEST, TIME_OF_PART, forget_times
from provenance.records.job_record import ExperimentName, JobId, JobRecord
from provenance.records.times import is_kept_time, plain_time

SCHEMA_VERSION = 1
MOST_NESTED = 700
"""How deep objects and lists may nest: less than Python can recurse, so that whatever reads them again can too."""

_PATTERNS = {
    "-[0-9a-f]{12}": "not a UUID in lower case",
    "[0-9a-f]{64}": "not 64 lower-case hex digits",
    "[A-Za-z0-9_-]{0,63}": "not 1 to 64 letters, digits, _ and -, the first of them a letter or digit",
}
_PATH = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


def parse_object(body: bytes, what: str = "The body") -> dict[str, Any]:
    """Return the JSON object in `body`, in UTF-8.

    Raises:
        RecordError: it is not an object, nests too deeply, or has duplicate keys, NUL, lone surrogates or NaN. `what`
            is the beginning of its sentence.
    """
    try:
        # json.loads guesses the encoding of bytes, and would take UTF-16
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
    path = unstorable_text(raw, "") if _may_hide_text(body) else None
    if path is not None:
        message = f"The text of {path} holds a NUL or a lone surrogate; escape it."
        raise RecordError(message, {path: ["NUL or lone surrogate"]})
    return raw


def _too_deep(what: str) -> RecordError:
    message = f"{what} is nested too deeply: objects and lists may lie {MOST_NESTED} deep in each other."
    return RecordError(message, {"": ["nested too deeply"]})


def _is_deeper(value: dict[str, Any], most: int) -> bool:
    """Return whether objects and lists nest deeper than so, the outermost counted."""
    level: list[dict[str, Any] | list[Any]] = [value]
    for _ in range(most):
        next_level: list[dict[str, Any] | list[Any]] = []
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


def is_later(raw: dict[str, Any]) -> bool:
    """Return whether the record is of a version that this service does not read yet.

    Raises:
        RecordError: it is, but the job id or experiment is wrong, which every version has.
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
        if path == "environment.variables[...]":
            path = _which_variable(raw)
        raise RecordError(f"{path or 'The record'}: {message}.", {path: [message]}) from None


def _which_variable(raw: dict[str, Any]) -> str:
    """Return the path of the first variable that is no text; msgspec does not tell which it was."""
    variables = raw["environment"]["variables"]
    wrong = [name for name, value in variables.items() if not isinstance(value, str)]
    return f"environment.variables.{wrong[0]}"


def read_plain(raw: dict[str, Any]) -> tuple[JobRecord, tuple[str, ...]]:
    """Return the typed reading of plain JSON values, and the field paths that had to be repaired.

    Raises:
        msgspec.ValidationError: a type is wrong beyond repair.
    """
    repairs: list[str] = []
    record = msgspec.convert(_repair(raw, "", repairs), JobRecord)
    if repairs:
        # with null in its place, a number where a text belongs would pass; with another number it does not
        msgspec.convert(_repair(raw, "", [], instead=1), JobRecord)
    return record, (*repairs, *forget_times(record))


def without_unfit(raw: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """Return a record with null for values out of range, so that another witness may give them; note their paths.

    Lists stay as they are, because they are taken whole from one witness.
    """
    return _without_unfit_members(raw, "", repairs, depth=1)


def _without_unfit_members(members: dict[str, Any], prefix: str, repairs: list[str], depth: int) -> dict[str, Any]:
    fitting: dict[str, Any] = {}
    for key, value in members.items():
        path = f"{prefix}{key}"
        if key in _FREE:
            fitting[key] = value
        elif isinstance(value, dict) and depth < _DEEPEST:
            fitting[key] = _without_unfit_members(value, f"{path}.", repairs, depth + 1)
        elif _is_unfit(value, path):
            repairs.append(path)
            fitting[key] = None
        else:
            fitting[key] = value
    return fitting


def _is_unfit(value: Any, path: str) -> bool:
    """Return whether a number is out of range, or the time of a part outside the years that are kept."""
    if isinstance(value, str):
        return TIME_OF_PART.fullmatch(path) is not None and not is_kept_time(value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) and not _in_range(value)


def repaired(value: Any) -> Any:
    """Return a part of a record as its typed reading has it: what does not fit is null, times are cut."""
    return _repair(value, "", [])


def split_message(text: str) -> tuple[str, str]:
    """Return the field path and the text of a msgspec message; in place of a regular expression, what it asks for."""
    place = _PATH.search(text)
    if not place:
        missing = re.search(r"missing required field `(\w+)`", text)
        return (missing[1] if missing else ""), text.replace("`", "")
    message = text[: place.start()].replace("`", "")
    for pattern, meaning in _PATTERNS.items():
        if pattern in message:
            return place[1], meaning
    return place[1], message


def _may_hide_text(body: bytes) -> bool:
    """Return whether an escape for NUL or a surrogate occurs, or the first byte of a surrogate in UTF-8."""
    return any(part in body for part in (b"\\u0000", b"\\ud", b"\\uD", b"\xed"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise RecordError(f"The key {twice!r} stands twice in one object.", {twice: ["duplicate key"]})
    return members


def _refuse_constant(word: str) -> Any:
    raise RecordError(f"{word} is no JSON number.", {"": [f"{word} is no JSON number"]})


def unstorable_text(value: Any, path: str) -> str | None:
    """Return the path of the first text with a NUL or lone surrogate, which no database keeps, if there is one."""
    stack = [(value, path)]  # no recursion: a client's lists may nest as deep as Python can recurse
    while stack:
        value, path = stack.pop()
        if isinstance(value, str) and _is_unstorable(value):
            return path.encode("unicode_escape").decode() if _is_unstorable(path) else path
        if isinstance(value, dict):
            inside: list[tuple[Any, str]] = []
            for key, item in value.items():
                path_inside = f"{path}.{key}" if path else key
                inside += [(key, path_inside), (item, path_inside)]
            stack += reversed(inside)
        elif isinstance(value, list):
            elements = [(item, f"{path}[{place}]") for place, item in enumerate(value)]
            stack += reversed(elements)
    return None


def _is_unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


# Free-form parts keep whatever they hold; only typed fields are repaired.
_FREE = frozenset({"extra", "metadata", "limits", "runs", "hosts", "ranks", "variables"})
_DEEPEST = 20  # no typed field lies that deep


def _repair(value: Any, path: str, repairs: list[str], *, instead: int | None = None, depth: int = 0) -> Any:
    """Return a value with `instead` for numbers out of range, and times cut; add the numbers' paths to `repairs`."""
    if isinstance(value, dict) and depth < _DEEPEST:
        members: dict[str, Any] = {}
        for key, item in value.items():
            path_inside = f"{path}.{key}" if path else key
            if key in _FREE:
                members[key] = item
            else:
                members[key] = _repair(item, path_inside, repairs, instead=instead, depth=depth + 1)
        return members
    if isinstance(value, list) and depth < _DEEPEST:
        elements = []
        for place, item in enumerate(value):
            path_inside = f"{path}[{place}]"
            elements.append(_repair(item, path_inside, repairs, instead=instead, depth=depth + 1))
        return elements
    if isinstance(value, str) and path.endswith("_at"):
        return plain_time(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and not _in_range(value):
        repairs.append(path)
        return instead
    return value


def _in_range(value: float) -> bool:
    return (isinstance(value, int) or math.isfinite(value)) and -LARGEST - 1 <= value <= LARGEST


def utc(moment: datetime) -> datetime:
    """Return the same moment in UTC.

    Raises:
        RecordError: the moment has no representation in UTC (the first or last hours that a date can name).
    """
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        message = f"{moment.isoformat()} is outside the years that can be kept."
        raise RecordError(message, {"": ["out of range"]}) from None
