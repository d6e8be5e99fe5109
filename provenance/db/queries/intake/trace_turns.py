"""Which kinds of jobs were or are being traced."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import TraceTurn


class Turn(NamedTuple):
    """When a job of a kind was told to be traced, and when its record came."""

    given_at: datetime
    traced_at: datetime | None


def turn_of(connection: Connection, experiment: str, key: str) -> Turn | None:
    """Return the turn of a kind of jobs, if there was one."""
    row = connection.execute(
        select(TraceTurn.given_at, TraceTurn.traced_at).where(
            TraceTurn.experiment == experiment, TraceTurn.key == key
        )
    ).one_or_none()
    return None if row is None else Turn(*row)


def count_turns(connection: Connection, experiment: str, since: datetime | None = None) -> int:
    """Return how many kinds of jobs of an experiment have a turn, given after a moment."""
    statement = select(func.count()).where(TraceTurn.experiment == experiment)
    if since is not None:
        statement = statement.where(TraceTurn.given_at > since)
    return connection.scalar(statement) or 0
