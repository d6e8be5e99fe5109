"""Questions to MetaCat in its own language, MQL.

Source: MetaCat's grammar: literals have types, names of files have an alphabet, and metadata keys
have a dot.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jobprov.provenance.errors import BadInputError

_NAME = re.compile(r"[A-Za-z0-9_./-]+")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}")
_UNSAYABLE = frozenset("'\"\\\n")


def is_name(text: str) -> bool:
    """Return whether MetaCat accepts this as a namespace or as a name in one."""
    return _NAME.fullmatch(text) is not None


def dataset_query(did: str) -> str:
    """Return the query for the files of a dataset.

    Raises:
        BadInputError: it is no `namespace:name`.
    """
    namespace, _, name = did.partition(":")
    if not is_name(namespace) or not is_name(name):
        raise BadInputError(
            f"{did!r} is no dataset: say namespace:name.", {"dataset": ["namespace:name"]}
        )
    return f"files from {did}"


def files_query(dids: Iterable[str]) -> str:
    """Return the query that selects exactly these files; '' for none."""
    names = ", ".join(dids)
    return f"files {names}" if names else ""


def names_query(names: Iterable[str]) -> str:
    """Return the query for the files with these names, in whichever namespace."""
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"files where name in ({quoted})"


def unprocessed_query(source: str, outputs: Mapping[str, str]) -> str:
    """Return the query for the files of another that have no child with these metadata.

    It asks for children of the source, not for all files like this: of those a catalog has
    millions.
    """
    where = f" where {condition(outputs)}" if outputs else ""
    return f"({source}) - parents(children({source}){where})"


def condition(outputs: Mapping[str, str]) -> str:
    """Return the condition of files with these metadata.

    The values are text, and MetaCat compares types too: what may be a number is asked for as a
    number or as text.

    Raises:
        BadInputError: a key or value cannot be said.
    """
    parts = []
    for key, value in outputs.items():
        if not _KEY.fullmatch(key) or _UNSAYABLE & {*value}:
            message = f"{key} {value!r} cannot be said in MQL"
            raise BadInputError(
                f"{message}: the value holds a quote or a backslash, or the key is not made of "
                "words with dots between them.",
                {key: [message]},
            )
        choices = " or ".join(f"{key} = {literal}" for literal in _literals(value))
        parts.append(f"({choices})" if " or " in choices else choices)
    return " and ".join(parts)


def has_values(metadata: Mapping[str, Any], outputs: Mapping[str, str]) -> bool:
    """Return whether metadata are what `condition(outputs)` selects."""
    return all(_has_value(metadata.get(key), value) for key, value in outputs.items())


def _has_value(recorded: Any, value: str) -> bool:
    if isinstance(recorded, list):  # MetaCat looks into lists
        return any(_has_value(entry, value) for entry in recorded)
    if isinstance(recorded, bool):
        return value == ("true" if recorded else "false")
    if isinstance(recorded, int | float):
        return _is_number(value) and float(value) == recorded
    return bool(recorded == value)


def _literals(value: str) -> list[str]:
    if _is_number(value) or value in ("true", "false"):
        return [value, f"'{value}'"]
    return [f"'{value}'"]


def _is_number(value: str) -> bool:
    return bool(_INTEGER.fullmatch(value) or _DECIMAL.fullmatch(value))
