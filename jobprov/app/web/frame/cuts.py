"""Rows of a table, cut to what fits on a page.

Each says how many there are, and where the others are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import g, has_app_context, request

from jobprov.provenance.answers.addresses import with_query

WHOLE_ROWS = 100


@dataclass(frozen=True)
class Cut:
    """Some rows of many.

    Attributes:
        name: the section of the page that they are in.
        every: all of them.
        most: how many to show on a page of usual names; fewer where the page is drawn tighter.
        first: how many stand before the first shown.
    """

    name: str
    every: Sequence[Any]
    most: int
    first: int = 0

    @property
    def rows(self) -> Sequence[Any]:
        """The rows to show."""
        return self.every[self.first : self.first + max(1, self.most >> 2 * tightness())]

    @property
    def total(self) -> int:
        """How many rows there are."""
        return len(self.every)

    @property
    def last(self) -> int:
        """The number of the last row shown, from 1."""
        return self.first + len(self.rows)

    @property
    def is_cut(self) -> bool:
        """Whether there are rows that are not shown."""
        return len(self.rows) < self.total

    @property
    def is_whole_asked(self) -> bool:
        """Whether the reader asked for this section alone, page by page."""
        return asked_section() == self.name

    def url(self, start: int) -> str:
        """Return the address of this section alone, from a row on."""
        query = {**request.args.to_dict(), "whole": self.name, "from": str(start)}
        return address(request.path, query) + f"#{self.name}"


def address(path: str, query: Mapping[str, str | None]) -> str:
    """Return a path with a query of the words that are not empty.

    An empty namespace says that a file has none.
    """
    return with_query(quote(path), query)


def asked_section() -> str:
    """Return the section that the reader asked to see alone, '' for the whole page."""
    return request.args.get("whole", "")


def cut_rows(name: str, rows: Sequence[Any] | None, most: int) -> Cut:
    """Return the first rows.

    Where the reader asked for this section, return a hundred rows from where they asked.
    """
    every = rows or ()
    if asked_section() != name:
        return Cut(name, every, most)
    start = request.args.get("from", "0")
    first = (
        int(start)
        if start.isascii() and start.isdigit() and len(start) < 10  # noqa: PLR2004
        else 0
    )
    return Cut(name, every, WHOLE_ROWS, first)


def tightness() -> int:
    """Return how tight the page is drawn: 0 as it should be, more where it would pass its limit.

    Long names make it do so.
    """
    return g.get("tightness", 0) if has_app_context() else 0


def tighten() -> None:
    """Draw the page tighter from now on."""
    g.tightness = tightness() + 1
