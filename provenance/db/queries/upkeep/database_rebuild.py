"""Whether a database is empty, and how many jobs are in it."""

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import Experiment, Job, LedgerEntry, Repository, WriteToken
from jobprov.provenance.db.tables.base import table_of

_FILLED_FIRST = (Experiment, LedgerEntry, Job, WriteToken, Repository)
"""Tables of which at least one has rows in any database that was used."""


def first_filled_table(connection: Connection) -> str | None:
    """Return the name of a table that has rows; None where the database is empty."""
    for table in map(table_of, _FILLED_FIRST):
        if connection.execute(select(table).limit(1)).first() is not None:
            return table.name
    return None


def count_jobs(connection: Connection) -> int:
    """Return how many jobs are recorded."""
    return connection.execute(select(func.count()).select_from(Job)).scalar_one()
