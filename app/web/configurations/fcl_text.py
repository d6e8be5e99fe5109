"""The text of an fcl file as lines of HTML.

Comments, strings, numbers and words are told apart, and every include is a link. All is escaped.

A line is read alone, so that any part of a file can be shown; a string over several lines is
coloured in its first.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from jobprov.app.web.lookup.log_text import lines_of

SHOWN_BYTES = 50_000
MOST_LINES = 1000
_LINES_BEFORE = 12
_INCLUDE = re.compile(r'(\s*)#include "([^"]+)"(.*)', re.DOTALL)
_TOKEN = re.compile(
    r"(?P<comment>#.*|//.*)"
    r'|(?P<string>"(?:[^"\\]|\\.)*"?|\'[^\']*\'?)'
    r"|(?P<word>@\w+(?:::)?|\b(?:BEGIN_PROLOG|END_PROLOG|true|false|infinity)\b)"
    r"|(?P<key>[A-Za-z_][\w.\[\]]*(?=\s*(?:@\w+)?\s*:(?!:)))"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\b)"
    r"|(?P<rest>[A-Za-z_][\w.]*)"
)
_CLASSES = {"comment": "c", "string": "s", "word": "w", "key": "k", "number": "n"}


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
    """Return as many lines as a page bears.

    Args:
        data: the text.
        start: number of the first line to show.
        mark: a line that must be among them; it decides the first where it is given.
        link: gives the address of an included file, None where it is not here.
    """
    rows = data.split(b"\n")
    total = len(rows) - (not rows[-1])
    first = max(1, min(start if mark is None else mark - _LINES_BEFORE, total))
    lines: list[Markup] = []
    size = 0
    for row in rows[first - 1 : min(total, first - 1 + MOST_LINES)]:
        line = highlighted("".join(lines_of(row)), link)
        size += len(line.encode()) + 30
        if lines and size > SHOWN_BYTES:
            break
        lines.append(line)
    return Page(lines, first, total)


def highlighted(line: str, link: Callable[[str], str | None] = lambda _: None) -> Markup:
    """Return one line as HTML."""
    include = _INCLUDE.fullmatch(line)
    if include is not None:
        url = link(include[2])
        name = Markup('<a href="{}">{}</a>').format(url, include[2]) if url else escape(include[2])
        return Markup('{}<span class="w">#include</span> "{}"{}').format(
            include[1], name, include[3]
        )
    return Markup("").join(_pieces(line))


def _pieces(line: str) -> Iterator[Markup]:
    place = 0
    for token in _TOKEN.finditer(line):
        yield escape(line[place : token.start()])
        kind = _CLASSES.get(token.lastgroup or "")
        yield (
            Markup('<span class="{}">{}</span>').format(kind, token[0])
            if kind
            else escape(token[0])
        )
        place = token.end()
    yield escape(line[place:])
