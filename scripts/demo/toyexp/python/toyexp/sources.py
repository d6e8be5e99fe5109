"""Where events come from: nowhere (numbers alone), or ROOT files."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from toyexp import events
from toyexp.errors import CommandLineError


class EmptyEvent:
    """Numbered events without content, for generators."""

    DEFAULTS: ClassVar = {"firstRun": int, "firstSubRun": 0, "firstEvent": 1, "maxEvents": 1}

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters

    def read(
        self, inputs: Sequence[str], limit: int
    ) -> tuple[events.Columns, list[dict[str, Any]]]:
        """Return `limit` (or, where negative, maxEvents) numbered events and no metadata."""
        if inputs:
            raise CommandLineError(f"-s {inputs[0]}: the source EmptyEvent reads no files")
        count = limit if limit >= 0 else self.parameters["maxEvents"]
        numbers = np.arange(count, dtype="int32") + self.parameters["firstEvent"]
        run = np.full(count, self.parameters["firstRun"], dtype="int32")
        subrun = np.full(count, self.parameters["firstSubRun"], dtype="int32")
        return {"run": run, "subrun": subrun, "event": numbers}, []


class RootInput:
    """The events of the files given by -s, in that order."""

    DEFAULTS: ClassVar = {"maxEvents": -1}

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters

    def read(
        self, inputs: Sequence[str], limit: int
    ) -> tuple[events.Columns, list[dict[str, Any]]]:
        """Return the first `limit` (or maxEvents; all, where negative) events of the files, and the files' metadata."""
        if not inputs:
            raise CommandLineError("the source RootInput needs an input file: -s FILE")
        columns, metadata = events.read(inputs)
        count = limit if limit >= 0 else self.parameters["maxEvents"]
        return (
            columns if count < 0 else {name: value[:count] for name, value in columns.items()}
        ), metadata
