"""Values in the answers of catalogs, as far as they can be kept.

One odd value of one file must not end the comparison of all tasks. Deliberately not here: which
keys a catalog has.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.reading.checks import checksum_problem

_MOST = 2**63 - 1
_LONGEST = 1000
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN = 100


def parsed(text: str | bytes, kind: str, what: str) -> Any:
    """Return the JSON that a catalog of this kind answered.

    Raises:
        UnreachableError: the answer is no JSON, or nests too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
        question = f"It begins {shown[:_SHOWN]!r}; is the catalog's address right?"
        message = f"{kind} answers with something that is no JSON: {what}. {question}"
        raise UnreachableError(message) from None


def whole(value: Any) -> int | None:
    """Return a number from zero that fits into 64 bits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST else None


def word(value: Any) -> str | None:
    """Return text of up to 1,000 characters without control characters; None for anything else."""
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        return None
    return None if _UNSAFE.search(value) else value


def file_name(line: str) -> str:
    """Return a line of a list of names.

    Raises:
        UnreachableError: it is no name, but part of a login page or an error message.
    """
    name = word(line)
    if name is None or name.startswith(("<", "{", "[")):
        message = f"something that is no list of file names: {line[:_SHOWN]!r}"
        raise UnreachableError(f"The catalog answers with {message}. Is its address right?")
    return name


def checksums(values: Any) -> tuple[str, ...]:
    """Return checksums `algorithm:value`, sorted, without those that a sighting may not have."""
    texts = [text for value in entries(values) if (text := word(value)) is not None]
    return tuple(sorted(text for text in texts if checksum_problem(text) is None))


def plain_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return metadata with dotted keys whose values are short texts, numbers or truth values."""
    plain: dict[str, object] = {}
    for key, value in metadata.items():
        if "." not in key or word(key) is None:
            continue
        is_number = isinstance(value, int | float) and abs(value) < _MOST  # nor NaN
        if is_number or word(value) is not None:
            plain[key] = value
    return plain


def members(value: Any) -> dict[str, object]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """Return a JSON list; an empty one for anything else."""
    return value if isinstance(value, list) else []
