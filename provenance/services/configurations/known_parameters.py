"""Keeps the parameters of configurations that people are looking at in memory.

Each branch of the tree that is opened is a request, which must not evaluate 30,000 parameters.
"""

import threading
from typing import NamedTuple

from jobprov.provenance.db.recording.closure_rows import closure_digests
from jobprov.provenance.fhicl import Parameter
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    RecordedConfiguration,
)

MOST_PARAMETERS = 100_000
"""Some 30 MB; a larger configuration is evaluated each time."""


class EvaluatedParameters(NamedTuple):
    """The identity of a configuration, and its parameters in printed order."""

    identity: str
    parameters: tuple[Parameter, ...]


class KnownParameters:
    """Remembers evaluated parameters by configuration; thread-safe. The last used are kept longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, EvaluatedParameters] = {}

    def of(self, found: RecordedConfiguration) -> EvaluatedParameters:
        """Return the parameters of a recorded configuration.

        Raises:
            ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
        """
        # Checked even if the parameters are in memory: another experiment may have asked for them,
        # and this one may not read the files
        if any(file.sha256 not in found.sources for file in found.recorded.files or ()):
            found.evaluate()  # its error names the file
            raise ConfigurationError("A file of the configuration is not here.")
        [key] = closure_digests((found.recorded,))
        with self._lock:
            # Taken out and put back at the end: the first in the dict is the one unused the longest
            held = self._held.pop(key, None)
            if held is not None:
                self._held[key] = held
                return held
        # Not under the lock: this may take a second, and other requests must not wait
        configuration = found.evaluate()
        made = EvaluatedParameters(
            configuration.parameter_set_id, tuple(configuration.parameters())
        )
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: str, made: EvaluatedParameters) -> None:
        self._held[key] = made
        total = sum(len(evaluated.parameters) for evaluated in self._held.values())
        while total > MOST_PARAMETERS:
            oldest = next(iter(self._held))
            total -= len(self._held.pop(oldest).parameters)


parameters_of = KnownParameters().of
