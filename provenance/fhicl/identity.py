"""Canonical form and identity: one line of text, and the SHA-1 of it.

The ParameterSetID of a set is the SHA-1 of `to_string()`: keys in byte order at every level, nested
tables written out in full. Each body keeps its canonical text, so that what documents share is
written once. Source: fhicl-cpp `ParameterSet::to_string`, `ParameterSetID`.
"""

import hashlib

from jobprov.provenance.fhicl.errors import LIMIT, FhiclError
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, SequenceBody, TableBody, Value

# characters of `{...}` that a compact form still writes out: as long as its `@id::` and 40 digits
_LONGEST_TABLE_KEPT = 45


def canonical_form(root: TableBody, limits: Limits) -> str:
    """Return `to_string()` of a table, its braces left out.

    Every body inside gets its canonical text.

    Raises:
        FhiclError: the set nests deeper or its text is longer than the limits.
    """
    waiting: list[tuple[TableBody | SequenceBody, int]] = [(root, 0)]
    while waiting:
        body, depth = waiting[-1]
        if body.canonical is not None:
            waiting.pop()
            continue
        children = body.children()
        inner = [
            child.body
            for child in children
            if child.kind >= SEQUENCE and child.body.canonical is None
        ]
        if not inner:
            body.canonical = _written(body, limits)
            waiting.pop()
        elif depth >= limits.nesting:
            raise FhiclError(
                LIMIT,
                f"the evaluated set nests deeper than the limit of {limits.nesting} (nesting)",
            )
        else:
            waiting += [(each, depth + 1) for each in inner]
    return (root.canonical or "{}")[1:-1]


def parameter_set_id(body: TableBody) -> str:
    """Return the ParameterSetID of a table whose canonical text is known: 40 hex digits."""
    if body.identity is None:
        text = (body.canonical or "{}")[1:-1]
        body.identity = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()
    return body.identity


def compact_form(root: TableBody) -> str:
    """Return `to_compact_string()`: tables longer than their reference are written as `@id::`, one level deep."""
    return " ".join(f"{name}:{_compact(value)}" for name, value in sorted(root.members.items()))


def _written(body: TableBody | SequenceBody, limits: Limits) -> str:
    if isinstance(body, TableBody):
        parts = [
            f"{name}:{value.body.canonical}" if value.kind >= SEQUENCE else f"{name}:{value.text}"
            for name, value in sorted(body.members.items())
        ]
        text = f"{{{' '.join(parts)}}}"
    else:
        text = f"[{','.join([value.body.canonical if value.kind >= SEQUENCE else value.text for value in body.items])}]"
    if len(text) > limits.canonical_bytes:
        raise FhiclError(
            LIMIT,
            f"the canonical form is longer than the limit of {limits.canonical_bytes:,} bytes (canonical_bytes)",
        )
    return text


def _compact(value: Value) -> str:
    """Return the compact text of a value.

    Nested sequences are unfolded on a list, not by recursion.
    """
    pieces: list[str] = []
    waiting: list[Value | str] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            pieces.append(each)
        elif each.kind == TABLE:
            text: str = each.body.canonical
            pieces.append(
                text if len(text) <= _LONGEST_TABLE_KEPT else f"@id::{parameter_set_id(each.body)}"
            )
        elif each.kind == SEQUENCE:
            waiting.append("]")
            for index in reversed(range(len(each.body.items))):
                waiting.append(each.body.items[index])
                waiting.append("," if index else "[")
            if not each.body.items:
                waiting.append("[")
        else:
            pieces.append(each.text)
    return "".join(pieces)
