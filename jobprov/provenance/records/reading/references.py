"""Which blobs a record refers to.

Source: record.md: in inputs and outputs `sha256` is identity only; everywhere else a key `sha256`
or `*_sha256`, at any depth, known or unknown, refers to a blob.
"""

import re
from collections import Counter
from typing import Any

from jobprov.provenance.records.job_record import JsonObject

_DIGEST = re.compile(r"[0-9a-f]{64}")
# begins with plain letters, which are searched for ten times faster
_KEYED = re.compile(rb'sha256"(?<=["_]sha256")\s*:\s*"([0-9a-f]{64})"')


def references_in(body: bytes, raw: JsonObject) -> set[str]:
    """Return the digests of every blob that a record refers to.

    The record comes as its exact bytes and as plain JSON values. A search over the bytes takes 10
    us, a walk over the values 100. The search finds the identities of files too; these are
    subtracted by count.
    """
    # an escape may hide a key
    if b"\\" in body and (b"\\u" in body or b'\\"sha256' in body):
        return referenced_blobs(raw)
    digests = _KEYED.findall(body)
    # a key such as `mysha256`, a value that is no digest, or the word in a text
    if len(digests) != body.count(b'sha256"'):
        return referenced_blobs(raw)
    counts = Counter(digests)
    for file in (*_files(raw, "inputs"), *_files(raw, "outputs")):
        sha256 = file.get("sha256")
        if isinstance(sha256, str):
            counts[sha256.encode(errors="replace")] -= 1
    return {digest.decode() for digest, count in counts.items() if count > 0}


def _files(raw: JsonObject, key: str) -> list[JsonObject]:
    files = raw.get(key)
    if not isinstance(files, list):
        return []
    return [file for file in files if isinstance(file, dict)]


def referenced_blobs(raw: JsonObject) -> set[str]:
    """Return the digests of every blob that a record, as plain JSON values, refers to."""
    digests: set[str] = set()
    for key, value in raw.items():
        if key in ("inputs", "outputs") and isinstance(value, list):
            for file in _files(raw, key):
                _collect({name: item for name, item in file.items() if name != "sha256"}, digests)
        else:
            _collect({key: value}, digests)
    return digests


def _collect(value: JsonObject | list[Any], digests: set[str]) -> None:
    """Add the digests under keys `sha256` and `*_sha256`, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                if (key == "sha256" or key.endswith("_sha256")) and _DIGEST.fullmatch(item):
                    digests.add(item)
            elif isinstance(item, dict | list):
                _collect(item, digests)
        return
    for item in value:
        if isinstance(item, dict | list):
            _collect(item, digests)
