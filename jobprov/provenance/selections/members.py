"""Whether a value of metadata meets a condition, as the database would find it.

Values compare as text, so that `4711` finds a number and a text; less, more and ranges of numbers
compare numbers. Of a list any member has to meet the condition.
"""

import fnmatch
import operator
import re
from collections.abc import Callable
from dataclasses import replace

from jobprov.provenance.selections.conditions import Between, Comparison, Operator, Value
from jobprov.provenance.selections.tokens import SelectionError

Holds = Callable[[object], bool]
_ORDERS: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}


def compares_numbers(condition: Comparison) -> bool:
    """Return whether a condition is on numbers: on their order, or on ranges of them alone."""
    if condition.operator in _ORDERS:
        return True
    return bool(condition.values) and all(map(_is_range_of_numbers, condition.values))


def split_by_kind(condition: Comparison) -> list[Comparison]:
    """Return the conditions on numbers and on texts that one on a list of both is made of."""
    ranges = tuple(value for value in condition.values if _is_range_of_numbers(value))
    others = tuple(value for value in condition.values if not _is_range_of_numbers(value))
    if not ranges or not others:
        return [condition]
    return [replace(condition, values=ranges), replace(condition, values=others)]


def reader_of(condition: Comparison) -> Holds:
    """Return what tells whether a value that is there meets a condition.

    Raises:
        SelectionError: a number is compared with what is none.
    """
    if condition.operator is Operator.IS_THERE:
        return lambda _value: True
    if condition.operator in _ORDERS:
        holds = _in_order(condition)
    else:
        holds = _is_among(condition)
        if condition.operator is Operator.UNEQUAL:
            equal = holds
            return lambda value: any(not equal(member) for member in _members(value))
    return lambda value: any(map(holds, _members(value)))


def _members(value: object) -> list[object]:
    members = value if isinstance(value, list) else [value]
    return [member for member in members if member is not None]


def _in_order(condition: Comparison) -> Holds:
    (value,) = condition.values
    if isinstance(value, Between):
        raise SelectionError(f"{value.first}-{value.last}: a range cannot be compared like this.")
    limit, compare = _number_of(value.text), _ORDERS[condition.operator]
    if limit is None:
        raise SelectionError(f"{value.text!r} is not a number.")

    def holds(member: object) -> bool:
        return _is_number(member) and compare(member, limit)  # type: ignore[arg-type]

    return holds


def _is_among(condition: Comparison) -> Holds:
    plain: set[str] = set()
    others: list[Holds] = []
    for value in condition.values:
        if isinstance(value, Between):
            others.append(_within(value))
        elif value.is_pattern:
            others.append(_matching(value))
        else:
            plain.add(value.text)
    return lambda member: _text(member) in plain or any(other(member) for other in others)


def _matching(value: Value) -> Holds:
    pattern = re.compile(fnmatch.translate(value.text.replace("[", "[[]")))
    return lambda member: pattern.match(_text(member)) is not None


def _within(value: Between) -> Holds:
    first, last = _number_of(value.first), _number_of(value.last)
    if first is None or last is None:
        return lambda member: value.first <= _text(member) <= value.last

    def holds(member: object) -> bool:
        return _is_number(member) and first <= member <= last  # type: ignore[operator]

    return holds


def _is_range_of_numbers(value: Value | Between) -> bool:
    if not isinstance(value, Between):
        return False
    return _number_of(value.first) is not None and _number_of(value.last) is not None


def _is_number(member: object) -> bool:
    return isinstance(member, int | float) and not isinstance(member, bool)


def _number_of(text: str) -> float | None:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return None


def _text(member: object) -> str:
    """Return a member as the databases write it."""
    if isinstance(member, bool):
        return "true" if member else "false"
    return str(member)
