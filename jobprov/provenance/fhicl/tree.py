"""An evaluated set as a tree: in printed order, as Python values, by path, and as a flat list."""

import re
from collections.abc import Iterator
from math import isinf
from typing import Any, NamedTuple

from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.fhicl.canonical_atoms import decoded
from jobprov.provenance.fhicl.identity import parameter_set_id
from jobprov.provenance.fhicl.positions import Origin
from jobprov.provenance.fhicl.values import (
    BOOL,
    COMPLEX,
    NIL,
    NUMBER,
    SEQUENCE,
    STRING,
    TABLE,
    TableBody,
    Value,
)

ATOM = 0
ENTER = 1
LEAVE = 2

_PART = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]", re.ASCII)
_NUMBER = re.compile(r"(-?)(\d)(?:\.(\d+))?e(\d+)")
_MOST_DIGITS = 18  # longer integers become floats: they do not fit into the 64 bits of most readers


class Parameter(NamedTuple):
    """One atom, or one empty table or sequence, of a configuration.

    Attributes:
        path: `a.b[2].c`.
        canonical: its canonical text.
        origin: file and line where it was written; None for an `@nil` that nobody wrote.
    """

    path: str
    canonical: str
    origin: Origin | None


class Visit(NamedTuple):
    """One step.

    Attributes:
        action: ATOM, or ENTER and LEAVE of a table or sequence.
        key: name in its table, with the indices of sequences in between: `a`, `a[0]`, `a[0][2]`.
        position: index in the sequence around it; -1 for a member of a table.
        value: the value. With a registry, its body is the registered one.
    """

    action: int
    key: str
    position: int
    value: Value


def walk(root: TableBody, registry: dict[str, TableBody] | None = None) -> Iterator[Visit]:
    """Yield the visits of a set: keys in byte order, depth first, without recursion.

    With a registry, each table is visited as the first one that equals it.
    """
    entered: list[Visit] = []  # the tables and sequences around, from the outside in
    waiting = [iter(_members(root))]  # what is still to be visited in the set, and in each of these
    while waiting:
        visit = next(waiting[-1], None)
        if visit is None:
            waiting.pop()
            if entered:
                yield entered.pop()._replace(action=LEAVE)
        elif visit.action == ATOM:
            yield visit
        else:
            if visit.value.kind == TABLE and registry is not None:
                visit = _registered(visit, registry)
            yield visit
            entered.append(visit)
            waiting.append(iter(_inside(visit)))


def _registered(visit: Visit, registry: dict[str, TableBody]) -> Visit:
    """Return the visit of a table with the first table that equals it."""
    body = visit.value.body
    first = registry.get(parameter_set_id(body), body)
    return visit._replace(value=visit.value.with_body(first))


def find_value(root: TableBody, path: str) -> Value:
    """Return the value at a path.

    Raises:
        NotFoundError: there is none.
    """
    value = Value(TABLE, "", root, None, 0)
    for name, index in _parts(path):
        inner = None
        if name and value.kind == TABLE:
            inner = value.body.members.get(name)
        elif not name and value.kind == SEQUENCE and int(index) < len(value.body.items):
            inner = value.body.items[int(index)]
        if inner is None:
            raise NotFoundError(f'the configuration has no parameter "{path}"')
        value = inner
    return value


def parameters(root: TableBody) -> Iterator[Parameter]:
    """Yield every atom and every empty table or sequence, in printed order."""
    for path, canonical, value in leaves(root):
        yield Parameter(path, canonical, origin_of(value))


def leaves(root: TableBody) -> Iterator[tuple[str, str, Value]]:
    """Yield (path, canonical text, value) of what `parameters` yields, without origins."""
    names: list[str] = []
    for action, key, _, value in walk(root):
        if action == ATOM:
            yield "".join(names) + key, value.text, value
        elif action == ENTER:
            if not len(value.body):
                yield "".join(names) + key, str(value.body.canonical), value
            if value.kind == TABLE:
                names.append(f"{key}.")
        elif value.kind == TABLE:
            names.pop()


def atoms_and_sequences(root: TableBody) -> Iterator[tuple[str, str]]:
    """Yield (path, canonical text) of every atom, every sequence and every empty table.

    They are in printed order. A sequence is yielded in addition to its elements.
    """
    names: list[str] = []
    for action, key, _, value in walk(root):
        if action == ATOM:
            yield "".join(names) + key, value.text
        elif action == ENTER:
            if value.kind == SEQUENCE or not len(value.body):
                yield "".join(names) + key, str(value.body.canonical)
            if value.kind == TABLE:
                names.append(f"{key}.")
        elif value.kind == TABLE:
            names.pop()


def tree_of(root: TableBody) -> dict[str, Any]:
    """Return the set as JSON values: dict, list, str, int, float, bool and None.

    Infinities and complex numbers become text.
    """
    tree: dict[str, Any] = {}
    stack: list[Any] = [tree]
    for action, key, index, value in walk(root):
        if action == ATOM:
            _put(stack[-1], key, index, _json_atom(value))
        elif action == ENTER:
            inner: Any = {} if value.kind == TABLE else []
            _put(stack[-1], key, index, inner)
            stack.append(inner)
        else:
            stack.pop()
    return tree


def python_value(value: Value) -> Any:
    """Return the value as a Python one: None, bool, int, float, complex, str, list or dict."""
    if value.kind < SEQUENCE:
        return _python_atom(value)
    holder = tree_of(TableBody({"value": value}))
    return holder["value"]


def origin_of(value: Value) -> Origin | None:
    """Return file and true line where a value was written; None for an `@nil` that nobody wrote."""
    if value.place is None:
        return None
    segment, offset = value.place.resolve(value.offset)
    return Origin(segment.path, segment.line(offset))


def number_of(canonical: str) -> int | float:
    """Return a canonical number as int if it is whole and not too long, else as float.

    A number beyond the range of floats becomes `inf`.
    """
    if canonical.lstrip("-").isdigit():
        return int(canonical)
    match = _NUMBER.fullmatch(canonical)
    if match:
        sign, first_digit = match[1], match[2]
        fraction, exponent = match[3] or "", int(match[4])
        if len(fraction) <= exponent < _MOST_DIGITS:
            return int(f"{sign}{first_digit}{fraction.ljust(exponent, '0')}")
    return float(canonical)


def _inside(visit: Visit) -> list[Visit]:
    """Return the visits of what is in a table or sequence."""
    if visit.value.kind == TABLE:
        return _members(visit.value.body)
    visits = []
    for index, item in enumerate(visit.value.body.items):
        action = ATOM if item.kind < SEQUENCE else ENTER
        visits.append(Visit(action, f"{visit.key}[{index}]", index, item))
    return visits


def _members(body: TableBody) -> list[Visit]:
    visits = []
    for name, value in sorted(body.members.items()):
        action = ATOM if value.kind < SEQUENCE else ENTER
        visits.append(Visit(action, name, -1, value))
    return visits


def _parts(path: str) -> Iterator[tuple[str, str]]:
    position, length = 0, len(path)
    while position < length:
        if path[position] == "." and position:
            position += 1
        match = _PART.match(path, position)
        if match is None:
            raise NotFoundError(f'"{path}" is no parameter path; write it as a.b[2].c')
        yield match[1] or "", match[2] or ""
        position = match.end()


def _python_atom(value: Value) -> Any:
    if value.kind == NIL:
        return None
    if value.kind == BOOL:
        return value.text == "true"
    if value.kind == NUMBER:
        return number_of(value.text)
    if value.kind == COMPLEX:
        real, imaginary = value.text[1:-1].split(",")
        return complex(float(real), float(imaginary))
    return decoded(value.text) if value.kind == STRING else value.text


def _json_atom(value: Value) -> Any:
    plain = _python_atom(value)
    if isinstance(plain, complex) or (isinstance(plain, float) and isinf(plain)):
        return value.text  # JSON has neither
    return plain


def _put(holder: Any, key: str, index: int, value: Any) -> None:
    if index < 0:
        holder[key] = value
    else:
        holder.append(value)
