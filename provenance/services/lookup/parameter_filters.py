"""Reads questions to parameters: `physics.producers.slicer.threshold` and `<5` become a condition."""

import re

from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.recording.parameter_rows import indexed_key, indexed_text, number_in
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import FhiclError, loads
from jobprov.provenance.fhicl.canonical_atoms import NotCanonicalError, canonical_single

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
_KEY = re.compile(r"[\w.\[\]*]+", re.ASCII)
_VALUE = re.compile(r"\s*([<>=!~]*)\s*(.*?)\s*", re.DOTALL)
_NAME = "value"


def read_condition(parameter: str | None, value: str | None) -> ParameterCondition | None:
    """Return the condition that a key (`*` for any letters) and a value (with an operator before it) say; None without a key.

    Values are those of FHiCL: `5`, `0x10`, `true`, `@nil`, `"quoted"`, `[1, 2, 3]`; what is nothing
    of these is a string. Behind `~` stands a string with `*` for any letters and `?` for one.

    Raises:
        BadInputError: a key, an operator or a value that is none, or a value without a key.
    """
    if parameter is None:
        if value is not None:
            raise _bad("value", "say of which parameter: parameter=physics.producers.x.y")
        return None
    if not _KEY.fullmatch(parameter):
        raise _bad(
            "parameter",
            f"{parameter[:60]!r} is no key; write a.b.c or a.b[2], with * for any letters",
        )
    parameter = parameter if "*" in parameter else indexed_key(parameter)
    if value is None:
        return ParameterCondition(parameter)
    match = _VALUE.fullmatch(value)
    operator, text = (match[1] or "=", match[2]) if match else ("=", value)
    if operator not in OPERATORS:
        raise _bad("value", f"{operator[:10]!r} is no operator; known are {' '.join(OPERATORS)}")
    if not text:
        raise _bad(
            "value",
            f'nothing stands behind {operator}; write {operator}5, or "" for the empty string',
        )
    if operator == "~":
        unquoted = (
            text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
        )
        return ParameterCondition(parameter, operator, _string(unquoted))
    canonical = _canonical(text)
    number = number_in(canonical)
    if operator[0] in "<>" and number is None:
        raise _bad("value", f"{operator} compares numbers, and {text[:60]!r} is none")
    return ParameterCondition(parameter, operator, indexed_text(canonical), number or 0.0)


def _canonical(text: str) -> str:
    try:
        # in brackets, as a comment, which is none here, hides the one that closes
        read = loads(f"{_NAME}: [ {text} ]\n")
    except FhiclError:
        read = None
    if read is not None and list(read.root.members) == [_NAME] and len(read.value(_NAME)) == 1:
        canonical = read.canonical_value(f"{_NAME}[0]")
        if canonical == "{}" or not canonical.startswith("{"):
            return canonical
    if text.startswith(("[", "{", "(")):
        raise _bad(
            "value",
            f"{text[:60]!r} is no single value and no whole sequence as FHiCL writes them; of a table ask for what is in it: a.b.c",
        )
    return _string(text)


def _string(text: str) -> str:
    try:
        return canonical_single(text)
    except NotCanonicalError as problem:
        raise _bad("value", str(problem)) from None


def _bad(field: str, message: str) -> BadInputError:
    return BadInputError(f"{field}: {message}.", {field: [message]})
