"""Checked access to one module's parameters.

Missing, misspelt and mistyped ones are found before the first event.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from toyexp.errors import misconfigured
from toyexp.fcl import Table

_ALWAYS_ALLOWED = ("module_type",)


def checked(label: str, given: Table, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the module `label`, completed by `defaults`.

    A default that is a type says that the parameter has none and must be given; every other default
    says by its type what the parameter may be. Whole numbers are taken for real ones.

    Raises:
        ConfigurationError: parameters are missing, of another type, or unknown to the module.
    """
    problems = [
        *_unsupported(given, defaults),
        *_missing(given, defaults),
        *_mistyped(given, defaults),
    ]
    if problems:
        raise misconfigured(label, str(given.get("module_type")), problems)
    values = {name: given.get(name, default) for name, default in defaults.items()}
    return {
        name: float(value) if _type(defaults[name]) is float else value
        for name, value in values.items()
    }


def _type(default: Any) -> type:
    return default if isinstance(default, type) else type(default)


def _unsupported(given: Table, defaults: dict[str, Any]) -> Iterator[str]:
    for name in given:
        if name not in defaults and name not in _ALWAYS_ALLOWED:
            near = difflib.get_close_matches(name, defaults, 1)
            advice = f"; did you mean {near[0]}?" if near else ""
            yield f"unsupported parameter: {name} [ {given.places[name]} ]{advice}"


def _missing(given: Table, defaults: dict[str, Any]) -> Iterator[str]:
    for name, default in defaults.items():
        if isinstance(default, type) and name not in given:
            yield f"missing parameter: {name}: <{default.__name__}>"


def _mistyped(given: Table, defaults: dict[str, Any]) -> Iterator[str]:
    for name, default in defaults.items():
        if name in given and not _fits(given[name], _type(default)):
            wanted = _type(default).__name__
            yield f"parameter of another type: {name}: {given[name]!r} is no {wanted} [ {given.places[name]} ]"


def _fits(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
