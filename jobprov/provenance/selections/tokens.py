"""Splits a selection into words, and tells where it goes wrong.

Both languages are small and depend on where a word stands: `in`, `5-7` and `2026-01-01` are values
in one place and something else in the next. So a parser takes word after word, and every error
names line and column (docs/decisions/0024-catalog-answers.md has why no parser library is used).
"""

import re
from typing import NamedTuple

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.selections.conditions import MOST_TERMS, MOST_VALUES

MOST_CHARACTERS = 500_000
MOST_LEVELS = 40
"""Parentheses within each other."""
MOST_RELATIONS = 10
"""Relations within each other: each is several queries within the other's."""
MOST_SET_OPERATIONS = 40
_SHOWN = 40


class SelectionError(BadInputError):
    """A selection cannot be read or answered; the sentence says where and why."""


class Token(NamedTuple):
    """A word, a quoted text, or a sign; `END` stands behind the last.

    Attributes:
        kind: `word`, `quoted`, `sign` or `end`.
        text: without quotes.
        start: where it begins.
    """

    kind: str
    text: str
    start: int


class Tokens:
    """A selection as a stream of tokens, with the limits that keep an answer bounded."""

    def __init__(self, text: str, pattern: re.Pattern[str]) -> None:
        """Split the text.

        Args:
            text: the selection.
            pattern: of one token, in groups named `word`, `quoted` and `sign`.

        Raises:
            SelectionError: it is too long, or holds a character that nothing begins with.
        """
        if len(text) > MOST_CHARACTERS:
            raise SelectionError(
                f"The selection has {len(text):,} characters; {MOST_CHARACTERS:,} are the most. "
                "Ask for a part of the files at a time."
            )
        if "\0" in text:
            raise SelectionError("The selection holds a NUL, which no name has.")
        self._text = text
        self._tokens = self._split(pattern)
        self._place = 0
        self._level = 0
        self._relations = 0
        self._terms = 0
        self._values = 0
        self._set_operations = 0

    def _split(self, pattern: re.Pattern[str]) -> list[Token]:
        tokens = []
        place = _skip_blanks(self._text, 0)
        while place < len(self._text):
            match = pattern.match(self._text, place)
            if match is None:
                raise self.error(_unreadable(self._text[place]), place)
            kind = match.lastgroup or "sign"
            text = match.group()
            if kind == "quoted":
                text = text[1:-1]
            tokens.append(Token(kind, text, place))
            place = _skip_blanks(self._text, match.end())
        tokens.append(Token("end", "", len(self._text)))
        return tokens

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._place]

    def after_next(self, count: int = 1) -> Token:
        """Return the token behind the next one."""
        return self._tokens[min(self._place + count, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and go on."""
        token = self.next
        if token.kind != "end":
            self._place += 1
        return token

    def is_word(self, *words: str) -> bool:
        """Return whether one of these words comes next, in any case and without quotes."""
        return self.next.kind == "word" and self.next.text.lower() in words

    def is_sign(self, *signs: str) -> bool:
        """Return whether one of these signs comes next."""
        return self.next.kind == "sign" and self.next.text in signs

    def takes_word(self, word: str) -> bool:
        """Return whether this word came next, and go on if it did."""
        is_next = self.is_word(word)
        if is_next:
            self._place += 1
        return is_next

    def takes_sign(self, sign: str) -> bool:
        """Return whether this sign came next, and go on if it did."""
        is_next = self.is_sign(sign)
        if is_next:
            self._place += 1
        return is_next

    def expect_sign(self, sign: str, why: str = "") -> None:
        """Go on behind a sign that must come next.

        Raises:
            SelectionError: something else does.
        """
        if not self.takes_sign(sign):
            raise self.unexpected(f"{sign!r}{why}")

    def expect_text(self, what: str) -> str:
        """Return the word or quoted text that must come next.

        Raises:
            SelectionError: something else does.
        """
        if self.next.kind not in ("word", "quoted"):
            raise self.unexpected(what)
        return self.take().text

    def expect_number(self, what: str) -> int:
        """Return the whole number that must come next.

        Raises:
            SelectionError: something else does.
        """
        token = self.next
        if token.kind != "word" or not token.text.isdecimal() or len(token.text) > _LONGEST_NUMBER:
            raise self.unexpected(f"a whole number for {what}")
        self.take()
        return int(token.text)

    def expect_end(self) -> None:
        """Check that nothing is left.

        Raises:
            SelectionError: something is.
        """
        if self.next.kind != "end":
            raise self.unexpected("the end, or what joins two conditions (and, or, minus, …)")

    def enter(self) -> None:
        """Go one level down, to where `leave` is called.

        Raises:
            SelectionError: there are too many.
        """
        self._level += 1
        if self._level > MOST_LEVELS:
            raise self.error(
                f"more than {MOST_LEVELS} parentheses within each other are not answered",
                self.next.start,
            )

    def leave(self) -> None:
        """Go back up."""
        self._level -= 1

    def enter_relation(self) -> None:
        """Go into a relation, to where `leave_relation` is called.

        Raises:
            SelectionError: too many stand within each other.
        """
        self._relations += 1
        if self._relations > MOST_RELATIONS:
            raise self.error(
                f"more than {MOST_RELATIONS} relations within each other are not answered; "
                "ancestors and descendants reach over any number of steps",
                self.next.start,
            )

    def leave_relation(self) -> None:
        """Go back out of a relation."""
        self._relations -= 1

    def count_term(self, values: int = 1) -> None:
        """Note one more comparison with so many values.

        Raises:
            SelectionError: there are too many.
        """
        self._terms += 1
        self._values += values
        if self._terms > MOST_TERMS:
            raise SelectionError(
                f"The selection has more than {MOST_TERMS} conditions; "
                "write values of one field as a list: file_name a, b, c."
            )
        if self._values > MOST_VALUES:
            raise SelectionError(
                f"The selection lists more than {MOST_VALUES:,} values; "
                "ask for a part of them at a time."
            )

    def count_set_operation(self) -> None:
        """Note one more union, intersection or difference.

        Raises:
            SelectionError: there are too many.
        """
        self._set_operations += 1
        if self._set_operations > MOST_SET_OPERATIONS:
            raise SelectionError(
                f"The selection joins sets more than {MOST_SET_OPERATIONS} times; "
                "join conditions by and, or and not."
            )

    def unexpected(self, wanted: str) -> SelectionError:
        """Return that something else than `wanted` comes next."""
        token = self.next
        actual = "the end" if token.kind == "end" else repr(_shown(token.text))
        return self.error(f"{wanted} was expected, and {actual} stands there", token.start)

    def error(self, problem: str, start: int) -> SelectionError:
        """Return an error at a place of the text."""
        before = self._text[:start]
        line = before.count("\n") + 1
        column = start - (before.rfind("\n") + 1) + 1
        where = f"column {column}"
        if line > 1:
            where = f"line {line}, {where}"
        return SelectionError(f"The selection cannot be read at {where}: {problem}.")


_LONGEST_NUMBER = 9


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _unreadable(character: str) -> str:
    if character in "'\"":
        return f"a quote ({character}) begins there and does not end"
    return f"{character!r} means nothing outside quotes"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
