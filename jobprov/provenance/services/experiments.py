"""Experiments that use cases are asked about by name."""

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.experiments import experiment_key, experiment_names
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.spelling import names_like


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
            nearest = names_like(name, experiment_names(connection))
        raise NotFoundError(f"No experiment {name} is recorded.", nearest)
    return key


def only_experiment(connection: Connection) -> str:
    """Return the only recorded experiment, for a question about arrivals that names none.

    Raises:
        NotFoundError: none is recorded yet.
        AmbiguousError: there are several, which the error offers.
    """
    names = experiment_names(connection)
    if not names:
        raise NotFoundError("No experiment is recorded yet.")
    if len(names) > 1:
        raise AmbiguousError(
            "Several experiments are recorded; say whose arrivals you mean.",
            [(name, "") for name in names],
        )
    return names[0]
