"""Questions to SAM in its own language of dimensions.

Source: SAM dimension grammar: predicates `name value`, values quoted, lists by commas, `%` and `?`
as wildcards.
"""

import re
from collections.abc import Iterable

from jobprov.provenance.errors import BadInputError

_UNSAYABLE = frozenset("'%?\\")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,99}:?")
_DIMENSIONS = {
    "application.family": "family",
    "application.name": "appl_name",
    "application.version": "version",
}


def is_sayable(text: str) -> bool:
    """Return whether a name or value can be said in a dimension."""
    return not _UNSAYABLE & set(text)


def files_dimension(names: Iterable[str]) -> str:
    """Return the dimension that selects exactly these files.

    `file_id 0`, which selects none, for no names.

    Raises:
        BadInputError: a name holds a character that means something else in a dimension.
    """
    quoted = []
    for name in names:
        if _UNSAYABLE & set(name):
            message = (
                f"{name!r} cannot be said in a SAM dimension: it holds a quote, "
                "a backslash or a wildcard"
            )
            raise BadInputError(f"format: {message}; ask for format=plain.", {"format": [message]})
        quoted.append(f"'{name}'")
    return f"file_name {','.join(quoted)}" if quoted else "file_id 0"


def dimension(name: str, value: str) -> str:
    """Return the predicate that a field or parameter has a value.

    Raises:
        BadInputError: name or value cannot be said.
    """
    if not _NAME.fullmatch(name) or _UNSAYABLE & set(value):
        message = f"{name} {value!r} cannot be said in a SAM dimension"
        raise BadInputError(
            f"{message}: it holds a quote, a backslash, a wildcard, or is no name.",
            {name: [message]},
        )
    return f"{_DIMENSIONS.get(name, name)} '{value}'"
