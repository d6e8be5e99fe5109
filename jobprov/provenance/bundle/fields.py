"""Tolerant reading of a decoded record: a missing or strange field is empty, never an error.

It deliberately does not use the record's structs: a bundle is made from the record's exact bytes,
in whichever version they are.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from jobprov.provenance.records.job_record import JsonObject

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def mapping(value: Any) -> JsonObject:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[JsonObject]:
    """The objects of a JSON list, in order; everything else in it is skipped."""
    if not isinstance(value, list):
        return []
    return [row for row in value if isinstance(row, dict)]


def text(value: Any) -> str:
    """The string, or an empty one.

    NUL is removed, since no argument, variable or path can hold it.
    """
    return value.replace("\0", "") if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """The strings of a JSON list, in order."""
    if not isinstance(value, list):
        return []
    return [text(item) for item in value if isinstance(item, str)]


def number(value: Any) -> int | None:
    """The integer, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def decimal(value: int | None) -> str:
    """The number as the cell of a table; empty for None."""
    return "" if value is None else str(value)


def digest(value: Any) -> str:
    """The SHA-256 in lower case, or an empty string if it is not one."""
    word = text(value).lower()
    return word if _DIGEST.match(word) else ""


def to_bytes(string: str) -> bytes:
    """UTF-8; bytes of a file name that are not UTF-8 become what they were."""
    try:
        return string.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return string.encode("utf-8", "replace")


class RecordPart:
    """A record, or one object in it, read tolerantly: a missing or strange field is empty.

    Attributes:
        fields: as they were sent.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: JsonObject) -> None:
        self.fields = fields

    def __bool__(self) -> bool:
        """Whether it has any field."""
        return bool(self.fields)

    def part(self, name: str) -> "RecordPart":
        """The object in a field."""
        return RecordPart(mapping(self.fields.get(name)))

    def parts(self, name: str) -> list["RecordPart"]:
        """The objects of the list in a field, in order."""
        return [RecordPart(row) for row in rows(self.fields.get(name))]

    def text(self, name: str) -> str:
        """The string in a field, without NUL."""
        return text(self.fields.get(name))

    def texts(self, name: str) -> list[str]:
        """The strings of the list in a field, in order."""
        return texts(self.fields.get(name))

    def number(self, name: str) -> int | None:
        """The integer in a field, or None."""
        return number(self.fields.get(name))

    def digest(self, name: str) -> str:
        """The SHA-256 in a field, in lower case."""
        return digest(self.fields.get(name))

    def only(self, names: Sequence[str]) -> JsonObject:
        """Those of these fields that it has, as they were sent."""
        return {name: self.fields[name] for name in names if name in self.fields}

    def has(self, name: str) -> bool:
        """Whether a field is there, and neither empty nor false."""
        return bool(self.fields.get(name))


def recorded_files(record: RecordPart) -> Iterator[RecordPart]:
    """Yield the files that a record describes by themselves: inputs, outputs, scripts."""
    for kind in ("inputs", "outputs", "scripts"):
        yield from record.parts(kind)


def canonical_json(value: Any) -> bytes:
    """One line: keys sorted, no blanks, UTF-8."""
    return to_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def readable_json(value: Any) -> bytes:
    """Keys sorted, indented by one, LF at the end.

    The form of every JSON file that a person may open.
    """
    plain = to_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False))
    try:
        # The same bytes as with the indent of `json`, four times as fast
        return msgspec.json.format(plain, indent=1) + b"\n"
    except msgspec.DecodeError:  # NaN or Infinity, which only json writes and reads
        return to_bytes(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
