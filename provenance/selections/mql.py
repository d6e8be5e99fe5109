"""Reads MetaCat's query language, MQL.

For example `children(files from dune:raw) - files where core.data_tier = 'reco'`.

What selects by fields that we hold is read; filters, named queries and conditions on the inside of
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
from jobprov.provenance.selections.fields import field_of_key
from jobprov.provenance.selections.words import SelectionError, Words

_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")"""
    r"""|(?P<word>-?\d[A-Za-z0-9_./$@\-]*|[A-Za-z0-9_./$@%][A-Za-z0-9_./$@%\-]*)"""
    r"""|(?P<sign><=|>=|!=|==|!~\*|!~|~\*|~|[=<>!()\[\]{},:*?\-])"""
)
_ORDERS = ("<", "<=", ">", ">=")
_RELATIONS = {"parents": Relation.PARENTS, "children": Relation.CHILDREN}
_SETS = {"union": SetOperator.UNION, "join": SetOperator.INTERSECT}
_QUERIES = frozenset({"files", "file", "fids", "fid", "filter", *_RELATIONS, *_SETS})
"""How a query begins."""
_BRACKETS = {"[": ("]", SetOperator.UNION), "{": ("}", SetOperator.INTERSECT)}
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
    words = Words(text, _TOKEN)
    selection = _files(words, _Context(home, namespace or home))
    words.expect_end()
    return selection


def read_dataset_query(text: str, *, home: str, namespace: str | None = None) -> list[Did] | None:
    """Return the datasets that a query is about; None where it is about files.

    Names may hold `%` for any characters, behind `matching`.

    Raises:
        SelectionError: it cannot be read; the message says where.
    """
    words = Words(text, _TOKEN)
    if not words.takes_word("datasets"):
        return None
    datasets = _datasets(words, _Context(home, namespace or home))
    words.expect_end()
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


def selection_of_file(did: Did, *, home: str) -> Selection:
    """Return the selection of one file by its namespace and name."""
    name = Comparison("file_name", Operator.EQUAL, (Value(did.name),))
    return all_of([name, _in_namespace(did.namespace, home)])


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


def _files(words: Words, context: _Context) -> Selection:
    left = _filtered(words, context)
    while words.takes_sign("-"):
        words.count_set_operation()
        left = Combined(SetOperator.MINUS, left, _filtered(words, context))
    return left


def _filtered(words: Words, context: _Context) -> Selection:
    """Return some files with what stands behind them: where, limit, skip, ordered."""
    selection = _some_files(words, context)
    while True:
        if words.takes_word("where"):
            selection = all_of([selection, _conditions(words, context)])
        elif words.takes_word("limit"):
            selection = Portion(selection, words.expect_number("limit"))
        elif words.takes_word("skip"):
            selection = Portion(selection, None, words.expect_number("skip"))
        elif not words.takes_word("ordered"):  # they always are, by their ids
            return selection


def _some_files(words: Words, context: _Context) -> Selection:
    if words.is_word(*_RELATIONS) and words.after_next().text == "(":
        return _relation(words, context)
    if words.is_word(*_SETS) and words.after_next().text == "(":
        operator = _SETS[words.take().text.lower()]
        words.take()
        return _joined(words, context, operator, ")")
    if words.is_sign("[", "{"):
        closing, operator = _BRACKETS[words.take().text]
        return _joined(words, context, operator, closing)
    if words.is_sign("("):
        return read_group(words, partial(_files, context=context))
    if words.takes_word("fid") or words.takes_word("fids"):
        return _numbered(words)
    if words.is_word("files", "file"):
        words.take()
        return _named_files(words, context)
    raise words.unexpected("files, parents(, children(, union(, join( or fids")


def _relation(words: Words, context: _Context) -> Selection:
    relation = _RELATIONS[words.take().text.lower()]
    words.take()
    words.count_term()
    words.enter_relation()
    part = _files(words, context)
    words.leave_relation()
    words.expect_sign(")", " to close the parenthesis")
    return Related(relation, part)


def _joined(words: Words, context: _Context, operator: SetOperator, closing: str) -> Selection:
    words.enter()
    joined = _files(words, context)
    while words.takes_sign(","):
        words.count_set_operation()
        joined = Combined(operator, joined, _files(words, context))
    words.leave()
    words.expect_sign(closing, " to close the list")
    return joined


def _numbered(words: Words) -> Selection:
    numbers = [Value(words.expect_text("a file id"))]
    while _takes_comma(words):
        numbers.append(Value(words.expect_text("a file id")))
    words.count_term(len(numbers))
    return Comparison("file_id", Operator.EQUAL, tuple(numbers))


def _named_files(words: Words, context: _Context) -> Selection:
    """Return what stands behind `files`: nothing, `from` datasets, or names."""
    if words.takes_word("from"):
        words.takes_word("datasets")
        datasets = _datasets(words, context)
        return some_of([selection_of_dataset(dataset, home=context.home) for dataset in datasets])
    if words.is_word("selected"):
        raise words.error("there are no named queries here", words.next.start)
    is_name = words.next.kind in ("word", "quoted")
    if not is_name or words.is_word("where", "limit", "skip", "ordered"):
        return Everything()
    files = [_did(words, context)]
    while _takes_comma(words):
        files.append(_did(words, context))
    words.count_term(len(files))
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


def _datasets(words: Words, context: _Context) -> list[Did]:
    datasets = [_dataset(words, context)]
    while _takes_comma(words):
        datasets.append(_dataset(words, context))
    words.count_term(len(datasets))
    return datasets


def _dataset(words: Words, context: _Context) -> Did:
    """Return a dataset; that its subsets count is true of every campaign."""
    if words.takes_word("matching") and words.is_word("regexp"):
        raise words.error("datasets are matched by % and _ alone", words.next.start)
    did = _did(words, context)
    if words.is_word("with") and words.after_next().text.lower() == "subsets":
        words.take()
        words.take()
        words.takes_word("recursively")
    if words.is_word("having"):
        raise words.error("datasets have no metadata here", words.next.start)
    return did


def _takes_comma(words: Words) -> bool:
    """Return whether a list of names goes on, and take its comma if it does.

    Within union( and join( a comma may also lead to the next query.
    """
    if not words.is_sign(","):
        return False
    first, second = words.after_next(), words.after_next(2)
    is_query = first.kind == "sign" or (
        first.kind == "word" and first.text.lower() in _QUERIES and second.text != ":"
    )
    return not is_query and words.takes_sign(",")


def _did(words: Words, context: _Context) -> Did:
    first = words.expect_text("a name, as namespace:name")
    if not words.takes_sign(":"):
        return Did(context.namespace, first)
    return Did(first, words.expect_text("the name behind the namespace"))


def _conditions(words: Words, context: _Context) -> Selection:
    return read_alternatives(words, partial(_condition, context=context))


def _condition(words: Words, context: _Context) -> Selection:
    return read_negatable(
        words,
        "!",
        within_group=partial(_conditions, context=context),
        comparison=partial(_comparison, context=context),
    )


def _comparison(words: Words, context: _Context) -> Selection:
    token = words.next
    if token.kind != "word":
        raise words.unexpected("a key such as core.data_tier")
    words.take()
    field = field_of_key(token.text)
    if field is None:
        raise words.error(
            f"files cannot be selected by {token.text!r} here; the reference page "
            "“Answers for catalog clients” names the keys by which they can",
            token.start,
        )
    comparison = _compared(words, field)
    if field == "namespace":
        return _with_home(comparison, context.home)
    return comparison


def _compared(words: Words, field: str) -> Selection:
    """Return the comparison that stands behind a key."""
    words.count_term()
    is_negated = words.takes_word("not")
    if words.takes_word("present"):
        there = Comparison(field, Operator.IS_THERE)
        return Not(there) if is_negated else there
    if words.takes_word("in"):
        among = Comparison(field, Operator.EQUAL, tuple(_among(words, field)))
        return Not(among) if is_negated else among
    if is_negated:
        raise words.unexpected("in or present")
    token = words.take()
    if token.kind != "sign":
        raise words.error(f"an operator was expected, and {token.text!r} stands there", token.start)
    if token.text in ("=", "=="):
        return Comparison(field, Operator.EQUAL, (Value(_constant(words, field)),))
    if token.text == "!=":
        return Comparison(field, Operator.UNEQUAL, (Value(_constant(words, field)),))
    if token.text in _ORDERS:
        return Comparison(field, Operator(token.text), (Value(_constant(words, field)),))
    if token.text in ("~", "!~"):
        operator = Operator.EQUAL if token.text == "~" else Operator.UNEQUAL
        return Comparison(field, operator, (_matching(words, field),))
    raise words.error(f"{token.text!r} is no operator that is answered", token.start)


def _among(words: Words, field: str) -> list[Value | Between]:
    """Return the values of `(a, b)` or of the range `a:b`."""
    if not words.takes_sign("("):
        first = _constant(words, field)
        words.expect_sign(":", " between the ends of the range")
        return [Between(first, _constant(words, field))]
    values: list[Value | Between] = [Value(_constant(words, field))]
    while words.takes_sign(","):
        values.append(Value(_constant(words, field)))
    words.expect_sign(")", " behind the values")
    words.count_term(len(values))
    return values


def _constant(words: Words, field: str) -> str:
    """Return a literal as text: of a date what stands in it."""
    if words.is_word("date", "datetime") and words.after_next().text == "(":
        words.take()
        words.take()
        text = words.expect_text("a time")
        if words.takes_sign(","):
            words.expect_text("a time zone")
        words.expect_sign(")")
        return text
    return words.expect_text(f"a value of {field}")


def _matching(words: Words, field: str) -> Value:
    """Return the pattern that a simple regular expression stands for; it may match anywhere."""
    start = words.next.start
    expression = _constant(words, field)
    is_whole_start, is_whole_end = expression.startswith("^"), expression.endswith("$")
    inside = expression.removeprefix("^").removesuffix("$")
    if not _SIMPLE_EXPRESSION.fullmatch(inside):
        raise words.error("of regular expressions only ^, $, . and .* are answered", start)
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
