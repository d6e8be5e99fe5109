"""Reads filters on parameters: `physics.producers.slicer.threshold` and `<5` become a condition."""

import re

from jobprov.provenance.db.queries.configurations.parameter_values import (
    OF_TEXT,
    ParameterCondition,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.recording.configurations.parameters import (
    indexed_key,
    indexed_text,
    number_in,
)
from jobprov.provenance.db.recording.configurations.physics_variables import variable_key
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import FhiclError, loads
from jobprov.provenance.fhicl.canonical_atoms import NotCanonicalError, canonical_single

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
_KEY = re.compile(r"[\w.\[\]*]+", re.ASCII)
_VARIABLE = re.compile(r"\s*(\w+)\s*((?:[=!~].*)?)", re.ASCII | re.DOTALL)
_NAME = "value"


def read_condition(parameter: str | None, value: str | None) -> ParameterCondition | None:
    """Return the condition that a key and a value express; None without a key.

    In the key `*` stands for any letters. Before the value may stand an operator; values are those
    of FHiCL: `5`, `0x10`, `true`, `@nil`, `"quoted"`, `[1, 2, 3]`; anything else is a string.
    Behind `~` stands a string with `*` for any letters and `?` for one.

    Raises:
        BadInputError: a key, an operator or a value cannot be read, or a value has no key.
    """
    if parameter is None:
        if value is not None:
            raise BadInputError.of_field(
                "value", "say of which parameter: parameter=physics.producers.x.y"
            )
        return None
    key = _read_key(parameter)
    if value is None:
        return ParameterCondition(key)
    operator, text = _read_value(value)
    if operator == "~":
        return ParameterCondition(key, operator, _string(_unquoted(text)))
    canonical = _canonical(text)
    number = number_in(canonical)
    if operator[0] in "<>" and number is None:
        raise BadInputError.of_field(
            "value", f"{operator} compares numbers, and {text[:60]!r} is none"
        )
    return ParameterCondition(key, operator, indexed_text(canonical), number or 0.0)


def read_conditions(filters: JobFilters) -> list[ParameterCondition]:
    """Return the conditions on a parameter and on a variable; of jobs, both have to hold.

    Raises:
        BadInputError: one cannot be read.
    """
    on_parameter = read_condition(filters.parameter, filters.value)
    on_variable = read_variable(filters.variable)
    return [condition for condition in (on_parameter, on_variable) if condition is not None]


def read_variable(variable: str | None) -> ParameterCondition | None:
    """Return the condition on a variable of the environment; None without one.

    It is asked for as `NAME=VALUE`, with != or ~ in place of =, or by its name alone.

    Raises:
        BadInputError: it cannot be read.
    """
    if variable is None:
        return None
    match = _VARIABLE.fullmatch(variable)
    if match is None:
        raise BadInputError.of_field("variable", f"{variable[:60]!r} is not NAME=VALUE")
    key = variable_key(match[1])
    if not match[2]:
        return ParameterCondition(key)
    operator, text = _read_value(match[2])
    if operator not in OF_TEXT:
        raise BadInputError.of_field(
            "variable", f"{operator} compares numbers; known are {' '.join(OF_TEXT)}"
        )
    text = _string(_unquoted(text))
    return ParameterCondition(key, operator, text if operator == "~" else indexed_text(text))


def _read_key(parameter: str) -> str:
    if not _KEY.fullmatch(parameter):
        raise BadInputError.of_field(
            "parameter",
            f"{parameter[:60]!r} is not a key; write a.b.c or a.b[2], with * for any letters",
        )
    return parameter if "*" in parameter else indexed_key(parameter)


def _read_value(value: str) -> tuple[str, str]:
    """Return the operator, `=` where none stands there, and the text behind it."""
    condition = value.strip()
    text = condition.lstrip("<>=!~")
    operator, text = condition[: len(condition) - len(text)] or "=", text.lstrip()
    if operator not in OPERATORS:
        raise BadInputError.of_field(
            "value", f"{operator[:10]!r} is not an operator; known are {' '.join(OPERATORS)}"
        )
    if not text:
        raise BadInputError.of_field(
            "value",
            f'nothing stands behind {operator}; write {operator}5, or "" for the empty string',
        )
    return operator, text


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _canonical(text: str) -> str:
    """Return a value in the canonical form of FHiCL; a string where it is nothing else."""
    try:
        # in brackets: a comment, which is not allowed here, would hide the closing one
        document = loads(f"{_NAME}: [ {text} ]\n")
    except FhiclError:
        document = None
    if document is not None:
        is_alone = list(document.root.members) == [_NAME] and len(document.value(_NAME)) == 1
        if is_alone:
            canonical = document.canonical_value(f"{_NAME}[0]")
            is_table = canonical.startswith("{") and canonical != "{}"
            if not is_table:
                return canonical
    if text.startswith(("[", "{", "(")):
        raise BadInputError.of_field(
            "value",
            f"{text[:60]!r} is neither a single value nor a whole sequence as FHiCL writes them; "
            "of a table ask for what is in it: a.b.c",
        )
    return _string(text)


def _string(text: str) -> str:
    try:
        return canonical_single(text)
    except NotCanonicalError as problem:
        raise BadInputError.of_field("value", str(problem)) from None
