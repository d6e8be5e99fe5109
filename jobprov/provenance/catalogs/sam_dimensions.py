"""Questions to SAM in its own language of dimensions.

Source: SAM dimension grammar: predicates `name value`, values quoted, lists by commas, `%` and `?`
as wildcards. Its parser refuses characters outside of ASCII, and ends a value at a line's end.
"""

import re
from collections.abc import Iterable

from jobprov.provenance.errors import BadInputError

_SAYABLE = re.compile(r"[ -~]*")  # printable ASCII
_UNSAYABLE = frozenset("'%?\\")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,99}:?")
_DIMENSIONS = {
    "application.family": "family",
    "application.name": "appl_name",
    "application.version": "version",
}


def is_sayable(text: str) -> bool:
    """Return whether a name or value can be said in a dimension."""
    return _SAYABLE.fullmatch(text) is not None and not _UNSAYABLE & set(text)


def check_sayable(query: str) -> None:
    """Refuse a dimension that SAM's parser refuses for its characters.

    Raises:
        BadInputError: it holds one outside of ASCII; the message says which, and where.
    """
    for place, character in enumerate(query, 1):
        if not character.isascii():
            message = (
                f"SAM's dimensions are ASCII alone; character {place} of this one is {character!r}"
            )
            raise BadInputError.of_field("query", message)


def files_dimension(names: Iterable[str], *, otherwise: str = "ask for format=plain") -> str:
    """Return the dimension that selects exactly these files.

    `file_id 0`, which selects none, for no names. `otherwise` is the way out that a refusal names.

    Raises:
        BadInputError: a name holds a character that means something else in a dimension.
    """
    quoted = []
    for name in names:
        if not is_sayable(name):
            message = (
                f"{name!r} cannot be said in a SAM dimension: it holds a quote, "
                "a backslash, a wildcard or a character outside of ASCII"
            )
            raise BadInputError(f"format: {message}; {otherwise}.", {"format": [message]})
        quoted.append(f"'{name}'")
    return f"file_name {','.join(quoted)}" if quoted else "file_id 0"


def dimension(name: str, value: str) -> str:
    """Return the predicate that a field or parameter has a value.

    Raises:
        BadInputError: name or value cannot be said.
    """
    is_name = _NAME.fullmatch(name) is not None and name.lower() != "not"
    if not is_name or not is_sayable(value):
        message = f"{name} {value!r} cannot be said in a SAM dimension"
        raise BadInputError(
            f"{message}: it holds a quote, a backslash, a wildcard, a character outside of ASCII, "
            "or is no name.",
            {name: [message]},
        )
    return f"{_DIMENSIONS.get(name, name)} '{value}'"
