"""Parameters of addresses: their kinds, and how they are read.

Unknown ones are refused: a typo must not mean "all".
"""

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from jobprov.provenance.errors import BadInputError

LONGEST = 3000
"""Letters of a parameter."""
_LONGEST_LIST = 8000
"""Letters of a list of ids; a request line has 8,190."""
_UNKNOWN = "Unknown field."
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def text(description: str) -> fields.String:
    """Return a parameter that is some text."""
    return fields.String(
        validate=validate.Length(min=1, max=LONGEST), metadata={"description": description}
    )


def id_list(description: str) -> fields.String:
    """Return a parameter that is ids of jobs, as many as an address holds."""
    return fields.String(
        validate=validate.Length(min=1, max=_LONGEST_LIST), metadata={"description": description}
    )


def moment(description: str) -> fields.AwareDateTime:
    """Return a parameter that is a time; one without a zone is UTC."""
    limits = validate.Range(min=_FIRST, max=_LAST, error="outside the years 1970 to 2199")
    time = fields.AwareDateTime(
        format="iso", default_timezone=UTC, validate=limits, metadata={"description": description}
    )
    time.error_messages["invalid"] = "not a time; write 2026-11-24 or 2026-11-24T16:00:00Z"
    return time


def number(least: int, most: int, description: str) -> fields.Integer:
    """Return a parameter that is a whole number between two, both included."""
    return fields.Integer(
        validate=validate.Range(min=least, max=most), metadata={"description": description}
    )


def namespace(description: str) -> fields.String:
    """Return the parameter that is a namespace: an empty one is none."""
    return fields.String(
        validate=validate.Length(max=LONGEST), metadata={"description": description}
    )


def file_name(description: str) -> fields.String:
    """Return a parameter that is the name of a file, and needed."""
    return fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": description},
    )


def read_query(schema: type[Schema], arguments: Any) -> dict[str, Any]:
    """Return the parameters, checked and typed.

    Those that were not given and have no default are absent.

    Raises:
        BadInputError: one is unknown, wrong or given twice; `fields` names it.
    """
    _refuse_repeated(arguments)
    values = arguments.to_dict() if hasattr(arguments, "to_dict") else arguments
    try:
        parameters: dict[str, Any] = schema().load(values)
    except ValidationError as problem:
        messages: dict[str, list[str]] = {}
        for name, sentences in problem.messages_dict.items():
            messages[str(name)] = [str(sentence) for sentence in sentences]
        first = next(iter(messages))
        detail = f"{first}: {messages[first][0]}"
        # Clients know this message by its words, so that it stays as it is in `fields`
        if messages[first] == [_UNKNOWN] and (
            nearest := get_close_matches(first, schema().fields, n=1)
        ):
            detail += f" Did you mean {nearest[0]}?"
        raise BadInputError(detail, messages) from None
    for name, value in parameters.items():
        if isinstance(value, str) and "\0" in value:
            raise BadInputError(f"{name}: a NUL cannot be part of it.", {name: ["NUL"]})
    return parameters


def _refuse_repeated(arguments: Any) -> None:
    """Refuse parameters that an address has more than once.

    All but one of their values would be ignored.

    Raises:
        BadInputError: there is one; `fields` names it.
    """
    all_values = dict(arguments.lists()) if hasattr(arguments, "lists") else {}
    repeated = [name for name, values in all_values.items() if len(values) > 1]
    if repeated:
        message = "given more than once"
        raise BadInputError(f"{repeated[0]}: {message}.", {name: [message] for name in repeated})
