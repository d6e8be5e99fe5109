"""An evaluated configuration as a tree that folds.

A page shows what it bears, the rest is a link to the branch.

Works on parameters in the order of print, in which all of a table stand together. Nothing here
knows a page or a request.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from jobprov.provenance.fhicl import Origin, Parameter
from jobprov.provenance.services.comparisons.sentences import readable

_STEP = re.compile(r"\.?(\w+|\[\d+\])")
_LONGEST_SEQUENCE = 12
_MOST_OPENED = 30
"""Nodes of a large table that are shown at once, themselves folded."""


@dataclass(frozen=True)
class Node:
    """A table, a sequence or one value.

    Attributes:
        label: its name in what is around it.
        path: from the root.
        count: parameters in it; 1 of a value.
        value: a value, or a short sequence of values, numbers as people write them; None of what
            can be opened.
        origin: where the value, or the first of the sequence, was written.
        children: what is in it; None where that is to be fetched.
        is_open: whether the children show at once.
    """

    label: str
    path: str
    count: int
    value: str | None = None
    origin: Origin | None = None
    children: "Sequence[Node] | None" = None
    is_open: bool = False


@dataclass(frozen=True)
class Branch:
    """What one table or sequence holds, or a part of that.

    Attributes:
        nodes: to show.
        first: how many stand before them.
        total: how many there are.
    """

    nodes: Sequence[Node]
    first: int
    total: int

    @property
    def last(self) -> int:
        """How many stand before the next part."""
        return self.first + len(self.nodes)


def inside(parameters: Sequence[Parameter], path: str) -> Sequence[Parameter]:
    """Return the parameters in the table, sequence or value at a path; all where it is empty."""
    if not path:
        return parameters
    inner = (f"{path}.", f"{path}[")
    parts = []
    for parameter in parameters:
        if parameter.path == path or parameter.path.startswith(inner):
            parts.append(parameter)
    return parts


def matching(parameters: Sequence[Parameter], wanted: str) -> Sequence[Parameter]:
    """Return the parameters whose path or value holds a text, upper and lower case alike."""
    word = wanted.lower()
    return [parameter for parameter in parameters if _holds(parameter, word)]


def _holds(parameter: Parameter, word: str) -> bool:
    # A number is found as art prints it and as people write it
    is_printed = word in parameter.path.lower() or word in parameter.canonical.lower()
    return is_printed or word in readable(parameter.canonical)


def branch(parameters: Sequence[Parameter], path: str, *, bears: int, first: int = 0) -> Branch:
    """Return what is at a path, `first` nodes left out.

    Deeper levels are there as far as the page bears them.

    Args:
        parameters: those inside the path, in the order of print.
        path: of the branch; '' for all.
        bears: lines that may be shown in all.
        first: how many nodes to pass by.
    """
    groups = list(_children(parameters, path))
    shown = groups[first : first + max(1, bears)]
    rest = bears - len(shown)
    everything = rest >= sum(len(rows) for _, rows in shown)
    nodes = []
    for name, rows in shown:
        node, used = _node(name, rows, path, rest, is_open=everything or len(groups) == 1)
        rest -= used
        nodes.append(node)
    return Branch(nodes, first, len(groups))


def _children(parameters: Sequence[Parameter], path: str) -> Iterator[tuple[str, list[Parameter]]]:
    start = len(path)

    def name_of(parameter: Parameter) -> str:
        step_match = _STEP.match(parameter.path, start)
        return step_match[1] if step_match else ""

    for name, rows in groupby(parameters, name_of):
        if name:
            yield name, list(rows)


def _node(
    name: str, rows: Sequence[Parameter], around: str, bears: int, *, is_open: bool
) -> tuple[Node, int]:
    """Return the node of one child, and how many lines its inside takes."""
    is_element = name.startswith("[")
    path = f"{around}{name}" if is_element or not around else f"{around}.{name}"
    value = _value(rows, path)
    if value is not None:
        return Node(name, path, len(rows), value, rows[0].origin), 0
    groups = list(_children(rows, path))
    is_large = len(rows) > bears
    if is_large and len(groups) > min(bears, _MOST_OPENED):
        return Node(name, path, len(rows)), 0
    children, used = [], len(groups)
    for inner, inner_rows in groups:
        child, more = _node(inner, inner_rows, path, bears - used, is_open=is_open and not is_large)
        children.append(child)
        used += more
    return Node(name, path, len(rows), children=children, is_open=is_open or is_large), used


def _value(rows: Sequence[Parameter], path: str) -> str | None:
    """Return the value at a path, or its sequence of a few values; None of what can be opened."""
    if rows[0].path == path:
        return readable(rows[0].canonical)
    if len(rows) > _LONGEST_SEQUENCE:
        return None
    for place, row in enumerate(rows):
        if row.path != f"{path}[{place}]":
            return None
    return f"[{', '.join(readable(row.canonical) for row in rows)}]"
