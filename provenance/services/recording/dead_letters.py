"""Bodies that were authenticated but could not be decoded.

Kept, listed, and replayed once the service reads them.

A hook takes 422 as final and gives up, so that a bug in it, or here, would lose records; here they
wait.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select

from jobprov.provenance.db.recording.packing import pack, unpack
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import DeadLetter, Experiment
from jobprov.provenance.errors import ConflictError, NotFoundError, RecordError
from jobprov.provenance.records.reading.decoding import DecodedRecord, decode_record
from jobprov.provenance.services.intake.tickets import jobs_of_other_tasks
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.writing import Writing


class Undecoded(NamedTuple):
    """A body that could not be decoded.

    Attributes:
        experiment: the token's; None where no token was needed.
        job_id: as the address or the batch named it, '' where it did not.
        reason: the sentence that the client got.
        body: a record, or a revision with its record.
        task_id: of an upload ticket the only task whose jobs it may record.
    """

    experiment: str | None
    job_id: str
    reason: str
    received_at: datetime
    body: bytes
    task_id: str | None = None


class Letter(NamedTuple):
    """A dead letter in a list."""

    number: int
    experiment: str | None
    job_id: str
    reason: str
    received_at: datetime
    task_id: str | None
    size_bytes: int


class _Revision(msgspec.Struct):
    """A letter that holds a corrected record.

    A job record has neither field, and always a version.
    """

    record: msgspec.Raw
    reason: str
    schema_version: msgspec.UnsetType | msgspec.Raw = msgspec.UNSET


def keep_letters(writing: Writing, letters: Sequence[Undecoded]) -> None:
    """Keep bodies, but none twice.

    A body is not kept again for the same job, from one who may write the same.
    """
    table = table_of(DeadLetter)
    names = {letter.experiment for letter in letters if letter.experiment is not None}
    keys = intern_experiments(writing, names) if names else {}
    for letter in letters:
        packed = pack(letter.body)
        experiment = keys[letter.experiment] if letter.experiment is not None else None
        same = select(table.c.id).where(
            table.c.job_id == letter.job_id[:200],
            table.c.body == packed,
            table.c.experiment_id.is_not_distinct_from(experiment),
            table.c.task_id.is_not_distinct_from(letter.task_id),
        )
        if writing.connection.execute(same.limit(1)).first() is None:
            row = {
                "experiment_id": experiment,
                "task_id": letter.task_id,
                "received_at": letter.received_at,
                "job_id": letter.job_id[:200],
                "reason": letter.reason,
                "body": packed,
            }
            writing.connection.execute(insert(table).values(row))


def list_letters(connection: Connection) -> list[Letter]:
    """Return every dead letter, oldest first."""
    columns = (
        DeadLetter.id,
        Experiment.name,
        DeadLetter.job_id,
        DeadLetter.reason,
        DeadLetter.received_at,
        DeadLetter.task_id,
        DeadLetter.body,
    )
    query = (
        select(*columns)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .order_by(DeadLetter.id)
    )
    return [Letter(*row[:6], len(unpack(row[6]))) for row in connection.execute(query)]


def read_letter(connection: Connection, number: int) -> bytes:
    """Return the exact bytes of a dead letter.

    Raises:
        NotFoundError: there is no such letter.
    """
    body = connection.execute(
        select(DeadLetter.body).where(DeadLetter.id == number)
    ).scalar_one_or_none()
    if body is None:
        raise NotFoundError(
            f"There is no dead letter {number}; `jobprov dead-letter list` shows them."
        )
    return unpack(body)


def replay_letter(writing: Writing, number: int) -> Outcome:
    """Take a dead letter as if it came now, under the time it came and the token it came with.

    Then it is gone.

    Raises:
        NotFoundError: there is no such letter.
        RecordError: it cannot be decoded even now, or is not what its token or ticket may record.
        ConflictError: another final record of the job is held; the letter stays.
    """
    connection = writing.connection
    query = (
        select(DeadLetter.body, DeadLetter.received_at, DeadLetter.task_id, Experiment.name)
        .join(Experiment, Experiment.id == DeadLetter.experiment_id, isouter=True)
        .where(DeadLetter.id == number)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(
            f"There is no dead letter {number}; `jobprov dead-letter list` shows them."
        )
    decoded, reason = _read(unpack(row.body))
    _check_grant(connection, Grant(row.name, None, row.task_id), decoded)
    outcome = record_jobs(writing, [Submission(decoded, row.received_at, "dead letter", reason)])[0]
    if outcome.change == "conflict":
        raise ConflictError(
            f"Another final record of job {outcome.job_id} is held; the letter {number} stays."
        )
    connection.execute(delete(DeadLetter).where(DeadLetter.id == number))
    return outcome


def _read(body: bytes) -> tuple[DecodedRecord, str | None]:
    """Return the record in a letter, and why it is a revision where it is one.

    Raises:
        RecordError: it cannot be decoded.
    """
    try:
        revision = msgspec.json.decode(body, type=_Revision)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_record(body), None
    if revision.schema_version is not msgspec.UNSET:
        return decode_record(body), None
    decoded = decode_record(bytes(revision.record))
    if decoded.record is None:
        raise RecordError(
            "A record of a later version cannot be a revision yet.",
            {"schema_version": ["not read yet"]},
        )
    return decoded, revision.reason.strip()


def _check_grant(connection: Connection, grant: Grant, decoded: DecodedRecord) -> None:
    """Do nothing where what the letter came with would have recorded it.

    Raises:
        RecordError: it would not.
    """
    if not grant.allows_record(decoded.experiment, decoded.task_id):
        named = decoded.task_id or "(none)"
        raise RecordError(
            f"The letter came with a token of {grant.names()}; its record is of "
            f"{decoded.experiment}, task {named}."
        )
    task = grant.task_id
    if task is not None and jobs_of_other_tasks(
        connection, decoded.experiment, task, [decoded.job_id]
    ):
        raise RecordError(
            f"The letter came with a ticket of {grant.names()}; job {decoded.job_id} is known as "
            "one of another task."
        )
