"""Reads SAM's dimensions.

For example `data_tier reco and isparentof: (file_name x%) minus defname: y with limit 5`.

As in SAM, an operator that is left out is equality, names count in any case, `%` and `?` are
wildcards, `with` applies to all that stands before it, and `minus`, `union` and `intersect` bind
less than `or`. More than SAM, isancestorof and isdescendantof may be mixed with any other relation,
and quoted values may hold any character.

Source: the grammar of SAM's own parser, as MetaCat's converter of dimensions has it.
"""

import re

from jobprov.provenance.selections.boolean import read_alternatives, read_group, read_negatable
from jobprov.provenance.selections.conditions import (
    Between,
    Combined,
    Comparison,
    Definition,
    Not,
    Operator,
    Portion,
    Related,
    Relation,
    Selection,
    SetOperator,
    Value,
)
from jobprov.provenance.selections.fields import FIELDS, NUMBER, TEXT, field_of_dimension
from jobprov.provenance.selections.words import Words

_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")|(?P<word>[A-Za-z0-9_.%?+\-*]+)|(?P<sign><=|>=|!=|[=<>(),:])"""
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+\-]*")
_NUMBER = r"-?\d+(?:\.\d+)?"
_DATE = r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?"
_RANGE = re.compile(rf"({_DATE}|{_NUMBER})-({_DATE}|{_NUMBER})")
_RELATIONS = {
    "isparentof": Relation.PARENTS,
    "ischildof": Relation.CHILDREN,
    "isancestorof": Relation.ANCESTORS,
    "isdescendantof": Relation.DESCENDANTS,
}
_SPECIAL = {
    "defname:": "Files that a task or campaign made; it is the definition of that name.",
    "isparentof: ( )": "Files from which a file of the selection was made.",
    "ischildof: ( )": "Files that were made from a file of the selection.",
    "isancestorof: ( )": "The same as isparentof, over any number of steps.",
    "isdescendantof: ( )": "The same as ischildof, over any number of steps.",
    "with limit N": "At most N of the files.",
    "with offset N": "Without the first N.",
    "with stride N": "Each Nth.",
}


def read_dimensions(text: str) -> Selection:
    """Return the selection that dimensions describe.

    Raises:
        SelectionError: they cannot be read; the message says where.
    """
    words = Words(text, _TOKEN)
    if words.next.kind == "end":
        raise words.error("there are no dimensions", 0)
    selection = _expression(words)
    words.expect_end()
    return selection


def described_dimensions() -> list[tuple[str, str]]:
    """Return the names that dimensions may have, each with its meaning."""
    described = [(field.sam[0], field.meaning) for field in FIELDS.values() if field.sam]
    return sorted(described) + list(_SPECIAL.items())


def _expression(words: Words) -> Selection:
    selection = _set_operations(words)
    while words.takes_word("with"):
        selection = _portion(words, selection)
    return selection


def _portion(words: Words, selection: Selection) -> Selection:
    """Return the part of a selection that stands behind `with`.

    Where files are does not matter here, so all that is said of availability holds.
    """
    limit, offset, stride = None, 0, 1
    while words.next.kind == "word" and not words.is_word("with", *SetOperator):
        if words.takes_word("limit"):
            limit = words.expect_number("limit")
        elif words.takes_word("offset"):
            offset = words.expect_number("offset")
        elif words.takes_word("stride"):
            stride = max(1, words.expect_number("stride"))
        elif words.takes_word("availability"):
            _skip_availability(words)
        else:
            raise words.unexpected("limit, offset, stride or availability")
    if limit is None and offset == 0 and stride == 1:
        return selection
    return Portion(selection, limit, offset, stride)


def _set_operations(words: Words) -> Selection:
    left = read_alternatives(words, _condition)
    while words.is_word(*SetOperator):
        operator = SetOperator(words.take().text.lower())
        words.count_set_operation()
        left = Combined(operator, left, read_alternatives(words, _condition))
    return left


def _condition(words: Words) -> Selection | None:
    """Return a condition; None for `availability:`, which every file meets."""
    if words.is_word("availability") and _has_colon(words):
        words.take()
        words.take()
        _skip_availability(words)
        return None
    return read_negatable(words, "not", within_group=_expression, comparison=_constraint)


def _constraint(words: Words) -> Selection:
    token = words.next
    if token.kind != "word" or _NAME.fullmatch(token.text) is None:
        raise words.unexpected("a name such as file_name")
    if _has_colon(words):
        return _relation(words)
    words.take()
    field = field_of_dimension(token.text)
    if field is None:
        raise words.error(
            f"there is no dimension {token.text!r}; "
            "`samweb list-files --help-dimensions` names those that there are",
            token.start,
        )
    return _comparison(words, field)


def _relation(words: Words) -> Selection:
    token = words.take()
    words.take()
    name = token.text.lower()
    if name == "defname":
        words.count_term()
        return Definition(words.expect_text("the name of a definition"))
    if name not in _RELATIONS:
        known = ", ".join(f"{name}:" for name in ("defname", *_RELATIONS))
        raise words.error(f"{token.text}: means nothing; there are {known}", token.start)
    words.count_term()
    words.enter_relation()
    part = read_group(words, _expression)
    words.leave_relation()
    return Related(_RELATIONS[name], part)


def _comparison(words: Words, field: str) -> Selection:
    is_negated = words.is_word("not") and words.after_next().text.lower() in ("in", "like")
    if is_negated:
        words.take()
    if words.is_word("in", "like") and words.after_next().kind != "end":
        words.take()
        operator = Operator.EQUAL
    elif words.is_sign("<", "<=", ">", ">="):
        operator = Operator(words.take().text)
        words.count_term()
        value = Value(_in_parentheses(words, field)[0].text)
        return Comparison(field, operator, (value,))
    else:
        operator = Operator.UNEQUAL if words.takes_sign("!=") else Operator.EQUAL
        words.takes_sign("=")
    values = _list_in_parentheses(words, field)
    words.count_term(len(values))
    comparison = Comparison(field, operator, tuple(values))
    return Not(comparison) if is_negated else comparison


def _in_parentheses(words: Words, field: str) -> list[Value]:
    """Return the one value that stands behind an operator of order."""
    values = _list_in_parentheses(words, field)
    if len(values) != 1 or isinstance(values[0], Between):
        raise words.error(
            "one value is compared by <, <=, > and >=, no list and no range", words.next.start
        )
    return [values[0]]


def _list_in_parentheses(words: Words, field: str) -> list[Value | Between]:
    if not words.takes_sign("("):
        return _values(words, field)
    values = _values(words, field)
    words.expect_sign(")", " behind the values")
    return values


def _values(words: Words, field: str) -> list[Value | Between]:
    values = [_value(words, field)]
    while words.takes_sign(","):
        values.append(_value(words, field))
    return values


def _value(words: Words, field: str) -> Value | Between:
    token = words.next
    if token.kind not in ("word", "quoted"):
        raise words.unexpected(f"a value of {field}")
    words.take()
    if token.kind == "word" and FIELDS[field].kind != TEXT:
        ends = _RANGE.fullmatch(token.text)
        # A date has hyphens too
        if ends is not None and re.fullmatch(_DATE, token.text) is None:
            return Between(ends[1], ends[2])
    return _spaced_range(words, token.text) or _pattern(token.text, field)


def _spaced_range(words: Words, first: str) -> Between | None:
    """Return the range of `'a' - 'b'`, `1 - 5`, `1- 5` or `1 -5`, None where there is none."""
    token = words.next
    if token.kind != "word" or not token.text.startswith("-"):
        return None
    if token.text == "-":
        words.take()
        last = words.take()
        if last.kind not in ("word", "quoted"):
            raise words.unexpected("the end of the range")
        return Between(first, last.text)
    if re.fullmatch(rf"-(?:{_DATE}|{_NUMBER})", token.text):
        return Between(first, words.take().text[1:])
    return None


def _pattern(text: str, field: str) -> Value:
    """Return a value in which `%` and `?` are wildcards, as `*` and `?` are here."""
    if FIELDS[field].kind == NUMBER or not set("%?") & set(text):
        return Value(text)
    return Value(text.replace("%", "*"), is_pattern=True)


def _skip_availability(words: Words) -> None:
    is_enclosed = words.takes_sign("(")
    words.expect_text("an availability")
    while words.takes_sign(","):
        words.expect_text("an availability")
    if is_enclosed:
        words.expect_sign(")")


def _has_colon(words: Words) -> bool:
    following = words.after_next()
    return following.kind == "sign" and following.text == ":"
