"""Writes what comes before a record does: tokens, possessions, ends of logs, turns to be traced."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from jobprov.provenance.art.event_lines import EventSpan
from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Experiment, LogTailPiece, Possession, TraceTurn, WriteToken
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import allocate_keys


def set_private(connection: Connection, experiment: int, *, is_private: bool) -> None:
    """Make an experiment private, or open it."""
    statement = update(Experiment).where(Experiment.id == experiment)
    connection.execute(statement.values(is_private=is_private))


def next_token_number(connection: Connection) -> int:
    """Return an unused number for a token; insert the token before asking for the next."""
    return allocate_keys(connection, table_of(WriteToken), 1)[0]


class NewToken(NamedTuple):
    """A token about to be stored; columns of `WriteToken`.

    Attributes:
        sha256: of the whole token.
        task_id: of an upload ticket its task, None of other tokens.
        expires_at: None where it does not expire.
        scopes: what it allows, words with spaces between them.
    """

    id: int
    experiment_id: int
    name: str
    sha256: str
    created_at: datetime
    task_id: str | None
    expires_at: datetime | None
    scopes: str


def add_token(connection: Connection, token: NewToken) -> None:
    """Store a token."""
    connection.execute(insert(WriteToken).values(token._asdict()))


def mark_revoked(connection: Connection, number: int, now: datetime) -> bool:
    """Revoke a token; return whether there was such a token, not revoked before."""
    statement = (
        update(WriteToken)
        .where(WriteToken.id == number, WriteToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return connection.execute(statement).rowcount > 0


def note_token_use(connection: Connection, number: int, moment: datetime) -> None:
    """Note that a token was used."""
    statement = update(WriteToken).where(WriteToken.id == number)
    connection.execute(statement.values(last_used_at=moment))


def end_token(connection: Connection, number: int, moment: datetime) -> None:
    """Have a token expire at a moment."""
    statement = update(WriteToken).where(WriteToken.id == number)
    connection.execute(statement.values(expires_at=moment))


def add_possessions(connection: Connection, blobs: Sequence[tuple[int, str]]) -> None:
    """Note which blobs experiments possess from now on: keys of experiments, with digests."""
    rows = [{"experiment_id": experiment, "sha256": sha256} for experiment, sha256 in blobs]
    if rows:
        connection.execute(insert(Possession), rows)


class NewPiece(NamedTuple):
    """Bytes of a running job's log, and the position of the first of them.

    `events` are the first and the last that begin in them, None where none does.
    """

    job: int
    name: str
    start: int
    content: bytes
    received_at: datetime
    events: EventSpan | None


def add_piece(connection: Connection, piece: NewPiece) -> None:
    """Store a piece of a log."""
    row: dict[str, ColumnValue] = {
        "job_id": piece.job,
        "name": piece.name,
        "start": piece.start,
        "size_bytes": len(piece.content),
        "content": pack(piece.content),
        "received_at": piece.received_at,
    }
    if piece.events is not None:
        row["first_event"], row["last_event"] = piece.events.first, piece.events.last
        row["first_event_clock"] = piece.events.first_clock
        row["last_event_clock"] = piece.events.last_clock
    insert_rows(connection, table_of(LogTailPiece), [row])


def remove_log(connection: Connection, job: int, name: str) -> None:
    """Remove all pieces of a log."""
    connection.execute(
        delete(LogTailPiece).where(LogTailPiece.job_id == job, LogTailPiece.name == name)
    )


def remove_pieces_before(connection: Connection, job: int, name: str, position: int) -> None:
    """Remove the pieces of a log that end at or before a position."""
    is_before = LogTailPiece.start + LogTailPiece.size_bytes <= position
    connection.execute(
        delete(LogTailPiece).where(LogTailPiece.job_id == job, LogTailPiece.name == name, is_before)
    )


def remove_logs_of_jobs(connection: Connection, jobs: Sequence[int]) -> None:
    """Remove the pieces of all logs of these jobs."""
    remove_among(connection, LogTailPiece.job_id, jobs)


def give_turn(connection: Connection, experiment: str, key: str, now: datetime) -> bool:
    """Note that a job of a kind is to be traced; return whether no other was given the turn."""
    row = {"experiment": experiment, "key": key, "given_at": now}
    insert_rows(connection, table_of(TraceTurn), [row], skip_known=True)
    given_at = connection.scalar(select(TraceTurn.given_at).where(*_is_kind(experiment, key)))
    return given_at == now


def take_over_turn(
    connection: Connection, experiment: str, key: str, given_at: datetime, now: datetime
) -> bool:
    """Give a turn to another job; return False if somebody else did so first."""
    is_unchanged = TraceTurn.given_at == given_at
    statement = update(TraceTurn).where(*_is_kind(experiment, key), is_unchanged)
    return connection.execute(statement.values(given_at=now, traced_at=None)).rowcount > 0


def confirm_turn(connection: Connection, experiment: str, key: str, now: datetime) -> None:
    """Note that a job of a kind runs traced, unless its record, or another one's, has come."""
    is_awaited = TraceTurn.traced_at.is_(None)
    statement = update(TraceTurn).where(*_is_kind(experiment, key), is_awaited)
    connection.execute(statement.values(given_at=now))


def remove_turns_before(connection: Connection, experiment: str, moment: datetime) -> None:
    """Remove turns that were given before a moment."""
    statement = delete(TraceTurn).where(TraceTurn.experiment == experiment)
    connection.execute(statement.where(TraceTurn.given_at < moment))


def _is_kind(experiment: str, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return TraceTurn.experiment == experiment, TraceTurn.key == key
