"""The parameters of configurations that people look at now, kept in memory.

Opening a branch of a tree must not evaluate 30,000 anew.
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
    """The identity of a configuration and its parameters, in the order of print."""

    identity: str
    parameters: tuple[Parameter, ...]


class KnownParameters:
    """Evaluated parameters by the configuration that they are of; thread-safe.

    Those of the configuration that was asked for last are kept longest.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, EvaluatedParameters] = {}

    def of(self, found: RecordedConfiguration) -> EvaluatedParameters:
        """Return the parameters of a recorded configuration.

        Raises:
            ConfigurationError: a file is not here, or the text is no FHiCL.
        """
        if any(file.sha256 not in found.sources for file in found.recorded.files or ()):
            found.evaluate()  # says which
            raise ConfigurationError("A file of the configuration is not here.")
        [key] = closure_digests((found.recorded,))
        with self._lock:
            held = self._held.pop(key, None)
            if held is not None:
                self._held[key] = held
                return held
        configuration = found.evaluate()
        made = EvaluatedParameters(
            configuration.parameter_set_id, tuple(configuration.parameters())
        )
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: str, made: EvaluatedParameters) -> None:
        self._held[key] = made
        total = sum(len(each.parameters) for each in self._held.values())
        while total > MOST_PARAMETERS:
            oldest = next(iter(self._held))
            total -= len(self._held.pop(oldest).parameters)


parameters_of = KnownParameters().of
