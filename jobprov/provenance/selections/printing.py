"""Writes a selection down: as SAM's dimensions, which `read_dimensions` reads again, or as outline.

The client asks for the first by `--expand-query`, for the second by `--dump-query`.
"""

import re

from jobprov.provenance.selections.conditions import (
    All,
    Between,
    Combined,
    Comparison,
    Definition,
    Everything,
    Not,
    Operator,
    Portion,
    Related,
    Relation,
    Selection,
    SetOperator,
    Some,
    Value,
    children_of,
)
from jobprov.provenance.selections.fields import described

_PLAIN = re.compile(r"[A-Za-z0-9_.%?]+")
_RESERVED = frozenset({"and", "or", "not", "in", "like", "with", *SetOperator})
_RELATIONS = {
    Relation.PARENTS: "isparentof:",
    Relation.CHILDREN: "ischildof:",
    Relation.ANCESTORS: "isancestorof:",
    Relation.DESCENDANTS: "isdescendantof:",
}


def dimensions_of(selection: Selection) -> str:
    """Return a selection as dimensions, in one line and with as few parentheses as it takes."""
    match selection:
        case All(parts):
            return " and ".join(_operand(part) for part in parts)
        case Some(parts):
            return " or ".join(_operand(part) for part in parts)
        case Combined(operator, left, right):
            # They are read from the left: only on the right a second one needs parentheses
            before = _operand(left) if isinstance(left, Portion) else dimensions_of(left)
            is_joined = isinstance(right, All | Some)
            after = dimensions_of(right) if is_joined else _operand(right)
            return f"{before} {operator} {after}"
        case Portion(part):
            return f"{dimensions_of(part)} with {_portion(selection)}"
        case _:
            return _operand(selection)


def outline_of(selection: Selection, depth: int = 0) -> list[str]:
    """Return the nodes of a selection, a line each, those that a node is made of below it."""
    match selection:
        case All():
            line = "all of"
        case Some():
            line = "any of"
        case Not():
            line = "none of"
        case Related(relation):
            line = _RELATIONS[relation]
        case Combined(operator):
            line = str(operator)
        case Portion():
            line = f"with {_portion(selection)}"
        case _:
            line = dimensions_of(selection)
    lines = [f"{'  ' * depth}{line}"]
    for child in children_of(selection):
        lines += outline_of(child, depth + 1)
    return lines


def _operand(selection: Selection) -> str:
    """Return a selection as it may stand beside `and`, `or` and `minus`, and behind `not`."""
    match selection:
        case Comparison():
            return _comparison(selection)
        case Definition(name):
            return f"defname: {_quoted(name)}"
        case Everything():
            return "file_id > 0"
        case Related(relation, part):
            return f"{_RELATIONS[relation]} ( {dimensions_of(part)} )"
        case Not(part):
            return f"not {_operand(part)}"
        case _:
            return f"( {dimensions_of(selection)} )"


def _comparison(comparison: Comparison) -> str:
    name = described(comparison.field).sam[0]
    if comparison.operator is Operator.IS_THERE:
        return f"{name} %"
    values = ", ".join(_value(value) for value in comparison.values)
    if comparison.operator is Operator.EQUAL:
        return f"{name} {values}"
    return f"{name} {comparison.operator} {values}"


def _value(value: Value | Between) -> str:
    if isinstance(value, Between):
        return f"'{value.first}' - '{value.last}'"
    text = value.text
    if value.is_pattern:
        text = text.replace("*", "%")
    return _quoted(text)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return f'"{text}"' if "'" in text else f"'{text}'"


def _portion(portion: Portion) -> str:
    words = []
    if portion.limit is not None:
        words.append(f"limit {portion.limit}")
    if portion.offset:
        words.append(f"offset {portion.offset}")
    if portion.stride != 1:
        words.append(f"stride {portion.stride}")
    return " ".join(words)
