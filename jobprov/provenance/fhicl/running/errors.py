"""Why the set that ran cannot be computed."""

from jobprov.provenance.errors import ProvenanceError


class NotKnownError(ProvenanceError):
    """A rule or a fact that decides about the set that ran is not known; the message says which."""


class RefusedError(NotKnownError):
    """art ends with an error before it has a set to run; the message says why."""
