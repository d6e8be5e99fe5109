"""What comes before a record: tokens, tickets, turns to be traced, and the ends of logs."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.answers.lookup.jobs import LogTail
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import (
    Experiment,
    Job,
    LogTailPiece,
    TaskRow,
    TraceTurn,
    WriteToken,
)


class TokenRow(NamedTuple):
    """A token as operators see it, in a list."""

    number: int
    experiment: str
    name: str
    scopes: str
    task_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class StoredToken(NamedTuple):
    """What a token is checked against; of the token itself only the SHA-256 is kept.

    Attributes:
        sha256: of the whole token.
        task_id: of an upload ticket its task, None of other tokens.
        scopes: words with spaces between them.
        expires_at, revoked_at: None where it does not expire, and where it is not revoked.
        last_used_at: to the hour; None where it was not used yet.
    """

    sha256: str
    name: str
    experiment: str
    task_id: str | None
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def list_tokens(connection: Connection, *, with_tickets: bool = True) -> list[TokenRow]:
    """Return every token that was made, revoked ones too, in the order of making."""
    query = (
        select(
            WriteToken.id,
            Experiment.name,
            WriteToken.name,
            WriteToken.scopes,
            WriteToken.task_id,
            WriteToken.created_at,
            WriteToken.expires_at,
            WriteToken.revoked_at,
            WriteToken.last_used_at,
        )
        .join(Experiment, Experiment.id == WriteToken.experiment_id)
        .order_by(WriteToken.id)
    )
    if not with_tickets:  # each task may have one
        query = query.where(WriteToken.task_id.is_(None))
    return [TokenRow(*row) for row in connection.execute(query)]


def find_token(connection: Connection, number: int) -> StoredToken | None:
    """Return the token with this number; None where there is none."""
    query = (
        select(
            WriteToken.sha256,
            WriteToken.name,
            Experiment.name,
            WriteToken.task_id,
            WriteToken.scopes,
            WriteToken.created_at,
            WriteToken.expires_at,
            WriteToken.revoked_at,
            WriteToken.last_used_at,
        )
        .join(Experiment, Experiment.id == WriteToken.experiment_id)
        .where(WriteToken.id == number)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredToken(*row)


def is_any_token_made(connection: Connection) -> bool:
    """Whether any token but upload tickets was ever made."""
    query = select(func.count()).select_from(WriteToken).where(WriteToken.task_id.is_(None))
    return connection.execute(query).scalar_one() > 0


def jobs_of_other_tasks(
    connection: Connection, experiment: str, task_id: str, job_ids: Sequence[str]
) -> dict[str, str]:
    """Return those of the jobs that are known as another task's, with that task's id.

    An upload ticket may not write to them. A job without a task, or one that is not known yet,
    belongs to the task that its first record names.
    """
    query = (
        select(Job.uuid, TaskRow.task_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .join(TaskRow, TaskRow.id == Job.task_id)
        .where(Experiment.name == experiment, TaskRow.task_id != task_id)
    )
    return dict(rows_among(connection, query, Job.uuid, dict.fromkeys(job_ids)))


class Turn(NamedTuple):
    """When a job of a kind was chosen to be traced, when its record came, what it used (JSON)."""

    given_at: datetime
    traced_at: datetime | None
    used: str | None


def turn_of(connection: Connection, experiment: str, key: str) -> Turn | None:
    """Return the turn of a kind of jobs, if there was one."""
    row = connection.execute(
        select(TraceTurn.given_at, TraceTurn.traced_at, TraceTurn.used).where(
            TraceTurn.experiment == experiment, TraceTurn.key == key
        )
    ).one_or_none()
    return None if row is None else Turn(*row)


def count_turns(
    connection: Connection,
    experiment: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Return how many kinds of jobs of an experiment have a turn, given between two moments."""
    statement = select(func.count()).where(TraceTurn.experiment == experiment)
    if since is not None:
        statement = statement.where(TraceTurn.given_at > since)
    if until is not None:
        statement = statement.where(TraceTurn.given_at <= until)
    return connection.scalar(statement) or 0


class PiecePlace(NamedTuple):
    """Where a piece of a log lies: the position of its first byte, and how many bytes it has."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.start + self.size_bytes


class LogPiece(NamedTuple):
    """Bytes of a log without a gap, and the position of the first of them."""

    start: int
    content: bytes

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.start + len(self.content)


class TailName(NamedTuple):
    """A log of a running job, with the key, experiment and id of the job."""

    job: int
    name: str
    experiment: str
    job_id: str


class TailSize(NamedTuple):
    """What the pieces of all logs of a job take, packed, and when the last of them came."""

    job: int
    received_at: datetime
    packed_bytes: int


def piece_places(connection: Connection, job: int, name: str) -> list[PiecePlace]:
    """Return where the pieces of a log lie, in order."""
    query = (
        select(LogTailPiece.start, LogTailPiece.size_bytes)
        .where(LogTailPiece.job_id == job, LogTailPiece.name == name)
        .order_by(LogTailPiece.start)
    )
    return [PiecePlace(*row) for row in connection.execute(query)]


def pieces_of(connection: Connection, job: int, name: str) -> list[LogPiece]:
    """Return the pieces of a log, in order."""
    query = (
        select(LogTailPiece.start, LogTailPiece.content)
        .where(LogTailPiece.job_id == job, LogTailPiece.name == name)
        .order_by(LogTailPiece.start)
    )
    return [LogPiece(start, unpack(content)) for start, content in connection.execute(query)]


def last_received(connection: Connection, job: int, name: str) -> datetime:
    """Return when the last piece of a log came; there must be one."""
    query = select(func.max(LogTailPiece.received_at)).where(
        LogTailPiece.job_id == job, LogTailPiece.name == name
    )
    return connection.execute(query).scalar_one()


def count_logs(connection: Connection, job: int) -> int:
    """Return of how many logs of a job there are pieces."""
    query = select(func.count(LogTailPiece.name.distinct())).where(LogTailPiece.job_id == job)
    return connection.execute(query).scalar_one()


def tail_extents(connection: Connection, experiment: str, job_id: str) -> list[LogTail]:
    """Return where the pieces of each log of a job begin and end, by name."""
    query = (
        select(
            LogTailPiece.name,
            func.min(LogTailPiece.start),
            func.max(LogTailPiece.start + LogTailPiece.size_bytes),
            func.max(LogTailPiece.received_at),
        )
        .join(Job, Job.id == LogTailPiece.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid == job_id, Experiment.name == experiment)
        .group_by(LogTailPiece.name)
        .order_by(LogTailPiece.name)
    )
    return [LogTail(*row) for row in connection.execute(query)]


def tails_of_jobs(connection: Connection, job_ids: Sequence[str]) -> list[TailName]:
    """Return the logs of these jobs that have pieces; any experiment may have the ids."""
    query = (
        select(LogTailPiece.job_id, LogTailPiece.name, Experiment.name, Job.uuid)
        .join(Job, Job.id == LogTailPiece.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .distinct()
    )
    return [TailName(*row) for row in rows_among(connection, query, Job.uuid, job_ids)]


def tail_sizes(connection: Connection, experiment: int) -> list[TailSize]:
    """Return what each job of an experiment takes, the newest first."""
    newest = func.max(LogTailPiece.received_at)
    query = (
        select(LogTailPiece.job_id, newest, func.sum(func.length(LogTailPiece.content)))
        .join(Job, Job.id == LogTailPiece.job_id)
        .where(Job.experiment_id == experiment)
        .group_by(LogTailPiece.job_id)
        .order_by(newest.desc())
    )
    return [TailSize(*row) for row in connection.execute(query)]
