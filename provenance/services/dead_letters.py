"""Bodies that were authenticated but could not be decoded: kept, listed, and replayed once the service reads them.

A hook takes 422 as final and gives up, so that a bug in it, or here, would lose records; here they wait.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from provenance.db.keys import KnownKeys
from provenance.db.recording.packing import pack, unpack
from provenance.db.recording.writing import intern_experiments, table_of
from provenance.db.tables import DeadLetter, Experiment
from provenance.errors import ConflictError, NotFoundError, RecordError
from provenance.records.decoding import decode_record
from provenance.services.ledger import Documents
from provenance.services.record_jobs import Outcome, Submission, record_jobs


class Undecoded(NamedTuple):
    """A body that could not be decoded.

    Attributes:
        experiment: the token's; None where no token was needed.
        job_id: as the address or the batch named it, '' where it did not.
        reason: the sentence that the client got.
    """

    experiment: str | None
    job_id: str
    reason: str
    received_at: datetime
    body: bytes


class Letter(NamedTuple):
    """A dead letter in a list."""

    number: int
    experiment: str | None
    job_id: str
    reason: str
    received_at: datetime
    size_bytes: int


def keep_letters(connection: Connection, known: KnownKeys, letters: Sequence[Undecoded]) -> None:
    """Keep bodies; one that came before, for the same job, is not kept twice."""
    table = table_of(DeadLetter)
    names = {letter.experiment for letter in letters if letter.experiment is not None}
    keys = intern_experiments(connection, known, names) if names else {}
    for letter in letters:
        packed = pack(letter.body)
        same = select(table.c.id).where(table.c.job_id == letter.job_id[:200], table.c.body == packed)
        if connection.execute(same.limit(1)).first() is None:
            row = {
                "experiment_id": keys[letter.experiment] if letter.experiment is not None else None,
                "received_at": letter.received_at,
                "job_id": letter.job_id[:200],
                "reason": letter.reason,
                "body": packed,
            }
            connection.execute(insert(table).values(row))


def list_letters(connection: Connection) -> list[Letter]:
    """Return every dead letter, oldest first."""
    columns = (
        DeadLetter.id,
        Experiment.name,
        DeadLetter.job_id,
        DeadLetter.reason,
        DeadLetter.received_at,
        DeadLetter.body,
    )
    query = (
        select(*columns)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .order_by(DeadLetter.id)
    )
    return [Letter(*row[:5], len(unpack(row[5]))) for row in connection.execute(query)]


def read_letter(connection: Connection, number: int) -> bytes:
    """Return the exact bytes of a dead letter.

    Raises:
        NotFoundError: there is no such letter.
    """
    body = connection.execute(select(DeadLetter.body).where(DeadLetter.id == number)).scalar_one_or_none()
    if body is None:
        raise NotFoundError(f"There is no dead letter {number}; `jobprov dead-letter list` shows them.")
    return unpack(body)


def replay_letter(connection: Connection, known: KnownKeys, store: Documents, number: int) -> Outcome:
    """Take a dead letter as if it came now, under the time it came and the token it came with; then it is gone.

    Raises:
        NotFoundError: there is no such letter.
        RecordError: it cannot be decoded even now, or names another experiment than its token's.
        ConflictError: another final record of the job is held; the letter stays.
    """
    query = (
        select(DeadLetter.body, DeadLetter.received_at, Experiment.name)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .where(DeadLetter.id == number)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no dead letter {number}; `jobprov dead-letter list` shows them.")
    decoded = decode_record(unpack(row[0]))
    if row[2] is not None and decoded.raw["experiment"] != row[2]:
        raise RecordError(f"The letter came with a token of {row[2]}, its record is of {decoded.raw['experiment']}.")
    outcome = record_jobs(connection, known, store, [Submission(decoded, row[1], "dead letter")])[0]
    if outcome.change == "conflict":
        raise ConflictError(f"Another final record of job {outcome.job_id} is held; the letter {number} stays.")
    connection.execute(delete(DeadLetter).where(DeadLetter.id == number))
    return outcome
