"""Canonical form and identity: one line of text, its SHA-1, and the tables of a set by their ids.

The ParameterSetID of a set is the SHA-1 of `to_string()`: keys in byte order at every level, nested
tables written out in full. Each body keeps its canonical text, so that documents which share it
compose it once.

While the reference makes a ParameterSet, it registers nested tables by id: depth first, keys in
byte order, and of equal tables only the first. This has two consequences. `@id::` finds only tables
that are registered already. And if a table equals an earlier one, its annotations show where the
members of the earlier one were written.

Source: fhicl-cpp `ParameterSet::to_string`, `ParameterSetID`, `ParameterSetRegistry::put`,
`encode(extended_value)`.
"""

import hashlib
from collections.abc import Iterator

from jobprov.provenance.fhicl.errors import LIMIT, UNKNOWN_ID, FhiclError
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.reading.symbols import written_at
from jobprov.provenance.fhicl.values import (
    IDENTIFIER,
    SEQUENCE,
    TABLE,
    SequenceBody,
    TableBody,
    Value,
    Written,
)

# The compact form writes out a table of at most so many characters: `@id::` and 40 digits would
# not be shorter
_LONGEST_TABLE_KEPT = 45
_DEEPEST_SEQUENCE = 100
_INDEX_BYTES = 4
_INDENT_BYTES = 4


def canonical_form(root: TableBody, limits: Limits) -> str:
    """Return `to_string()` of a table, without its braces.

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
        unwritten = [inner for inner in _bodies_inside(body) if inner.canonical is None]
        if not unwritten:
            body.canonical = _canonical_text(body, limits)
            body.written = _written(body, limits)
            waiting.pop()
        elif depth >= limits.nesting:
            raise _too_deep(limits)
        else:
            waiting += [(inner, depth + 1) for inner in unwritten]
    return (root.canonical or "{}")[1:-1]


def parameter_set_id(body: TableBody) -> str:
    """Return the ParameterSetID of a table whose canonical text is known: 40 hex digits."""
    if body.identity is None:
        text = (body.canonical or "{}")[1:-1]
        body.identity = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()
    return body.identity


def compact_form(root: TableBody) -> str:
    """Return `to_compact_string()`.

    Tables longer than their reference are written as `@id::`, one level deep.
    """
    return " ".join(f"{name}:{_compact(value)}" for name, value in sorted(root.members.items()))


def registered_tables(root: TableBody, limits: Limits) -> dict[str, TableBody]:
    """Return the nested tables of a set by id; of equal ones, the first.

    The canonical form of the set must be known.
    """
    registry: dict[str, TableBody] = {}
    for body in _tables_inside_out(root, limits):
        if body is not root:
            registry.setdefault(parameter_set_id(body), body)
    return registry


def resolve_identifiers(root: TableBody, limits: Limits) -> tuple[TableBody, dict[str, TableBody]]:
    """Return the set with every `@id::` replaced by the registered table, and the registry.

    An `@id::` registers nothing: the table that it stands for was registered at its own place,
    which annotations still show.

    Raises:
        FhiclError: no table with that id (in lower case) is registered before it.
    """
    registry: dict[str, TableBody] = {}
    resolved: dict[int, TableBody] = {}
    body = root
    for body in _tables_inside_out(root, limits):
        members = {}
        for name, value in body.members.items():
            members[name] = _resolved(value, registry, resolved, 0)
        resolved[id(body)] = replaced = TableBody(members, shared=True)
        canonical_form(replaced, limits)
        if body is not root:
            registry.setdefault(parameter_set_id(replaced), replaced)
    return resolved[id(body)], registry


def _canonical_text(body: TableBody | SequenceBody, limits: Limits) -> str:
    """Return the canonical text of a body whose inner bodies have theirs."""
    if isinstance(body, TableBody):
        members = [f"{name}:{_text(value)}" for name, value in sorted(body.members.items())]
        text = f"{{{' '.join(members)}}}"
    else:
        text = f"[{','.join([_text(value) for value in body.items])}]"
    if len(text) > limits.canonical_bytes:
        limit = f"{limits.canonical_bytes:,} bytes (canonical_bytes)"
        raise FhiclError(LIMIT, f"the canonical form is longer than the limit of {limit}")
    return text


def _written(body: TableBody | SequenceBody, limits: Limits) -> Written:
    """Return how large a body is written out, from what its inner bodies are.

    Raises:
        FhiclError: larger than the limits.
    """
    values = size_bytes = 0
    if isinstance(body, TableBody):
        named = [(len(name), value) for name, value in body.members.items()]
    else:
        named = [(_INDEX_BYTES, value) for value in body.items]
    for name_bytes, value in named:
        inner, own_bytes = 1, len(value.text)
        if value.kind >= SEQUENCE:
            inner += value.body.written.values
            own_bytes = value.body.written.size_bytes
        if value.kind == SEQUENCE:
            own_bytes += len(str(value.body.canonical))
        values += inner
        size_bytes += own_bytes + inner * (name_bytes + _INDENT_BYTES)
    if values > limits.written_values:
        raise _too_large(f"{limits.written_values:,} values (written_values)")
    if size_bytes > limits.written_bytes:
        raise _too_large(f"{limits.written_bytes:,} bytes (written_bytes)")
    return Written(values, size_bytes)


def _too_large(limit: str) -> FhiclError:
    return FhiclError(LIMIT, f"the evaluated set, written out, is larger than the limit of {limit}")


def _text(value: Value) -> str:
    return str(value.body.canonical) if value.kind >= SEQUENCE else value.text


def _bodies_inside(body: TableBody | SequenceBody) -> list[TableBody | SequenceBody]:
    return [child.body for child in body.children() if child.kind >= SEQUENCE]


def _too_deep(limits: Limits) -> FhiclError:
    limit = f"{limits.nesting} (nesting)"
    return FhiclError(LIMIT, f"the evaluated set nests deeper than the limit of {limit}")


def _compact(value: Value) -> str:
    """Return the compact text of a value, without recursion into nested sequences."""
    pieces: list[str] = []
    waiting: list[Value | str] = [value]
    while waiting:
        following = waiting.pop()
        if isinstance(following, str):
            pieces.append(following)
        elif following.kind == TABLE:
            pieces.append(_compact_table(following.body))
        elif following.kind == SEQUENCE:
            waiting += reversed(_with_punctuation(following.body.items))
        else:
            pieces.append(following.text)
    return "".join(pieces)


def _compact_table(body: TableBody) -> str:
    text = str(body.canonical)
    return text if len(text) <= _LONGEST_TABLE_KEPT else f"@id::{parameter_set_id(body)}"


def _with_punctuation(items: list[Value]) -> list[Value | str]:
    """Return the elements of a sequence with the brackets around and the commas between them."""
    parts: list[Value | str] = ["["]
    for index, item in enumerate(items):
        if index:
            parts.append(",")
        parts.append(item)
    parts.append("]")
    return parts


def _resolved(
    value: Value, registry: dict[str, TableBody], resolved: dict[int, TableBody], depth: int
) -> Value:
    if value.kind == IDENTIFIER:
        table = registry.get(value.text)
        if table is None:
            message = (
                f"no table with the id {value.text} stands before its use at {written_at(value)}"
            )
            raise FhiclError(UNKNOWN_ID, message)
        return Value(TABLE, "", table, value.place, value.offset, value.protection)
    if value.kind == TABLE:
        return value.with_body(resolved[id(value.body)])
    if value.kind == SEQUENCE:
        if depth > _DEEPEST_SEQUENCE:
            message = f"sequences beside @id:: nest deeper than the limit of {_DEEPEST_SEQUENCE}"
            raise FhiclError(LIMIT, message)
        items = [_resolved(item, registry, resolved, depth + 1) for item in value.body.items]
        return value.with_body(SequenceBody(items, shared=True))
    return value


def _tables_inside_out(root: TableBody, limits: Limits) -> Iterator[TableBody]:
    """Yield every table once, inner ones before outer ones, keys in byte order."""
    seen: set[int] = set()
    stack: list[tuple[TableBody | SequenceBody, Iterator[TableBody | SequenceBody]]] = [
        (root, _inside(root))
    ]
    while stack:
        body, inside = stack[-1]
        inner = next((body for body in inside if id(body) not in seen), None)
        if inner is None:
            stack.pop()
            if isinstance(body, TableBody):
                yield body
        elif len(stack) > limits.nesting:
            raise _too_deep(limits)
        else:
            seen.add(id(inner))
            stack.append((inner, _inside(inner)))


def _inside(body: TableBody | SequenceBody) -> Iterator[TableBody | SequenceBody]:
    values = body.children()
    if isinstance(body, TableBody):
        values = [value for _, value in sorted(body.members.items())]
    return iter([value.body for value in values if value.kind >= SEQUENCE])
