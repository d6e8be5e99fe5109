"""Reads MetaCat's query language, MQL.

For example `children(files from dune:raw) - files where core.data_tier = 'reco'`.

What selects by fields that we hold is read; filters, named queries and conditions on all members of
lists are refused. Of regular expressions `^`, `$`, `.`, `.*` and escaped letters are understood.

Source: the grammar of MetaCat's server (metacat/mql/grammar).
"""

import re
from functools import partial
from typing import NamedTuple

from jobprov.provenance.selections.boolean import read_alternatives, read_group, read_negatable
from jobprov.provenance.selections.conditions import (
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
    Value,
    all_of,
    some_of,
)
from jobprov.provenance.selections.fields import field_of_key, field_of_member, key_in_metadata
from jobprov.provenance.selections.tokens import SelectionError, Token, Tokens

_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")"""
    r"""|(?P<word>-?\d[A-Za-z0-9_./$@\-]*|[A-Za-z0-9_./$@%][A-Za-z0-9_./$@%\-]*)"""
    r"""|(?P<sign><=|>=|!=|==|!~\*|!~|~\*|~|[=<>!()\[\]{},:*?\-])"""
)
_OPERATORS = {
    "=": Operator.EQUAL,
    "==": Operator.EQUAL,
    "!=": Operator.UNEQUAL,
    "<": Operator.LESS,
    "<=": Operator.LESS_OR_EQUAL,
    ">": Operator.GREATER,
    ">=": Operator.GREATER_OR_EQUAL,
}
_MATCHING_OPERATORS = {"~": Operator.EQUAL, "!~": Operator.UNEQUAL}
"""Behind these stands a regular expression."""
_RELATIONS = {"parents": Relation.PARENTS, "children": Relation.CHILDREN}
_SETS = {"union": SetOperator.UNION, "join": SetOperator.INTERSECT}
_QUERIES = frozenset({"files", "file", "fids", "fid", "filter", *_RELATIONS, *_SETS})
"""How a query begins."""
_BRACKETS = {"[": ("]", SetOperator.UNION), "{": ("}", SetOperator.INTERSECT)}
_PLACE = re.compile(r"[0-9]{1,9}")
_MEMBER = re.compile(r"[A-Za-z0-9_.:@/ -]{1,200}")
_SIMPLE_EXPRESSION = re.compile(r"(?:\\[^A-Za-z0-9]|\.\*|\.|[^\\.^$*+?()\[\]{}|])*")
_PART_OF_EXPRESSION = re.compile(r"\\(.)|(\.\*)|(\.)|([^\\])", re.DOTALL)


class Did(NamedTuple):
    """What names a file or dataset: its namespace and name."""

    namespace: str
    name: str


class _Context(NamedTuple):
    """What a query leaves out.

    Attributes:
        home: the namespace of tasks and campaigns, and of files without one.
        namespace: of names without one.
    """

    home: str
    namespace: str


def read_mql(text: str, *, home: str, namespace: str | None = None) -> Selection:
    """Return the selection that a query for files describes.

    Args:
        text: the query.
        home: the namespace of files that have none of their own.
        namespace: the one of names that are written without; `home` where it is not given.

    Raises:
        SelectionError: it cannot be read; the message says where.
    """
    tokens = Tokens(text, _TOKEN)
    selection = _files(tokens, _Context(home, namespace or home))
    tokens.expect_end()
    return selection


def read_dataset_query(text: str, *, home: str, namespace: str | None = None) -> list[Did] | None:
    """Return the datasets that a query is about; None where it is about files.

    Names may hold `%` for any characters, behind `matching`.

    Raises:
        SelectionError: it cannot be read; the message says where.
    """
    tokens = Tokens(text, _TOKEN)
    if not tokens.takes_word("datasets"):
        return None
    datasets = _datasets(tokens, _Context(home, namespace or home))
    tokens.expect_end()
    return datasets


def read_did(text: str, *, home: str) -> Did:
    """Return what a DID names.

    Raises:
        SelectionError: it is empty.
    """
    namespace, separator, name = text.partition(":")
    if not name:
        if separator or not namespace:
            raise SelectionError(f"{text[:80]!r} names nothing; a DID is namespace:name.")
        return Did(home, namespace)
    return Did(namespace, name)


def selection_of_dataset(did: Did, *, home: str) -> Selection:
    """Return the files of a dataset; in another namespace than `home`, those of them in it."""
    if did.namespace == home:
        return Definition(did.name)
    return all_of([Definition(did.name), _in_namespace(did.namespace, home)])


def _in_namespace(namespace: str, home: str) -> Comparison:
    """Return the condition that files are in a namespace; those without one are at home."""
    values = [Value(namespace)]
    if namespace == home:
        values.append(Value(""))
    return Comparison("namespace", Operator.EQUAL, tuple(values))


def _files(tokens: Tokens, context: _Context) -> Selection:
    left = _filtered(tokens, context)
    while tokens.takes_sign("-"):
        tokens.count_set_operation()
        left = Combined(SetOperator.MINUS, left, _filtered(tokens, context))
    return left


def _filtered(tokens: Tokens, context: _Context) -> Selection:
    """Return some files with what stands behind them: where, limit, skip, ordered."""
    selection = _some_files(tokens, context)
    while True:
        if tokens.takes_word("where"):
            selection = all_of([selection, _conditions(tokens, context)])
        elif tokens.takes_word("limit"):
            selection = Portion(selection, tokens.expect_number("limit"))
        elif tokens.takes_word("skip"):
            selection = Portion(selection, None, tokens.expect_number("skip"))
        elif not tokens.takes_word("ordered"):  # they always are, by their ids
            return selection


def _some_files(tokens: Tokens, context: _Context) -> Selection:
    if tokens.is_word(*_RELATIONS) and tokens.after_next().text == "(":
        return _relation(tokens, context)
    if tokens.is_word(*_SETS) and tokens.after_next().text == "(":
        operator = _SETS[tokens.take().text.lower()]
        tokens.take()
        return _joined(tokens, context, operator, ")")
    if tokens.is_sign("[", "{"):
        closing, operator = _BRACKETS[tokens.take().text]
        return _joined(tokens, context, operator, closing)
    if tokens.is_sign("("):
        return read_group(tokens, partial(_files, context=context))
    if tokens.takes_word("fid") or tokens.takes_word("fids"):
        return _numbered(tokens)
    if tokens.is_word("files", "file"):
        tokens.take()
        return _named_files(tokens, context)
    raise tokens.unexpected("files, parents(, children(, union(, join( or fids")


def _relation(tokens: Tokens, context: _Context) -> Selection:
    relation = _RELATIONS[tokens.take().text.lower()]
    tokens.take()
    tokens.count_term()
    tokens.enter_relation()
    part = _files(tokens, context)
    tokens.leave_relation()
    tokens.expect_sign(")", " to close the parenthesis")
    return Related(relation, part)


def _joined(tokens: Tokens, context: _Context, operator: SetOperator, closing: str) -> Selection:
    tokens.enter()
    joined = _files(tokens, context)
    while tokens.takes_sign(","):
        tokens.count_set_operation()
        joined = Combined(operator, joined, _files(tokens, context))
    tokens.leave()
    tokens.expect_sign(closing, " to close the list")
    return joined


def _numbered(tokens: Tokens) -> Selection:
    numbers = [Value(tokens.expect_text("a file id"))]
    while _takes_comma(tokens):
        numbers.append(Value(tokens.expect_text("a file id")))
    tokens.count_term(len(numbers))
    return Comparison("file_id", Operator.EQUAL, tuple(numbers))


def _named_files(tokens: Tokens, context: _Context) -> Selection:
    """Return what stands behind `files`: nothing, `from` datasets, or names."""
    if tokens.takes_word("from"):
        tokens.takes_word("datasets")
        datasets = _datasets(tokens, context)
        return some_of([selection_of_dataset(dataset, home=context.home) for dataset in datasets])
    if tokens.is_word("selected"):
        raise tokens.error("there are no named queries here", tokens.next.start)
    is_name = tokens.next.kind in ("word", "quoted")
    if not is_name or tokens.is_word("where", "limit", "skip", "ordered"):
        return Everything()
    files = [_did(tokens, context)]
    while _takes_comma(tokens):
        files.append(_did(tokens, context))
    tokens.count_term(len(files))
    return _called(files, context)


def _called(files: list[Did], context: _Context) -> Selection:
    """Return the files of these names, as one list of names for each namespace."""
    names: dict[str, list[Value]] = {}
    for did in files:
        names.setdefault(did.namespace, []).append(Value(did.name))
    parts = []
    for namespace, values in names.items():
        called = Comparison("file_name", Operator.EQUAL, tuple(values))
        parts.append(all_of([called, _in_namespace(namespace, context.home)]))
    return some_of(parts)


def _datasets(tokens: Tokens, context: _Context) -> list[Did]:
    datasets = [_dataset(tokens, context)]
    while _takes_comma(tokens):
        datasets.append(_dataset(tokens, context))
    tokens.count_term(len(datasets))
    return datasets


def _dataset(tokens: Tokens, context: _Context) -> Did:
    """Return a dataset. `with subsets` changes nothing: those of a campaign always count."""
    if tokens.takes_word("matching") and tokens.is_word("regexp"):
        raise tokens.error("datasets are matched by % and _ alone", tokens.next.start)
    did = _did(tokens, context)
    if tokens.is_word("with") and tokens.after_next().text.lower() == "subsets":
        tokens.take()
        tokens.take()
        tokens.takes_word("recursively")
    if tokens.is_word("having"):
        raise tokens.error("datasets have no metadata here", tokens.next.start)
    return did


def _takes_comma(tokens: Tokens) -> bool:
    """Return whether a list of names goes on, and take its comma if it does.

    Within union( and join( a comma may also lead to the next query.
    """
    if not tokens.is_sign(","):
        return False
    first, second = tokens.after_next(), tokens.after_next(2)
    if first.kind == "sign":
        return False
    is_word_of_query = first.kind == "word" and first.text.lower() in _QUERIES
    if is_word_of_query and second.text != ":":
        return False
    return tokens.takes_sign(",")


def _did(tokens: Tokens, context: _Context) -> Did:
    first = tokens.expect_text("a name, as namespace:name")
    if not tokens.takes_sign(":"):
        return Did(context.namespace, first)
    return Did(first, tokens.expect_text("the name behind the namespace"))


def _conditions(tokens: Tokens, context: _Context) -> Selection:
    return read_alternatives(tokens, partial(_condition, context=context))


def _condition(tokens: Tokens, context: _Context) -> Selection:
    return read_negatable(
        tokens,
        "!",
        within_group=partial(_conditions, context=context),
        comparison=partial(_comparison, context=context),
    )


def _comparison(tokens: Tokens, context: _Context) -> Selection:
    if tokens.next.kind == "quoted" or _is_value_in(tokens):
        return _contained(tokens)
    token = tokens.next
    if token.kind != "word":
        raise tokens.unexpected("a key such as core.data_tier")
    tokens.take()
    return _compared_key(tokens, token, context)


def _is_value_in(tokens: Tokens) -> bool:
    """Return whether a value stands where a key may, as in `26305 in core.runs`."""
    is_in = tokens.after_next().text.lower() in ("in", "not")
    return is_in and tokens.next.kind == "word" and field_of_key(tokens.next.text) is None


def _contained(tokens: Tokens) -> Selection:
    """Return the condition that a list contains a value, `26305 in core.runs`."""
    tokens.count_term()
    value = Value(tokens.expect_text("a value"))
    is_negated = tokens.takes_word("not")
    if not tokens.takes_word("in"):
        raise tokens.unexpected("in")
    token = tokens.next
    field = field_of_key(tokens.expect_text("a key such as core.runs"))
    if field is None or key_in_metadata(field) is None:
        raise tokens.error(f"{token.text!r} is not a list", token.start)
    contained = Comparison(field, Operator.EQUAL, (value,))
    return Not(contained) if is_negated else contained


def _compared_key(tokens: Tokens, token: Token, context: _Context) -> Selection:
    field = field_of_key(token.text)
    if field is None:
        raise tokens.error(
            f"files cannot be selected by {token.text!r} here; the reference page "
            "“Answers for catalog clients” names the keys by which they can",
            token.start,
        )
    if tokens.takes_sign("["):
        field = _member(tokens, field)
    comparison = _compared(tokens, field)
    if field == "namespace":
        return _with_home(comparison, context.home)
    return comparison


def _member(tokens: Tokens, field: str) -> str:
    """Return the field that `[any]`, `[0]` or `["workflow_id"]` behind a key makes of it."""
    if tokens.takes_word("any"):
        tokens.expect_sign("]", " behind any")
        return field  # any member of a list counts anyway
    token = tokens.next
    member: str | int | None = None
    if token.kind == "quoted" and _MEMBER.fullmatch(token.text):
        member = token.text
    elif token.kind == "word" and _PLACE.fullmatch(token.text):
        member = int(token.text)
    if member is None or key_in_metadata(field) is None:
        raise tokens.error(
            'of a list [any] or one member, [0], is answered, of a dictionary one member, ["key"]',
            token.start,
        )
    tokens.take()
    tokens.expect_sign("]", " behind a member")
    return field_of_member(field, member)


def _compared(tokens: Tokens, field: str) -> Selection:
    """Return the comparison that stands behind a key."""
    tokens.count_term()
    is_negated = tokens.takes_word("not")
    if tokens.takes_word("present"):
        there = Comparison(field, Operator.IS_THERE)
        return Not(there) if is_negated else there
    if tokens.takes_word("in"):
        among = Comparison(field, Operator.EQUAL, tuple(_among(tokens, field)))
        return Not(among) if is_negated else among
    if is_negated:
        raise tokens.unexpected("in or present")
    return _compared_by_sign(tokens, field)


def _compared_by_sign(tokens: Tokens, field: str) -> Selection:
    token = tokens.take()
    if token.kind != "sign":
        raise tokens.error(
            f"an operator was expected, and {token.text!r} stands there", token.start
        )
    if token.text in _OPERATORS:
        constant = Value(_constant(tokens, field))
        return Comparison(field, _OPERATORS[token.text], (constant,))
    if token.text in _MATCHING_OPERATORS:
        pattern = _matching(tokens, field)
        return Comparison(field, _MATCHING_OPERATORS[token.text], (pattern,))
    raise tokens.error(f"{token.text!r} is not an operator that is answered", token.start)


def _among(tokens: Tokens, field: str) -> list[Value | Between]:
    """Return the values of `(a, b)` or of the range `a:b`."""
    if not tokens.takes_sign("("):
        first = _constant(tokens, field)
        tokens.expect_sign(":", " between the ends of the range")
        return [Between(first, _constant(tokens, field))]
    values: list[Value | Between] = [Value(_constant(tokens, field))]
    while tokens.takes_sign(","):
        values.append(Value(_constant(tokens, field)))
    tokens.expect_sign(")", " behind the values")
    tokens.count_term(len(values))
    return values


def _constant(tokens: Tokens, field: str) -> str:
    """Return a literal as text: of a date what stands in it."""
    if tokens.is_word("date", "datetime") and tokens.after_next().text == "(":
        tokens.take()
        tokens.take()
        text = tokens.expect_text("a time")
        if tokens.takes_sign(","):
            tokens.expect_text("a time zone")
        tokens.expect_sign(")")
        return text
    return tokens.expect_text(f"a value of {field}")


def _matching(tokens: Tokens, field: str) -> Value:
    """Return the pattern that a simple regular expression stands for; it may match anywhere."""
    start = tokens.next.start
    expression = _constant(tokens, field)
    is_whole_start, is_whole_end = expression.startswith("^"), expression.endswith("$")
    inside = expression.removeprefix("^").removesuffix("$")
    if not _SIMPLE_EXPRESSION.fullmatch(inside):
        raise tokens.error("of regular expressions only ^, $, . and .* are answered", start)
    text = ""
    for escaped, anything, any_letter, letter in _PART_OF_EXPRESSION.findall(inside):
        if anything:
            text += "*"
        elif any_letter:
            text += "?"
        else:
            text += escaped or letter
    if not is_whole_start:
        text = f"*{text}"
    if not is_whole_end:
        text = f"{text}*"
    return Value(text, is_pattern=True)


def _with_home(comparison: Selection, home: str) -> Selection:
    """Return a comparison of namespaces in which files without one count as being at home."""
    if isinstance(comparison, Not):
        return Not(_with_home(comparison.part, home))
    if not isinstance(comparison, Comparison):
        return comparison
    if comparison.operator not in (Operator.EQUAL, Operator.UNEQUAL):
        return comparison
    if Value(home) not in comparison.values:
        return comparison
    return Comparison(comparison.field, comparison.operator, (*comparison.values, Value("")))
