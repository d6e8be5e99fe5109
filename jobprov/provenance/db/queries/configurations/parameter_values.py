"""A condition on parameters: in SQL where columns decide it, else in Python by the exact text."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, null, or_

from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.db.recording.configurations.parameters import CUT, exact_number_in
from jobprov.provenance.db.tables import ParameterValue

OF_TEXT = ("=", "!=", "~")
"""The operators that compare no sizes."""


class ParameterCondition(NamedTuple):
    """A question to parameters.

    Attributes:
        pattern: of the key, `*` for any letters.
        operator: one of = != < <= > >= ~; None asks for the key alone.
        canonical: text of the value, as the index keeps it; of `~` with `*` and `?` in it.
        number: the value of a comparison by size.
    """

    pattern: str
    operator: str | None = None
    canonical: str = ""
    number: float = 0.0


def holds(dialect: str, condition: ParameterCondition) -> list[ColumnElement[bool]]:
    """Return the condition on a value.

    Of those that `unsure_text` gives a text for, `holds_exactly` says whether it does.
    """
    canonical, number = ParameterValue.canonical, ParameterValue.number
    if condition.operator is None or condition.operator in OF_TEXT:
        return text_holds(dialect, condition, canonical)
    comparisons = {
        "<": and_(number <= condition.number, canonical != condition.canonical),
        "<=": number <= condition.number,
        ">": and_(number >= condition.number, canonical != condition.canonical),
        ">=": number >= condition.number,
    }
    return [comparisons[condition.operator]]


def text_holds(
    dialect: str, condition: ParameterCondition, canonical: Any
) -> list[ColumnElement[bool]]:
    """Return the condition on a column of canonical texts; the operator is `=`, `!=` or `~`."""
    if condition.operator is None:
        return []
    if condition.operator == "~":
        return [_fits(dialect, condition.canonical, canonical)]
    if condition.operator == "=":
        return [canonical == condition.canonical]
    return [canonical != condition.canonical]


def _fits(dialect: str, pattern: str, canonical: Any) -> ColumnElement[bool]:
    """Return the condition that a string fits.

    Of a long one the beginning has to, which it can where the pattern leaves the end open.
    """
    whole = and_(*matches(dialect, canonical, pattern))
    if not pattern.endswith('*"'):
        return whole
    return or_(whole, and_(*matches(dialect, canonical, f"{pattern[:-1]}{CUT}*")))


def unsure_text(condition: ParameterCondition) -> ColumnElement[Any]:
    """Return the text of a number that is not the one asked for, and the same as a float.

    An example is 9007199254740993 and ...992.
    """
    if condition.operator is None or condition.operator[0] not in "<>":
        return null()
    is_as_large = and_(
        ParameterValue.number == condition.number, ParameterValue.canonical != condition.canonical
    )
    return case((is_as_large, ParameterValue.canonical))


def holds_exactly(condition: ParameterCondition, text: str) -> bool:
    """Return whether a number compares as asked, by all its digits."""
    number, limit = exact_number_in(text), exact_number_in(condition.canonical)
    if str(condition.operator).startswith("<"):
        return number < limit
    return number > limit
