"""Experiments: their names and keys."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import Experiment, LedgerEntry


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


def first_entry_at(connection: Connection, name: str) -> datetime | None:
    """Return when the first entry of an experiment came; None where it has none."""
    experiment = select(Experiment.id).where(Experiment.name == name).scalar_subquery()
    entries = select(LedgerEntry.received_at).where(LedgerEntry.experiment_id == experiment)
    first_segment = (
        select(func.min(LedgerEntry.segment))
        .where(LedgerEntry.experiment_id == experiment)
        .scalar_subquery()
    )
    # By the index of segments, and by that of what is not sealed: an experiment has millions
    sealed = entries.where(LedgerEntry.segment == first_segment)
    unsealed = entries.where(LedgerEntry.segment.is_(None))
    for where in (sealed, unsealed):
        moment = connection.execute(where.order_by(LedgerEntry.id).limit(1)).scalar_one_or_none()
        if moment is not None:
            return moment
    return None


def names_of_experiments(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    """Return the names of experiments by key."""
    query = select(Experiment.id, Experiment.name).where(Experiment.id.in_(sorted(keys)))
    return {key: name for key, name in connection.execute(query)}  # noqa: C416 - typed


def experiments_by_name(connection: Connection) -> dict[str, int]:
    """Return the keys of all recorded experiments, in the order of their names."""
    query = select(Experiment.name, Experiment.id).order_by(Experiment.name)
    return {name: key for name, key in connection.execute(query)}  # noqa: C416 - typed
