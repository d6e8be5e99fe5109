"""Visits an evaluated set in the order of print.

Keys in byte order, depth first, without recursion.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jobprov.provenance.fhicl.identity import parameter_set_id
from jobprov.provenance.fhicl.values import SEQUENCE, TABLE, TableBody, Value

ATOM = 0
ENTER = 1
LEAVE = 2


class Visit(NamedTuple):
    """One step.

    Attributes:
        action: ATOM, or ENTER and LEAVE of a table or sequence.
        key: name in its table, with an index for each sequence around it since: `a`, `a[0]`,
            `a[0][2]`.
        position: place in the sequence around it, -1 of a member of a table.
        value: the value; its body is the registered one where a registry was given.
    """

    action: int
    key: str
    position: int
    value: Value


def walk(root: TableBody, registry: dict[str, TableBody] | None = None) -> Iterator[Visit]:
    """Yield the visits of a set; with a registry, equal tables are all visited as the first of them."""
    stack: list[tuple[Visit | None, Iterator[tuple[str, int, Value]]]] = [(None, _members(root))]
    while stack:
        entered, inside = stack[-1]
        following = next(inside, None)
        if following is None:
            stack.pop()
            if entered is not None:
                yield entered._replace(action=LEAVE)
            continue
        key, index, value = following
        if value.kind < SEQUENCE:
            yield Visit(ATOM, key, index, value)
            continue
        if value.kind == TABLE and registry is not None:
            value = value.with_body(registry.get(parameter_set_id(value.body), value.body))
        visit = Visit(ENTER, key, index, value)
        yield visit
        stack.append(
            (visit, _members(value.body) if value.kind == TABLE else _elements(key, value))
        )


def _members(body: TableBody) -> Iterator[tuple[str, int, Value]]:
    return iter([(name, -1, value) for name, value in sorted(body.members.items())])


def _elements(key: str, value: Value) -> Iterator[tuple[str, int, Value]]:
    return iter([(f"{key}[{index}]", index, item) for index, item in enumerate(value.body.items)])
