"""How FHiCL is drawn on a page: its text as lines of HTML, its evaluated parameters as a tree.

In the text, comments, strings, numbers and words have colours, and every include is a link. All is
escaped. Each line is read by itself, so that any part of a file can be shown; of a string over
several lines only the first is coloured.

The tree folds: a page shows what fits, and links to the rest. It takes the parameters in the order
in which they are printed, where those of a table are together.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup, escape

from jobprov.app.web.lookup.log_text import lines_of
from jobprov.provenance.fhicl import Origin, Parameter
from jobprov.provenance.services.comparisons.sentences import readable

SHOWN_BYTES = 50_000
MOST_LINES = 1000
_LINES_BEFORE = 12
_INCLUDE = re.compile(r'(\s*)#include "([^"]+)"(.*)', re.DOTALL)
_TOKEN = re.compile(
    r"(?P<comment>#.*|//.*)"
    r'|(?P<string>"(?:[^"\\]|\\.)*"?|\'[^\']*\'?)'
    r"|(?P<word>@\w+(?:::)?|\b(?:BEGIN_PROLOG|END_PROLOG|true|false|infinity)\b)"
    r"|(?P<key>[A-Za-z_][\w.\[\]]{0,100}(?=\s*(?:@\w+\s*)?:(?!:)))"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\b)"
    r"|(?P<rest>[A-Za-z_0-9][\w.]*)"
)
_CLASSES = {"comment": "c", "string": "s", "word": "w", "key": "k", "number": "n"}
_STEP = re.compile(r"\.?(\w+|\[\d+\])")
_LONGEST_SEQUENCE = 12
_MOST_OPENED = 30
"""Nodes of a large table that are shown at once, themselves folded."""


class Page(NamedTuple):
    """Some lines of a text.

    Attributes:
        lines: as HTML.
        first: number of the first of them, from 1.
        total: how many lines the text has.
    """

    lines: Sequence[Markup]
    first: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last line shown."""
        return self.first + len(self.lines) - 1


def page_of(
    data: bytes, *, start: int = 1, mark: int | None = None, link: Callable[[str], str | None]
) -> Page:
    """Return as many lines as fit on a page.

    Args:
        data: the text.
        start: number of the first line to show.
        mark: a line that must be among them; it decides the first where it is given.
        link: gives the address of an included file, None where it is not here.
    """
    rows = data.split(b"\n")
    if not rows[-1]:
        del rows[-1]  # there is no line after the last line end
    total = len(rows)
    if mark is not None:
        start = mark - _LINES_BEFORE
    first = max(1, min(start, total))
    lines: list[Markup] = []
    size = 0
    for row in rows[first - 1 : first - 1 + MOST_LINES]:
        line = highlighted("".join(lines_of(row)), link)
        size += len(line.encode()) + 30
        if lines and size > SHOWN_BYTES:
            break
        lines.append(line)
    return Page(lines, first, total)


def highlighted(line: str, link: Callable[[str], str | None] = lambda _: None) -> Markup:
    """Return one line as HTML."""
    include = _INCLUDE.fullmatch(line)
    if include is None:
        return Markup("").join(_pieces(line))
    before, file, after = include.groups()
    url = link(file)
    name = escape(file)
    if url:
        name = Markup('<a href="{}">{}</a>').format(url, file)
    return Markup('{}<span class="w">#include</span> "{}"{}').format(before, name, after)


def _pieces(line: str) -> Iterator[Markup]:
    place = 0
    for token in _TOKEN.finditer(line):
        yield escape(line[place : token.start()])
        css_class = _CLASSES.get(token.lastgroup or "")
        if css_class:
            yield Markup('<span class="{}">{}</span>').format(css_class, token[0])
        else:
            yield escape(token[0])
        place = token.end()
    yield escape(line[place:])


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

    def lines_inside(self) -> int:
        """Return how many lines of the page its inside takes, a line for each node."""
        return sum(1 + child.lines_inside() for child in self.children or ())


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

    Deeper levels are included as far as they fit on the page.

    Args:
        parameters: those inside the path, in the order of print.
        path: of the branch; '' for all.
        bears: how many lines may be shown in all.
        first: how many nodes to pass by.
    """
    groups = list(_children(parameters, path))
    shown = groups[first : first + max(1, bears)]
    lines_left = bears - len(shown)
    fits_whole = lines_left >= sum(len(rows) for _, rows in shown)
    is_open = fits_whole or len(groups) == 1
    nodes = []
    for name, rows in shown:
        node = _node(_path_of_child(path, name), name, rows, lines_left, is_open=is_open)
        lines_left -= node.lines_inside()
        nodes.append(node)
    return Branch(nodes, first, len(groups))


def _path_of_child(path: str, name: str) -> str:
    """Return the path of a member of a table, or of an element (`[0]`) of a sequence."""
    if not path or name.startswith("["):
        return f"{path}{name}"
    return f"{path}.{name}"


def _children(parameters: Sequence[Parameter], path: str) -> Iterator[tuple[str, list[Parameter]]]:
    start = len(path)

    def name_of(parameter: Parameter) -> str:
        step_match = _STEP.match(parameter.path, start)
        return step_match[1] if step_match else ""

    for name, rows in groupby(parameters, name_of):
        if name:
            yield name, list(rows)


def _node(path: str, label: str, rows: Sequence[Parameter], bears: int, *, is_open: bool) -> Node:
    """Return the node at a path, with so many lines in it at most.

    A large table shows its children, themselves folded; one of too many children is to be fetched.
    """
    value = _value(rows, path)
    if value is not None:
        return Node(label, path, len(rows), value, rows[0].origin)
    groups = list(_children(rows, path))
    is_large = len(rows) > bears
    if is_large and len(groups) > min(bears, _MOST_OPENED):
        return Node(label, path, len(rows))
    lines_left = bears - len(groups)
    children = []
    for name, inner_rows in groups:
        inner_path = _path_of_child(path, name)
        child = _node(inner_path, name, inner_rows, lines_left, is_open=is_open and not is_large)
        lines_left -= child.lines_inside()
        children.append(child)
    return Node(label, path, len(rows), children=children, is_open=is_open or is_large)


def _value(rows: Sequence[Parameter], path: str) -> str | None:
    """Return the value at a path, or a short sequence; None for a table that can be opened."""
    if rows[0].path == path:
        return readable(rows[0].canonical)
    if len(rows) > _LONGEST_SEQUENCE:
        return None
    for place, row in enumerate(rows):
        if row.path != f"{path}[{place}]":
            return None
    return f"[{', '.join(readable(row.canonical) for row in rows)}]"
