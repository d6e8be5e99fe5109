"""Patterns of names, `*` for any letters and `?` for one, as conditions that an index answers as far as it can."""

from typing import Any

from sqlalchemy import ColumnElement

_LAST = "\U0010ffff"


def matches(dialect: str, column: Any, pattern: str) -> list[ColumnElement[bool]]:
    """Return conditions that a name matches a pattern: the range of its beginning, which the index answers, and the rest."""
    start = pattern[: min((place for letter in "*?" if (place := pattern.find(letter)) >= 0), default=len(pattern))]
    if start == pattern:
        return [column == pattern]
    conditions: list[Any] = [column >= start, column < start + _LAST] if start else []
    if pattern[len(start) :] == "*":
        return conditions
    if dialect == "sqlite":  # GLOB tells upper from lower case, LIKE does not
        return [*conditions, column.op("GLOB")(pattern.replace("[", "[[]"))]
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in pattern)
    return [*conditions, column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")]
