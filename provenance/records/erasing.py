"""What erasing needs to know of a record: its digests, a copy without some fields, and the texts that the copy no longer has."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobprov.provenance.errors import RecordError

ERASED = "[erased]"
SHORTEST = 6
"""A text that is shorter stands in every record."""
_PART = re.compile(r"\[(\d+)\]")


def digests_of(body: bytes) -> set[str]:
    """Return the SHA-256 of a record's bytes, and of its values however they are written.

    Two that are the same share it.
    """
    return {
        hashlib.sha256(body).hexdigest(),
        hashlib.sha256(_canonical(json.loads(body))).hexdigest(),
    }


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def without_fields(body: bytes, paths: Sequence[str]) -> bytes:
    """Return a record without what stands in some fields.

    A variable becomes a withheld one, text `[erased]`, all else null.

    Args:
        body: the record.
        paths: `environment.variables.NAME`, `command.argv[2]`, as gaps and errors name fields.

    Raises:
        RecordError: the record has no such field, or cannot be written again as it was read.
    """
    record = json.loads(body)
    for path in paths:
        _erase_field(record, path)
    try:
        return json.dumps(
            record, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except ValueError:
        raise RecordError(
            "A number of this record is out of range; name the corrected record by --replacement."
        ) from None


def values_at(body: bytes, paths: Sequence[str]) -> list[Any]:
    """Return what stands in some fields.

    Raises:
        RecordError: the record has no such field.
    """
    record = json.loads(body)
    return [holder[key] for holder, key in (_find(record, path) for path in paths)]


def _erase_field(record: dict[str, Any], path: str) -> None:
    holder, key = _find(record, path)
    environment = record.get("environment")
    variables = environment.get("variables") if isinstance(environment, dict) else None
    if isinstance(environment, dict) and isinstance(variables, dict) and holder is variables:
        del variables[key]
        withheld = environment.get("withheld") or []
        environment["withheld"] = [*withheld, *([key] if key not in withheld else [])]
    else:
        holder[key] = ERASED if isinstance(holder[key], str) else None


def _find(record: Any, path: str) -> tuple[Any, Any]:
    """Return what holds a field, and the key or place of it.

    Keys may have dots, so the longest that fits is taken.
    """
    holder, key, left = None, None, path
    value: Any = record
    while left:
        if place := _PART.match(left):
            number = int(place[1])
            if not isinstance(value, list) or number >= len(value):
                break
            holder, key, left = value, number, left[place.end() :]
        else:
            left = left.removeprefix(".")
            fitting = (
                [name for name in value if _begins(left, name)] if isinstance(value, dict) else []
            )
            if not fitting:
                break
            holder, key = value, max(fitting, key=len)
            left = left[len(key) :]
        value = holder[key]
    if left or holder is None:
        raise RecordError(f"The record has no field {path}.", {path: ["not in the record"]})
    return holder, key


def _begins(path: str, name: str) -> bool:
    return (
        bool(name) and path.startswith(name) and path[len(name) : len(name) + 1] in ("", ".", "[")
    )


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text and number of a JSON value, names of fields apart."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def texts_gone(bodies: Iterable[bytes], kept: bytes) -> list[str]:
    """Return the texts of some records that another one no longer has, also not within a longer one; without short ones."""
    left = list(texts_in(json.loads(kept)))
    before = {
        text for body in bodies for text in texts_in(json.loads(body)) if len(text) >= SHORTEST
    }
    return sorted(text for text in before if not any(text in other for other in left))


def forms_of(texts: Iterable[str]) -> list[bytes]:
    """Return how texts can stand in bytes: as they are, and in JSON, once and twice (a revision holds its record as a text)."""
    found: dict[bytes, None] = {}
    for text in texts:
        for is_ascii in (False, True):
            form = text
            for _ in range(3):
                found[form.encode("utf-8", "surrogatepass")] = None
                form = json.dumps(form, ensure_ascii=is_ascii)[1:-1]
    return list(found)


def holds_any(data: bytes, forms: Sequence[bytes]) -> bool:
    """Whether bytes hold one of some texts, in any of their forms."""
    return any(form in data for form in forms)
