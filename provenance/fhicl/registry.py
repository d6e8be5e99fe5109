"""The tables of an evaluated set by their id, as the reference's registry holds them while it makes a ParameterSet.

It registers nested tables depth first, keys in byte order, and keeps the first of equal ids. Two
things follow: `@id::` finds only what is registered by then, and annotations of a table that equals
an earlier one show where the earlier one's members were written. Source: fhicl-cpp
`ParameterSetRegistry::put`, `encode(extended_value)`.
"""

from collections.abc import Iterator

from jobprov.provenance.fhicl.errors import LIMIT, UNKNOWN_ID, FhiclError
from jobprov.provenance.fhicl.identity import canonical_form, parameter_set_id
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.symbols import written_at
from jobprov.provenance.fhicl.values import (
    IDENTIFIER,
    SEQUENCE,
    TABLE,
    SequenceBody,
    TableBody,
    Value,
)

_DEEPEST_SEQUENCE = 100


def registered_tables(root: TableBody, limits: Limits) -> dict[str, TableBody]:
    """Return the nested tables of a set by their ids, the first of each.

    The set's canonical form must be known.
    """
    registry: dict[str, TableBody] = {}
    for body in _tables_inside_out(root, limits):
        if body is not root:
            registry.setdefault(parameter_set_id(body), body)
    return registry


def resolve_identifiers(root: TableBody, limits: Limits) -> tuple[TableBody, dict[str, TableBody]]:
    """Return the set with every `@id::` replaced by the registered table of that id, and the registry.

    An `@id::` registers nothing: the table that it stands for keeps its place in the order, and so
    its members' places in annotations.

    Raises:
        FhiclError: no table of that id is registered by then; ids are written in lower case.
    """
    registry: dict[str, TableBody] = {}
    resolved: dict[int, TableBody] = {}
    body = root
    for body in _tables_inside_out(root, limits):
        members = {
            name: _resolved(value, registry, resolved, 0) for name, value in body.members.items()
        }
        resolved[id(body)] = replaced = TableBody(members, shared=True)
        canonical_form(replaced, limits)
        if body is not root:
            registry.setdefault(parameter_set_id(replaced), replaced)
    return resolved[id(body)], registry


def _resolved(
    value: Value, registry: dict[str, TableBody], resolved: dict[int, TableBody], depth: int
) -> Value:
    if value.kind == IDENTIFIER:
        found = registry.get(value.text)
        if found is None:
            message = (
                f"no table with the id {value.text} stands before its use at {written_at(value)}"
            )
            raise FhiclError(UNKNOWN_ID, message)
        return Value(TABLE, "", found, value.place, value.offset, value.protection)
    if value.kind == TABLE:
        return value.with_body(resolved[id(value.body)])
    if value.kind == SEQUENCE:
        if depth > _DEEPEST_SEQUENCE:
            raise FhiclError(
                LIMIT, f"sequences beside @id:: nest deeper than the limit of {_DEEPEST_SEQUENCE}"
            )
        items = [_resolved(item, registry, resolved, depth + 1) for item in value.body.items]
        return value.with_body(SequenceBody(items, shared=True))
    return value


def _tables_inside_out(root: TableBody, limits: Limits) -> Iterator[TableBody]:
    """Yield every table once, those inside before those around them, keys in byte order."""
    seen: set[int] = set()
    stack: list[tuple[TableBody | SequenceBody, Iterator[TableBody | SequenceBody]]] = [
        (root, _inside(root))
    ]
    while stack:
        body, inside = stack[-1]
        inner = next((each for each in inside if id(each) not in seen), None)
        if inner is None:
            stack.pop()
            if isinstance(body, TableBody):
                yield body
        elif len(stack) > limits.nesting:
            raise FhiclError(
                LIMIT,
                f"the evaluated set nests deeper than the limit of {limits.nesting} (nesting)",
            )
        else:
            seen.add(id(inner))
            stack.append((inner, _inside(inner)))


def _inside(body: TableBody | SequenceBody) -> Iterator[TableBody | SequenceBody]:
    values = (
        [value for _, value in sorted(body.members.items())]
        if isinstance(body, TableBody)
        else body.items
    )
    return iter([value.body for value in values if value.kind >= SEQUENCE])
