"""What a catalog says, as far as it can be kept.

One odd value of one file must not end the comparison of all tasks.

Deliberately not here: which keys a catalog has.
"""

import json
import re
from typing import Any

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.checks import checksum_problem

_MOST = 2**63 - 1
_LONGEST = 1000
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN = 100


def parsed(text: str | bytes, kind: str, what: str) -> Any:
    """Return the JSON that a catalog of this kind answered.

    Raises UnreachableError where it is none, or lies too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        shown = (text if isinstance(text, str) else text.decode("utf-8", "replace"))[:_SHOWN]
        raise UnreachableError(
            f"{kind} answers with something that is no JSON: {what}. It begins {shown!r}; is the catalog's address right?"
        ) from None


def whole(value: Any) -> int | None:
    """Return a count or number that fits into 64 bits and is none below zero.

    None for anything else.
    """
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
        else None
    )


def word(value: Any) -> str | None:
    """Return text of up to 1,000 characters without control characters; None for anything else."""
    is_kept = (
        isinstance(value, str)
        and value
        and len(value) <= _LONGEST
        and _UNSAFE.search(value) is None
    )
    return value if is_kept else None


def file_name(line: str) -> str:
    """Return a line of a list of names.

    Raises UnreachableError where it is none: a page to log in, or an error in words.
    """
    name = word(line)
    if name is None or name.startswith(("<", "{", "[")):
        raise UnreachableError(
            f"The catalog answers with something that is no list of file names: {line[:_SHOWN]!r}. Is its address right?"
        )
    return name


def checksums(words: Any) -> tuple[str, ...]:
    """Return `algorithm:value` words, sorted, without those that a sighting may not hold."""
    return tuple(
        sorted(each for each in entries(words) if word(each) and checksum_problem(each) is None)
    )


def members(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """Return a JSON list; an empty one for anything else."""
    return value if isinstance(value, list) else []
