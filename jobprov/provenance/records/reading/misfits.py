"""Says in plain words where and why what was read is not what it should be.

msgspec's own words name Python's types, and seldom what there could be instead.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

_PLACE = re.compile(r" - at (`key` in )?`\$\.?([^`]*)`$")
_GOT = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_BOUND = re.compile(r"Expected `(\w+)` (>=|<=|>|<|that's a multiple of) (\S+)")
_LENGTH = re.compile(r"Expected `(\w+)` of length (>= |<= |)(\d+)")
_SHAPE = re.compile(r"Expected `str` matching regex '(.*)'", re.DOTALL)
_CHOICE = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_LONGEST_QUOTED = 40
_MISSING = re.compile(r"missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_PATTERNS = {
    "[a-z0-9.-]{0,59}": "not 1 to 60 small letters, digits, dots and dashes",
    "-[0-9a-f]{12}": "not a UUID in lower case",
    "[0-9a-f]{64}": "not 64 lower-case hex digits",
    "[A-Za-z0-9_-]{0,63}": (
        "not 1 to 64 letters, digits, _ and -, the first of them a letter or digit"
    ),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time such as 2026-11-24T16:00:00Z",
    "date": "a day such as 2026-11-24",
    "uuid": "a UUID",
    "bytes": "text in base64",
}
_BOUNDS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_FIXED = {
    "Invalid RFC3339 encoded datetime": f"{_KINDS['datetime']} is expected",
    "Expected `datetime` with a timezone component": (
        "a time with its zone is expected, such as 2026-11-24T16:00:00Z"
    ),
    "Invalid UUID": "a UUID is expected",
    "Invalid base64 encoded string": "text in base64 is expected",
    "Number out of range": "a number beyond those that can be kept",
    "Integer value out of range": "a number beyond those that can be kept",
}


class Misfit(NamedTuple):
    """Where something is wrong, and what is expected there.

    Attributes:
        path: of the field, such as `inputs[3].name`; empty where the whole is wrong.
        message: without capital letter and full stop.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def misfit(problem: Exception, kind: Any) -> Misfit:
    """Return what msgspec found wrong with JSON, TOML or plain values that it read as a `kind`."""
    if not isinstance(problem, msgspec.ValidationError):
        return Misfit("", _not_json(problem))
    text, path, subject = str(problem), "", ""
    if place := _PLACE.search(text):
        text, path = text[: place.start()], place[2]
        subject = "a key of it: " if place[1] else ""
    if missing := _MISSING.search(text):
        return Misfit(_joined(path, missing[1]), "missing; it has to be given")
    if unknown := _UNKNOWN.search(text):
        there_are = ", ".join(_fields_at(kind, path))
        return Misfit(
            _joined(path, unknown[1]), f"there is no such field here; there are {there_are}"
        )
    if choices := _choices_at(kind, path):
        return Misfit(path, f"one of {', '.join(choices)}{_given_instead(text)}")
    return Misfit(path, subject + _in_words(text))


def _not_json(problem: Exception) -> str:
    """Return why bytes are no JSON."""
    if isinstance(problem, RecursionError):
        return "nested too deeply"
    if isinstance(problem, UnicodeDecodeError):
        return "not in UTF-8"
    if "truncated" in str(problem):
        return "it ends too early"
    return str(problem).removeprefix("JSON is malformed: ")


def _given_instead(text: str) -> str:
    """Return what was given in place of one of a few values; of a long text only the beginning."""
    if given := _CHOICE.fullmatch(text):
        value = given[1]
        if len(value) > _LONGEST_QUOTED:
            value = f"{value[:_LONGEST_QUOTED]}…"
        return f", not {value}"
    if got := _GOT.fullmatch(text):
        return f", not {_kind_in_words(got[2])}"
    return ""


def _in_words(text: str) -> str:
    if got := _GOT.fullmatch(text):
        # What may be null may be left out as well, and nobody means to write it
        names = [name for name in got[1].split(" | ") if name != "null"]
        *others, last = [_kind_in_words(name) for name in names or ["null"]]
        wanted = f"{', '.join(others)} or {last}" if others else last
        return f"{wanted} is expected, not {_kind_in_words(got[2])}"
    if bound := _BOUND.match(text):
        how = _BOUNDS.get(bound[2], "that is a multiple of")
        return f"{_kind_in_words(bound[1])} {how} {bound[3]} is expected"
    if length := _LENGTH.match(text):
        return _length_in_words(*length.groups())
    if shape := _SHAPE.fullmatch(text):
        return _shape_in_words(shape[1])
    return _FIXED.get(text, text.replace("`", ""))


def _shape_in_words(pattern: str) -> str:
    for part_of_pattern, in_words in _PATTERNS.items():
        if part_of_pattern in pattern:
            return in_words
    return f"text that matches {pattern} is expected"


def _kind_in_words(name: str) -> str:
    return _KINDS.get(name, name)


def _length_in_words(name: str, comparison: str, length: str) -> str:
    how = _BOUNDS.get(comparison.strip(), "of")
    what = "characters" if name == "str" else "items"
    if length == "1":
        what = what.removesuffix("s")
    return f"{_kind_in_words(name)} {how} {length} {what} is expected"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fields_at(kind: Any, path: str) -> list[str]:
    """Return the names of the fields that an object at this place may have."""
    names: dict[str, None] = {}
    for found in _kinds_at(kind, path):
        if isinstance(found, inspect.StructType):
            if found.tag_field:
                names[found.tag_field] = None
            names.update(dict.fromkeys(field.encode_name for field in found.fields))
    return list(names)


def _choices_at(kind: Any, path: str) -> list[str]:
    """Return the values that a field may have; none where it may have others than a few."""
    choices: list[str] = []
    for found in _kinds_at(kind, path):
        if isinstance(found, inspect.LiteralType):
            choices += [str(value) for value in found.values]
        elif isinstance(found, inspect.EnumType):
            choices += [str(member.value) for member in found.cls]
        elif not isinstance(found, inspect.NoneType):
            return []
    outer, _, last = path.rpartition(".")
    for found in _kinds_at(kind, outer):
        if isinstance(found, inspect.StructType) and found.tag_field == last:
            choices.append(str(found.tag))
    return list(dict.fromkeys(choices))


def _kinds_at(kind: Any, path: str) -> list[inspect.Type]:
    """Return the types that are allowed at this place, each alternative by itself."""
    kinds = list(_alternatives(inspect.type_info(kind)))
    for step in _STEP.findall(path):
        kinds = [inner for outer in kinds for inner in _inside(outer, step)]
    return kinds


def _alternatives(kind: inspect.Type) -> Iterable[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [inner for outer in kind.types for inner in _alternatives(outer)]
    return [kind]


def _inside(kind: inspect.Type, step: str) -> Iterable[inspect.Type]:
    """Return the types of a field, or of the items of a list or the values of an object."""
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if field.encode_name == step:
                return _alternatives(field.type)
    if isinstance(kind, inspect.ListType | inspect.VarTupleType | inspect.SetType):
        return _alternatives(kind.item_type)
    if isinstance(kind, inspect.TupleType):
        place = int(step.strip("[]"))
        return _alternatives(kind.item_types[place])
    if isinstance(kind, inspect.DictType):
        return _alternatives(kind.value_type)
    return []
