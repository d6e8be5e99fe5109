"""What erasing needs from a record: its digests, a copy without some fields, the texts that go."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.job_record import JsonObject

ERASED = "[erased]"
SHORTEST = 6
"""Shorter texts occur in every record."""
_PART = re.compile(r"\[(\d+)\]")


def digests_of(body: bytes) -> set[str]:
    """Return the SHA-256 of a record's bytes, and that of its values.

    The latter does not depend on how the values are written.
    """
    canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    return {hashlib.sha256(body).hexdigest(), hashlib.sha256(canonical).hexdigest()}


def without_fields(body: bytes, paths: Sequence[str]) -> bytes:
    """Return a record with some fields erased.

    A variable becomes a withheld one, text becomes `[erased]`, all else becomes null.

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
    """Return the content of some fields.

    Raises:
        RecordError: the record has no such field.
    """
    record = json.loads(body)
    values = []
    for path in paths:
        holder, key = _find(record, path)
        values.append(holder[key])
    return values


def _erase_field(record: JsonObject, path: str) -> None:
    holder, key = _find(record, path)
    environment = record.get("environment")
    variables = environment.get("variables") if isinstance(environment, dict) else None
    if isinstance(environment, dict) and isinstance(variables, dict) and holder is variables:
        del variables[key]
        withheld = environment.get("withheld") or []
        if key not in withheld:
            withheld = [*withheld, key]
        environment["withheld"] = withheld
    else:
        holder[key] = ERASED if isinstance(holder[key], str) else None


def _find(record: Any, path: str) -> tuple[Any, Any]:
    """Return the object or list that holds a field, and the field's key or position in it."""
    holder, key, rest = None, None, path
    value: Any = record
    while rest:
        step = _step_into(value, rest)
        if step is None:
            break
        holder = value
        key, rest = step
        value = holder[key]
    if rest or holder is None:
        raise RecordError(f"The record has no field {path}.", {path: ["not in the record"]})
    return holder, key


def _step_into(value: Any, path: str) -> tuple[Any, str] | None:
    """Return the key or position with which a path into a value begins, and its rest.

    None if it leads nowhere.
    """
    part = _PART.match(path)
    if part:
        position = int(part[1])
        if isinstance(value, list) and position < len(value):
            return position, path[part.end() :]
        return None
    path = path.removeprefix(".")
    if not isinstance(value, dict):
        return None
    fitting = [name for name in value if _begins(path, name)]
    if not fitting:
        return None
    key = max(fitting, key=len)  # keys may have dots, so the longest that fits is meant
    return key, path[len(key) :]


def _begins(path: str, name: str) -> bool:
    following = path[len(name) : len(name) + 1]
    return bool(name) and path.startswith(name) and following in ("", ".", "[")


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text and number of a JSON value, but not the names of its fields."""
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


def leaves_in(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below a JSON value that holds no others, with its path."""
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        for name, item in value.items():
            yield from leaves_in(item, f"{prefix}{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves_in(item, f"{path}[{place}]")
    else:
        yield path, value


def fields_gone(bodies: Iterable[bytes], replacement: bytes) -> list[str]:
    """Return the paths of values of some records that their replacement does not have there."""
    remaining = dict(leaves_in(json.loads(replacement)))
    gone: dict[str, None] = {}
    for body in bodies:
        for path, value in leaves_in(json.loads(body)):
            if path not in remaining or remaining[path] != value:
                gone[path] = None
    return list(gone)


def texts_gone(bodies: Iterable[bytes], replacement: bytes) -> list[str]:
    """Return the longer texts of some records that their replacement no longer has.

    A text that it has within another text is not gone.
    """
    remaining = list(texts_in(json.loads(replacement)))
    before: set[str] = set()
    for body in bodies:
        before.update(text for text in texts_in(json.loads(body)) if len(text) >= SHORTEST)
    return sorted(text for text in before if not _occurs(text, remaining))


def _occurs(text: str, texts: Sequence[str]) -> bool:
    return any(text in other for other in texts)


def forms_of(texts: Iterable[str]) -> list[bytes]:
    """Return how texts can occur in bytes: plain, and in JSON, once or twice.

    They occur twice where a revision holds its record as text.
    """
    forms: dict[bytes, None] = {}
    for text in texts:
        for is_ascii in (False, True):
            form = text
            for _ in range(3):
                forms[form.encode("utf-8", "surrogatepass")] = None
                form = json.dumps(form, ensure_ascii=is_ascii)[1:-1]
    return list(forms)


def holds_any(data: bytes, forms: Sequence[bytes]) -> bool:
    """Whether bytes hold one of some texts, in any of their forms."""
    return any(form in data for form in forms)
