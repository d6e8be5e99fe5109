"""Experiments: their names and keys."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Experiment


def experiment_key(connection: Connection, name: str) -> int | None:
    """Return the key of an experiment; None where nothing of it is recorded."""
    if "\0" in name:  # which PostgreSQL takes not at all
        return None
    query = select(Experiment.id).where(Experiment.name == name)
    return connection.execute(query).scalar_one_or_none()


def private_experiments(connection: Connection) -> list[str]:
    """Return the names of the experiments that are private by command, in order."""
    query = select(Experiment.name).where(Experiment.is_private).order_by(Experiment.name)
    return list(connection.execute(query).scalars())


def experiment_names(connection: Connection) -> list[str]:
    """Return the names of all recorded experiments, in order."""
    query = select(Experiment.name).order_by(Experiment.name)
    return list(connection.execute(query).scalars())


def names_of_experiments(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    """Return the names of experiments by key."""
    query = select(Experiment.id, Experiment.name).where(Experiment.id.in_(sorted(keys)))
    return {key: name for key, name in connection.execute(query)}  # noqa: C416 - typed


def experiments_by_name(connection: Connection) -> dict[str, int]:
    """Return the keys of all recorded experiments, in the order of their names."""
    query = select(Experiment.name, Experiment.id).order_by(Experiment.name)
    return {name: key for name, key in connection.execute(query)}  # noqa: C416 - typed
