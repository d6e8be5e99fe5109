"""Rows of a table, as many as a page bears: each says how many there are, and where the others are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

WHOLE_ROWS = 100


@dataclass(frozen=True)
class Cut:
    """Some rows of many.

    Attributes:
        name: the section of the page that they are in.
        rows: those to show.
        total: how many there are.
        first: how many stand before the first shown.
    """

    name: str
    rows: Sequence[Any]
    total: int
    first: int = 0

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
        words = {**request.args.to_dict(), "whole": self.name, "from": str(start)}
        return address(request.path, words) + f"#{self.name}"


def address(path: str, words: dict[str, str]) -> str:
    """Return a path with a query of the words that say something."""
    kept = {name: value for name, value in words.items() if value}
    return quote(path) + (f"?{urlencode(kept)}" if kept else "")


def asked_section() -> str:
    """Return the section that the reader asked to see alone, '' for the whole page."""
    return request.args.get("whole", "")


def cut_rows(name: str, rows: Sequence[Any] | None, most: int) -> Cut:
    """Return the first rows, or, where the reader asked for this section, a hundred from where they asked."""
    every = rows or ()
    if asked_section() != name:
        return Cut(name, every[:most], len(every))
    start = request.args.get("from", "0")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0  # noqa: PLR2004
    return Cut(name, every[first : first + WHOLE_ROWS], len(every), first)
