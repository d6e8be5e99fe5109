"""Patterns of names as conditions that use an index as far as possible.

`*` stands for any characters, `?` for exactly one.
"""

import re
from typing import Any

from sqlalchemy import ColumnElement, Text, UnaryExpression, and_, bindparam
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.operators import custom_op

from jobprov.provenance.db.tables.base import NameText

TextColumn = (
    ColumnElement[str]
    | ColumnElement[str | None]
    | InstrumentedAttribute[str]
    | InstrumentedAttribute[str | None]
)
"""A column of texts, or an expression of them."""
_WILDCARD = re.compile("[*?]")
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # no text that a database keeps has one


def begins(column: TextColumn, text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with `text`, as a range that its index answers."""
    # A column that is not NameText is sorted by the rules of a language, where the character after
    # the last one is not the next code point: the range then ends with the last of all characters
    end: str | None = text + chr(_LAST)
    if column.type is NameText:
        end = first_beyond(text)
    if end is None:
        return column >= text
    return and_(column >= text, column < end)


def first_beyond(text: str) -> str | None:
    """Return the first text, by code points, that comes after all those that begin with `text`.

    Return None if there is no such text.
    """
    # Nothing comes after the last character: the one before it is what can be raised
    raisable = text.rstrip(chr(_LAST))
    if not raisable:
        return None
    following = ord(raisable[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return raisable[:-1] + chr(following)


def matches(dialect: str, column: TextColumn, pattern: str) -> list[ColumnElement[bool]]:
    """Return conditions that a name matches a pattern.

    The index answers the range of its beginning; the rest is compared name by name.
    """
    start = _WILDCARD.split(pattern, maxsplit=1)[0]
    if start == pattern:
        return [column == pattern]
    conditions: list[ColumnElement[bool]] = []
    if start:
        conditions.append(begins(column, start))
    if pattern[len(start) :] == "*":
        return conditions
    # the range last: where no index answers it, most names fail by the whole pattern alone
    if dialect == "sqlite":  # its LIKE ignores case, GLOB does not
        return [column.op("GLOB")(pattern.replace("[", "[[]")), *conditions]
    like = _escaped(pattern).replace("*", "%").replace("?", "_")
    return [column.like(like, escape="\\"), *conditions]


def without_index(column: Any) -> UnaryExpression[Any]:
    """Return a column of SQLite so that no index of it is used.

    Unlike with something added to it, no value is copied.
    """
    return UnaryExpression(column.expression, operator=custom_op("+"), type_=column.type)


def holds(dialect: str, column: TextColumn, text: str) -> ColumnElement[bool]:
    """Return the condition that a column holds `text`, whatever the case of the letters A to Z.

    The same on both databases; other letters are compared as they are.
    """
    return _is_like(dialect, column, f"%{_escaped(text)}%")


def begins_in_any_case(dialect: str, column: TextColumn, text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with `text`, compared as in `holds`, unindexed."""
    return _is_like(dialect, column, f"{_escaped(text)}%")


def ends_in_any_case(dialect: str, column: TextColumn, text: str) -> ColumnElement[bool]:
    """Return the condition that a column ends with `text`, compared as in `holds`, unindexed."""
    return _is_like(dialect, column, f"%{_escaped(text)}")


def _is_like(dialect: str, column: TextColumn, pattern: str) -> ColumnElement[bool]:
    # The value itself stands in the statement, so that PostgreSQL plans for it: for a rare text by
    # an index, for a frequent one without
    value = bindparam(None, pattern, type_=Text(), literal_execute=True, unique=True)
    if dialect == "sqlite":  # its LIKE ignores case
        return column.like(value, escape="\\")
    if column.type is not NameText:
        column = column.collate("C")
    return column.ilike(value, escape="\\")


def _escaped(text: str) -> str:
    for letter in "\\%_":
        text = text.replace(letter, f"\\{letter}")
    return text
