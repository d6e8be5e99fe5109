"""Bodies that could not be decoded, as they are stored."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.packing import FRAME_HEADER_BYTES, unpack, unpacked_bytes
from jobprov.provenance.db.tables import DeadLetter, Experiment

MOST_COUNTED = 10_000
"""Dead letters, of all experiments together."""


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


class PackedLetter(NamedTuple):
    """A dead letter as it is stored: the job it names, and its packed body."""

    job_id: str
    packed: bytes


class StoredLetter(NamedTuple):
    """The exact bytes of a dead letter, and when and with what token they came."""

    body: bytes
    received_at: datetime
    experiment: str | None
    task_id: str | None


class WaitingLetters(NamedTuple):
    """How many dead letters of an experiment there are, and since when.

    Attributes:
        experiment: None for those that came to a service without tokens.
    """

    experiment: str | None
    letters: int
    oldest_at: datetime


def kept_bytes(connection: Connection, experiment: str | None) -> int:
    """Return how many bytes the dead letters of an experiment take; all of them are looked at."""
    query = (
        select(func.coalesce(func.sum(func.length(DeadLetter.body)), 0))
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .where(Experiment.name.is_not_distinct_from(experiment))
    )
    return int(connection.execute(query).scalar_one())


def known_letters(
    connection: Connection,
    experiment: int | None,
    task_id: str | None,
    letters: AbstractSet[PackedLetter],
) -> set[PackedLetter]:
    """Return those of the letters that came before, from an experiment, by its key, and task."""
    lengths = {len(letter.packed) for letter in letters}
    query = select(DeadLetter.job_id, DeadLetter.body).where(
        DeadLetter.experiment_id.is_not_distinct_from(experiment),
        DeadLetter.task_id.is_not_distinct_from(task_id),
        func.length(DeadLetter.body).in_(lengths),
    )
    job_ids = {letter.job_id for letter in letters}
    found = rows_among(connection, query, DeadLetter.job_id, job_ids)
    return {PackedLetter(*row) for row in found} & letters


def count_waiting(connection: Connection) -> list[WaitingLetters]:
    """Return how many dead letters each experiment has, those of most letters first."""
    counted = (
        select(DeadLetter.experiment_id, DeadLetter.received_at).limit(MOST_COUNTED).subquery()
    )
    count = func.count()
    query = (
        select(Experiment.name, count, func.min(counted.c.received_at))
        .select_from(counted)
        .join(Experiment, Experiment.id == counted.c.experiment_id, isouter=True)
        .group_by(Experiment.name)
        .order_by(count.desc(), Experiment.name)
    )
    return [WaitingLetters(*row) for row in connection.execute(query)]


def list_letters(connection: Connection, experiment: str | None, most: int) -> list[Letter]:
    """Return dead letters, oldest first, of one experiment if it is given.

    Their bodies are not read.
    """
    query = (
        select(
            DeadLetter.id,
            Experiment.name,
            DeadLetter.job_id,
            DeadLetter.reason,
            DeadLetter.received_at,
            DeadLetter.task_id,
            func.substr(DeadLetter.body, 1, FRAME_HEADER_BYTES),
        )
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .order_by(DeadLetter.id)
        .limit(most)
    )
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    letters = []
    for number, name, job_id, reason, received_at, task_id, header in connection.execute(query):
        size_bytes = unpacked_bytes(header)
        letters.append(Letter(number, name, job_id, reason, received_at, task_id, size_bytes))
    return letters


def letter_numbers(connection: Connection, experiment: str | None) -> list[int]:
    """Return the numbers of all dead letters, or of those of one experiment, oldest first."""
    return list(connection.scalars(_numbers(experiment).order_by(DeadLetter.id)))


def numbers_among(
    connection: Connection, numbers: Collection[int], experiment: str | None
) -> set[int]:
    """Return which of these numbers are dead letters, of one experiment if it is given."""
    rows = rows_among(connection, _numbers(experiment), DeadLetter.id, numbers)
    return {row.id for row in rows}


def _numbers(experiment: str | None) -> Select[int]:
    query = select(DeadLetter.id)
    if experiment is None:
        return query
    query = query.join(Experiment, Experiment.id == DeadLetter.experiment_id)
    return query.where(Experiment.name == experiment)


def find_letter(connection: Connection, number: int) -> StoredLetter | None:
    """Return the dead letter with this number; None where there is none."""
    query = (
        select(DeadLetter.body, DeadLetter.received_at, Experiment.name, DeadLetter.task_id)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .where(DeadLetter.id == number)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredLetter(unpack(row[0]), *row[1:])
