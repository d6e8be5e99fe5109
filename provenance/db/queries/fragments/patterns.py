"""Patterns of names as conditions, which an index answers as far as it can.

`*` stands for any letters and `?` for one.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_

from jobprov.provenance.db.base import NameText

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # no text that a database keeps has one


def begins(column: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with `text`: a range, which its index answers."""
    # in the order of a language a colon may come before digits: there what begins so ends with the
    # last character of all
    end = first_beyond(text) if column.type is NameText else text + chr(_LAST)
    return and_(column >= text, column < end) if end is not None else column >= text


def first_beyond(text: str) -> str | None:
    """Return the first text, in the order of code points, behind all that begin with `text`.

    None where there is none.
    """
    kept = text.rstrip(chr(_LAST))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def matches(dialect: str, column: Any, pattern: str) -> list[ColumnElement[bool]]:
    """Return conditions that a name matches a pattern.

    The range of its beginning, which the index answers, and the rest.
    """
    start = pattern[
        : min(
            (place for letter in "*?" if (place := pattern.find(letter)) >= 0), default=len(pattern)
        )
    ]
    if start == pattern:
        return [column == pattern]
    conditions: list[Any] = [begins(column, start)] if start else []
    if pattern[len(start) :] == "*":
        return conditions
    if dialect == "sqlite":  # GLOB tells upper from lower case, LIKE does not
        return [*conditions, column.op("GLOB")(pattern.replace("[", "[[]"))]
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in pattern)
    return [*conditions, column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")]
