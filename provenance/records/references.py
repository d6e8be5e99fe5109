"""Which blobs a record refers to.

Source: record.md: in inputs and outputs `sha256` is identity only; everywhere else a key `sha256` or `*_sha256`, at any depth,
known or unknown, refers to a blob.
"""

import re
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}")


def referenced_blobs(raw: dict[str, Any]) -> set[str]:
    """Return the digests of every blob that the record (as plain JSON values) refers to."""
    found: set[str] = set()
    for key, value in raw.items():
        if key in ("inputs", "outputs") and isinstance(value, list):
            for file in value:
                if isinstance(file, dict):
                    _collect({name: item for name, item in file.items() if name != "sha256"}, found)
        else:
            _collect({key: value}, found)
    return found


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                if key.endswith("sha256") and (key == "sha256" or key.endswith("_sha256")) and _DIGEST.fullmatch(item):
                    found.add(item)
            elif isinstance(item, dict | list):
                _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                _collect(item, found)
