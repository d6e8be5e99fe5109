"""Comparators that experiments declared, version by version."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import ComparatorSet, Experiment, LedgerEntry


class NewestComparators(NamedTuple):
    """The newest rules of an experiment; `document` is their JSON."""

    version: int
    document: str


class ComparatorVersion(NamedTuple):
    """A version of an experiment's rules.

    Attributes:
        document: the rules as JSON.
        submitter: whose token sent them; None where the service did.
    """

    version: int
    document: str
    received_at: datetime
    submitter: str | None


def newest_comparators(connection: Connection, experiment: str) -> NewestComparators | None:
    """Return the rules that count; None where the experiment declared none."""
    query = (
        select(ComparatorSet.version, ComparatorSet.document)
        .join(Experiment, Experiment.id == ComparatorSet.experiment_id)
        .where(Experiment.name == experiment)
        .order_by(ComparatorSet.version.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else NewestComparators(*row)


def comparator_versions(connection: Connection, experiment: str) -> list[ComparatorVersion]:
    """Return every version that an experiment declared, newest first."""
    query = (
        select(
            ComparatorSet.version,
            ComparatorSet.document,
            LedgerEntry.received_at,
            LedgerEntry.submitter,
        )
        .join(Experiment, Experiment.id == ComparatorSet.experiment_id)
        .join(LedgerEntry, LedgerEntry.id == ComparatorSet.entry_id)
        .where(Experiment.name == experiment)
        .order_by(ComparatorSet.version.desc())
    )
    return [ComparatorVersion(*row) for row in connection.execute(query)]
