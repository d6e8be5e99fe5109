"""Bodies that could not be decoded, as they are stored."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import DeadLetter, Experiment


class Letter(NamedTuple):
    """A dead letter in a list.

    Attributes:
        experiment: None where it came to a service without tokens.
        task_id: of the upload ticket that it came with, None for any other token.
        size_bytes: of the body.
    """

    number: int
    experiment: str | None
    job_id: str
    reason: str
    received_at: datetime
    task_id: str | None
    size_bytes: int


class StoredLetter(NamedTuple):
    """The exact bytes of a dead letter, and when and with what token they came."""

    body: bytes
    received_at: datetime
    experiment: str | None
    task_id: str | None


def kept_bytes(connection: Connection, experiment: int | None) -> int:
    """Return how many bytes the dead letters of an experiment take, by its key."""
    query = select(func.coalesce(func.sum(func.length(DeadLetter.body)), 0)).where(
        DeadLetter.experiment_id.is_not_distinct_from(experiment)
    )
    return int(connection.execute(query).scalar_one())


def list_letters(connection: Connection) -> list[Letter]:
    """Return every dead letter, oldest first."""
    query = (
        select(
            DeadLetter.id,
            Experiment.name,
            DeadLetter.job_id,
            DeadLetter.reason,
            DeadLetter.received_at,
            DeadLetter.task_id,
            DeadLetter.body,
        )
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .order_by(DeadLetter.id)
    )
    return [Letter(*row[:6], len(unpack(row[6]))) for row in connection.execute(query)]


def find_letter(connection: Connection, number: int) -> StoredLetter | None:
    """Return the dead letter with this number; None where there is none."""
    query = (
        select(DeadLetter.body, DeadLetter.received_at, Experiment.name, DeadLetter.task_id)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .where(DeadLetter.id == number)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredLetter(unpack(row[0]), *row[1:])
