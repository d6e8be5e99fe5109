"""The text that a search looks for, and what it finds among the names of one kind."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal

from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.fragments.patterns import TextColumn, begins_in_any_case, holds
from jobprov.provenance.db.tables.name_index import LETTERS

MOST_COUNTED = 1000
"""How many of a kind are counted."""
MOST_ROWS = MOST_COUNTED + 1
"""One more shows that there are more."""
_MOST_WORDS = 8
"""The rest of the text counts as one word, with its blanks."""


class SearchText(NamedTuple):
    """What is looked for.

    Attributes:
        most: how many hits of a kind are shown.
    """

    text: str
    most: int

    @property
    def is_short(self) -> bool:
        """Whether the text is too short for parts of names: only their beginnings count."""
        return len(self.text) < LETTERS

    @property
    def words(self) -> Sequence[str]:
        """What a name has to hold, in any order; one text where an index would find no word."""
        words = self.text.split(maxsplit=_MOST_WORDS - 1)
        if any(len(word) >= LETTERS for word in words):
            return words
        return [self.text]

    def condition(self, connection: Connection, column: TextColumn) -> ColumnElement[bool]:
        """Return the condition that a column holds the words, in any case."""
        dialect = connection.dialect.name
        if self.is_short:
            return begins_in_any_case(dialect, column, self.text)
        return and_(*(holds(dialect, column, word) for word in self.words))

    def is_in(self, name: str) -> bool:
        """Return whether a name meets `condition`."""
        folded = name.lower()
        if self.is_short:
            return folded.startswith(self.text.lower())
        return all(word.lower() in folded for word in self.words)

    def order(self, connection: Connection, column: TextColumn) -> ColumnElement[int]:
        """Return what names are sorted by first: the text itself, its beginnings, the others."""
        begins = begins_in_any_case(connection.dialect.name, column, self.text)
        is_it = func.lower(column) == self.text.lower()
        return case((is_it, literal(0)), (begins, literal(1)), else_=literal(2))

    def rank(self, name: str) -> int:
        """Return the place of a name in `order`."""
        wanted, folded = self.text.lower(), name.lower()
        if folded == wanted:
            return 0
        return 1 if folded.startswith(wanted) else 2


class Matches(NamedTuple):
    """Names of one kind.

    Attributes:
        hits: the first of them.
        total: how many there are, counted up to `MOST_COUNTED`.
        has_more: whether there are more than were counted.
    """

    hits: list[Hit]
    total: int
    has_more: bool = False


def first_matches(rows: Sequence[Any], wanted: SearchText, make_hit: Callable[..., Hit]) -> Matches:
    """Return the first rows as hits, and how many there are; each row is what `make_hit` takes."""
    hits = [make_hit(*row) for row in rows[: wanted.most]]
    return Matches(hits, min(len(rows), MOST_COUNTED), len(rows) > MOST_COUNTED)
