"""Experiments: their names and keys."""

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Experiment


def experiment_key(connection: Connection, name: str) -> int | None:
    """Return the key of an experiment; None where nothing of it is recorded."""
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
