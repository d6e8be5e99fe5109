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
    nodes_of,
)
from jobprov.provenance.selections.fields import (
    FIELDS,
    METADATA,
    NUMBER,
    TEXT,
    TIME,
    described,
    field_of_dimension,
)
from jobprov.provenance.selections.tokens import SelectionError, Token, Tokens

_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")|(?P<word>[A-Za-z0-9_.%?+\-*]+)|(?P<sign><=|>=|!=|[=<>(),:])"""
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+\-]*")
_NUMBER = r"-?\d+(?:\.\d+)?"
_DAY = r"\d\d-[A-Za-z]{3}-(?:\d{4}|\d\d)"
_DATE = rf"(?:\d{{4}}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?|{_DAY})"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RANGE = re.compile(rf"({_DATE}|{_NUMBER})-({_DATE}|{_NUMBER})")
_RELATIONS = {
    "isparentof": Relation.PARENTS,
    "ischildof": Relation.CHILDREN,
    "isancestorof": Relation.ANCESTORS,
    "isdescendantof": Relation.DESCENDANTS,
}
_RUNS = field_of_dimension("run_number")
_SPECIAL = {
    "CATEGORY.KEY": "Other metadata, as a catalog, a transfer service or a record told them.",
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
    tokens = Tokens(text, _TOKEN)
    if tokens.next.kind == "end":
        raise tokens.error("there are no dimensions", 0)
    selection = _expression(tokens)
    tokens.expect_end()
    return selection


def described_dimensions() -> list[tuple[str, str]]:
    """Return the names that dimensions may have, each with its meaning."""
    fields = [*FIELDS.values(), *METADATA.values()]
    dimensions = [(field.sam[0], field.meaning) for field in fields if field.sam]
    return sorted(dimensions) + list(_SPECIAL.items())


def _expression(tokens: Tokens) -> Selection:
    selection = _set_operations(tokens)
    while tokens.takes_word("with"):
        selection = _portion(tokens, selection)
    return selection


def _portion(tokens: Tokens, selection: Selection) -> Selection:
    """Return the part of a selection that stands behind `with`.

    Where files are does not matter here, so all that is said of availability holds.
    """
    limit, offset, stride = None, 0, 1
    while tokens.next.kind == "word" and not tokens.is_word("with", *SetOperator):
        if tokens.takes_word("limit"):
            limit = tokens.expect_number("limit")
        elif tokens.takes_word("offset"):
            offset = tokens.expect_number("offset")
        elif tokens.takes_word("stride"):
            stride = max(1, tokens.expect_number("stride"))
        elif tokens.takes_word("availability"):
            _skip_availability(tokens)
        else:
            raise tokens.unexpected("limit, offset, stride or availability")
    if limit is None and offset == 0 and stride == 1:
        return selection
    return Portion(selection, limit, offset, stride)


def _set_operations(tokens: Tokens) -> Selection:
    left = read_alternatives(tokens, _condition)
    while tokens.is_word(*SetOperator):
        operator = SetOperator(tokens.take().text.lower())
        tokens.count_set_operation()
        left = Combined(operator, left, read_alternatives(tokens, _condition))
    return left


def _condition(tokens: Tokens) -> Selection | None:
    """Return a condition; None for `availability:`, which every file meets."""
    if tokens.is_word("availability") and _has_colon(tokens):
        tokens.take()
        tokens.take()
        _skip_availability(tokens)
        return None
    return read_negatable(tokens, "not", within_group=_expression, comparison=_constraint)


def _constraint(tokens: Tokens) -> Selection:
    token = tokens.next
    if token.kind != "word" or _NAME.fullmatch(token.text) is None:
        raise tokens.unexpected("a name such as file_name")
    if _has_colon(tokens):
        return _relation(tokens)
    tokens.take()
    field = field_of_dimension(token.text)
    if field is None:
        raise _unknown_dimension(tokens, token)
    comparison = _comparison(tokens, field)
    if field == _RUNS:
        _refuse_subruns(tokens, token, comparison)
    return comparison


def _unknown_dimension(tokens: Tokens, token: Token) -> SelectionError:
    """Return that a dimension is not known, and what there is in its place."""
    name = token.text.lower()
    if name == "defname":
        advice = "write defname: NAME"
    elif name.startswith(("snapshot_", "dataset_def_")):
        advice = (
            "there are no snapshots here; defname: NAME selects what a task or campaign made, "
            "snapshot_for_project_name NAME what the jobs of a task read"
        )
    else:
        advice = "`samweb list-files --help-dimensions` names those that there are"
    return tokens.error(f"there is no dimension {token.text!r}; {advice}", token.start)


def _refuse_subruns(tokens: Tokens, token: Token, comparison: Selection) -> None:
    """Refuse `run_number 5141.2`: no file would be found by it, and none is meant."""
    values = [value for node in nodes_of(comparison) for value in _texts_of(node)]
    if any("." in value for value in values):
        raise tokens.error(
            "files are selected by runs, not by subruns: run_number 5141", token.start
        )


def _texts_of(node: Selection) -> list[str]:
    """Return what a comparison compares with, both ends of ranges."""
    texts: list[str] = []
    if isinstance(node, Comparison):
        for value in node.values:
            texts += [value.first, value.last] if isinstance(value, Between) else [value.text]
    return texts


def _relation(tokens: Tokens) -> Selection:
    token = tokens.take()
    tokens.take()
    name = token.text.lower()
    if name == "defname":
        tokens.count_term()
        return Definition(tokens.expect_text("the name of a definition"))
    if name not in _RELATIONS:
        known = ", ".join(f"{name}:" for name in ("defname", *_RELATIONS))
        raise tokens.error(f"{token.text}: means nothing; there are {known}", token.start)
    tokens.count_term()
    tokens.enter_relation()
    part = read_group(tokens, _expression)
    tokens.leave_relation()
    return Related(_RELATIONS[name], part)


def _comparison(tokens: Tokens, field: str) -> Selection:
    if tokens.is_sign("<", "<=", ">", ">="):
        order = Operator(tokens.take().text)
        tokens.count_term()
        return Comparison(field, order, (_one_value(tokens, field),))
    is_negated = tokens.is_word("not") and tokens.after_next().text.lower() in ("in", "like")
    if is_negated:
        tokens.take()
    operator = Operator.EQUAL
    if tokens.is_word("in", "like") and tokens.after_next().kind != "end":
        tokens.take()
    else:
        if tokens.takes_sign("!="):
            operator = Operator.UNEQUAL
        tokens.takes_sign("=")
    values = _list_in_parentheses(tokens, field)
    tokens.count_term(len(values))
    comparison = Comparison(field, operator, tuple(values))
    return Not(comparison) if is_negated else comparison


def _one_value(tokens: Tokens, field: str) -> Value:
    """Return the one value after an ordering operator; `*` and `?` have no meaning in it."""
    values = _list_in_parentheses(tokens, field)
    if len(values) != 1 or isinstance(values[0], Between):
        raise tokens.error(
            "one value is compared by <, <=, > and >=, no list and no range", tokens.next.start
        )
    return Value(values[0].text)


def _list_in_parentheses(tokens: Tokens, field: str) -> list[Value | Between]:
    if not tokens.takes_sign("("):
        return _values(tokens, field)
    values = _values(tokens, field)
    tokens.expect_sign(")", " behind the values")
    return values


def _values(tokens: Tokens, field: str) -> list[Value | Between]:
    values = [_value(tokens, field)]
    while tokens.takes_sign(","):
        values.append(_value(tokens, field))
    return values


def _value(tokens: Tokens, field: str) -> Value | Between:
    value = _written_value(tokens, field)
    if described(field).kind != TIME:
        return value
    if isinstance(value, Between):
        return Between(_iso_day(value.first), _iso_day(value.last))
    return Value(_iso_day(value.text), is_pattern=value.is_pattern)


def _iso_day(text: str) -> str:
    """Return a day such as 02-Jul-2018 or 02-Jul-18, which SAM takes, as 2018-07-02."""
    if re.fullmatch(_DAY, text) is None:
        return text
    day, month, year = text.split("-")
    if month.lower() not in _MONTHS:
        return text
    full_year = year if len(year) == len("2018") else f"20{year}"
    return f"{full_year}-{_MONTHS.index(month.lower()) + 1:02}-{day}"


def _written_value(tokens: Tokens, field: str) -> Value | Between:
    token = tokens.next
    if token.kind not in ("word", "quoted"):
        raise tokens.unexpected(f"a value of {field}")
    tokens.take()
    if token.kind == "word" and described(field).kind != TEXT:
        ends = _RANGE.fullmatch(token.text)
        # A date has hyphens too
        if ends is not None and re.fullmatch(_DATE, token.text) is None:
            return Between(ends[1], ends[2])
    return _spaced_range(tokens, token.text) or _pattern(token.text, field)


def _spaced_range(tokens: Tokens, first: str) -> Between | None:
    """Return the range of `'a' - 'b'`, `1 - 5`, `1- 5` or `1 -5`, None where there is none."""
    token = tokens.next
    if token.kind != "word" or not token.text.startswith("-"):
        return None
    if token.text == "-":
        tokens.take()
        last = tokens.take()
        if last.kind not in ("word", "quoted"):
            raise tokens.unexpected("the end of the range")
        return Between(first, last.text)
    if re.fullmatch(rf"-(?:{_DATE}|{_NUMBER})", token.text):
        return Between(first, tokens.take().text[1:])
    return None


def _pattern(text: str, field: str) -> Value:
    """Return a value in which `%` and `?` are wildcards, as `*` and `?` are here."""
    if described(field).kind == NUMBER or not set("%?") & set(text):
        return Value(text)
    return Value(text.replace("%", "*"), is_pattern=True)


def _skip_availability(tokens: Tokens) -> None:
    is_enclosed = tokens.takes_sign("(")
    tokens.expect_text("an availability")
    while tokens.takes_sign(","):
        tokens.expect_text("an availability")
    if is_enclosed:
        tokens.expect_sign(")")


def _has_colon(tokens: Tokens) -> bool:
    following = tokens.after_next()
    return following.kind == "sign" and following.text == ":"
