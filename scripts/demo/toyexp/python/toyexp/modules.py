"""The modules that fcl files may name, by `module_type`, and the one way to make them."""

import importlib
from typing import Any, Protocol

from toyexp.errors import ConfigurationError
from toyexp.events import Columns
from toyexp.fcl import Table
from toyexp.parameters import checked

_HOMES = {
    "EmptyEvent": "toyexp.sources",
    "RootInput": "toyexp.sources",
    "ToyPythia": "toyexp.generator",
    "ToySmear": "toyexp.detector",
    "ToyDimuon": "toyexp.selection",
    "ToyMassFilter": "toyexp.selection",
    "ToyHistogram": "toyexp.histogram",
}


class Module(Protocol):
    """What producers, filters and analyzers have in common.

    `DEFAULTS`, and a call that takes and gives columns.
    """

    DEFAULTS: dict[str, Any]

    def __init__(self, label: str, parameters: dict[str, Any]) -> None: ...


class Producer(Module, Protocol):
    """Adds columns to the events, or changes them."""

    def produce(self, columns: Columns) -> Columns:
        """Return the events as they are afterwards."""
        ...


class Filter(Module, Protocol):
    """Says of each event whether it passes."""

    def passes(self, columns: Columns) -> Any:
        """Return one boolean an event."""
        ...


class Analyzer(Module, Protocol):
    """Looks at all events and writes one file."""

    def analyze(self, columns: Columns, path: str) -> None:
        """Write what was found to `path`."""
        ...


def make(label: str, given: Table) -> Any:
    """Return the module that the table describes.

    Raises:
        ConfigurationError: the type is unknown, or its parameters are wrong.
    """
    module_type = given.get("module_type")
    if module_type not in _HOMES:
        raise ConfigurationError(
            f'Module label: {label}\nThe module type "{module_type}" is unknown to this release.'
        )
    kind = getattr(importlib.import_module(_HOMES[module_type]), module_type)
    return kind(label, checked(label, given, kind.DEFAULTS))
