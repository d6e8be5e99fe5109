"""Experiments that use cases are asked about by name."""

from difflib import get_close_matches

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.experiments import experiment_key, experiment_names
from jobprov.provenance.errors import NotFoundError


def find_experiment(connection: Connection, name: str, *, offers_names: bool = True) -> int:
    """Return the key of an experiment.

    Args:
        offers_names: False where the connection sees experiments that the reader may not see, as
            the connections that write do.

    Raises:
        NotFoundError: it is not recorded; the error names experiments that are spelled like it.
    """
    key = experiment_key(connection, name)
    if key is None:
        nearest = []
        if offers_names:
            nearest = get_close_matches(name, experiment_names(connection))
        raise NotFoundError(f"No experiment {name} is recorded.", nearest)
    return key
