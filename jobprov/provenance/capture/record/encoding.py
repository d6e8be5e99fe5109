"""A record as JSON bytes, without the characters that the service does not take."""

import re
from typing import Any

# The service refuses control characters in these fields.
_NAME_FIELDS = frozenset(["name", "namespace", "task_id", "campaign", "stage", "unit"])
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_UNSAFE_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIRST_SMUGGLED, _LAST_SMUGGLED = 0xDC80, 0xDCFF  # lone surrogates that stand for bytes (PEP 383)


def encode(value: Any) -> bytes:
    """Return JSON bytes.

    NUL and lone surrogates, which a record may not hold, are written as visible escapes.
    """
    import json  # noqa: PLC0415 - loaded while the job runs, not before

    return json.dumps(clean(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def clean(value: Any, key: str = "") -> Any:
    """Return the value as `encode` writes it under a key."""
    if isinstance(value, str):
        return clean_name(value) if key in _NAME_FIELDS else _escape(value, _UNSAFE)
    if isinstance(value, dict):
        return {_escape(str(name), _UNSAFE): clean(item, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def clean_name(text: str) -> str:
    """Return a text as the service takes it in a name: without control characters."""
    return _escape(text, _UNSAFE_IN_NAMES)


def _escape(text: str, unsafe: Any) -> str:
    if text.isprintable():  # as nearly all are; it is much faster than the patterns
        return text
    escaped: str = unsafe.sub(lambda match: "\\x{:02x}".format(_byte(match.group())), text)
    return escaped


def _byte(character: str) -> int:
    """Return the byte that Python smuggled into a lone surrogate, else the character's number."""
    number = ord(character)
    return number - 0xDC00 if _FIRST_SMUGGLED <= number <= _LAST_SMUGGLED else number
