"""Write tokens of experiments: made, listed, revoked, and told from guesses.

A token is `prov_<number>_<43 characters>`: the number finds its row, the rest is 256 random bits,
of which only the SHA-256 is kept (so much randomness needs no slow hash). It is shown once, when it
is made. An upload ticket is a token that records jobs of one task and does nothing else: it goes to
worker nodes, which many people run.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select, update

from jobprov.provenance.db.base import EPOCH
from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Experiment, WriteToken
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.writing import Writing

_SHAPE = re.compile(r"prov_([0-9]{1,15})_[A-Za-z0-9_-]{43}")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECONDS_KEPT = 5.0
TICKET_DAYS = 30  # longer than a job waits, runs and lies in a spool


class Grant(NamedTuple):
    """What a token allows.

    Attributes:
        experiment: the one that may be written to; None for all, on a fresh service's own machine.
        submitter: what the ledger keeps of who wrote: the token's number and name, never the token.
        task_id: of an upload ticket the only task whose jobs may be recorded.
    """

    experiment: str | None
    submitter: str | None
    task_id: str | None = None

    def allows(self, experiment: str) -> bool:
        """Whether records of this experiment may be written."""
        return self.experiment is None or self.experiment == experiment

    def allows_record(self, experiment: str, task_id: str | None) -> bool:
        """Whether a record may be written: its experiment, and with a ticket its task too."""
        return self.allows(experiment) and self.task_id in (None, task_id)

    def names(self) -> str:
        """Return what the token is of, for people who used it for something else."""
        return (
            f"{self.experiment}"
            if self.task_id is None
            else f"{self.experiment}, task {self.task_id} alone"
        )


class TokenRow(NamedTuple):
    """A token as operators see it, in a list."""

    number: int
    experiment: str
    name: str
    task_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def create_token(
    writing: Writing,
    *,
    experiment: str,
    name: str,
    now: datetime,
    days: int | None = None,
    task_id: str | None = None,
) -> str:
    """Return a new token of the experiment, which is made if it is not known yet.

    It cannot be shown again.

    With `task_id` it is an upload ticket of that task.

    Raises:
        BadInputError: a name that no experiment or token may have.
    """
    if not _EXPERIMENT.fullmatch(experiment):
        raise BadInputError(
            f"{experiment!r} is no name of an experiment.",
            {"experiment": ["letters, digits and . _ - only"]},
        )
    if not name or len(name) > 200 or not name.isprintable():  # noqa: PLR2004 - the column's width
        raise BadInputError(
            "A token needs a name of 1 to 200 printable characters.",
            {"name": ["1 to 200 printable characters"]},
        )
    key = intern_experiments(writing, {experiment})[experiment]
    number = allocate_keys(writing.connection, table_of(WriteToken), 1)[0]
    token = f"prov_{number}_{secrets.token_urlsafe(32)}"
    row = {
        "id": number,
        "experiment_id": key,
        "name": name,
        "sha256": _digest(token),
        "created_at": now,
        "task_id": task_id,
    }
    expires_at = now + timedelta(days=days) if days is not None else None
    writing.connection.execute(insert(table_of(WriteToken)).values(**row, expires_at=expires_at))
    return token


def create_ticket(
    writing: Writing, *, experiment: str, task_id: str, now: datetime, days: int = TICKET_DAYS
) -> tuple[str, datetime]:
    """Return an upload ticket of a task, and when it ends. It cannot be shown again.

    Raises:
        BadInputError: see `create_token`.
    """
    name = "".join(
        character if character.isprintable() else "?" for character in f"ticket {task_id}"
    )[:200]
    ticket = create_token(
        writing, experiment=experiment, name=name, now=now, days=days, task_id=task_id
    )
    return ticket, now + timedelta(days=days)


def list_tokens(connection: Connection) -> list[TokenRow]:
    """Return every token that was made, revoked ones too, in the order of making."""
    query = (
        select(
            WriteToken.id,
            Experiment.name,
            WriteToken.name,
            WriteToken.task_id,
            WriteToken.created_at,
            WriteToken.expires_at,
            WriteToken.revoked_at,
        )
        .join(Experiment, Experiment.id == WriteToken.experiment_id)
        .order_by(WriteToken.id)
    )
    return [TokenRow(*row) for row in connection.execute(query)]


def revoke_token(connection: Connection, number: int, now: datetime) -> None:
    """Make a token worthless; services notice within seconds.

    Raises:
        NotFoundError: there is no such token, or it was revoked before.
    """
    statement = (
        update(WriteToken)
        .where(WriteToken.id == number, WriteToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if connection.execute(statement).rowcount == 0:
        raise NotFoundError(f"There is no valid token {number}; `jobprov token list` shows them.")


class TokenBook:
    """Looks tokens up, remembering what was found for five seconds; thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._grants: dict[str, tuple[float, Grant, float]] = {}
        self._exists: tuple[float, bool] = (0.0, False)

    def grant(self, token: str) -> Grant | None:
        """Return what the token allows, or None where it is unknown, expired or revoked."""
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            return None
        digest = _digest(token)
        moment = time.monotonic()
        found = self._grants.get(digest)
        if found is not None and moment < found[0] and time.time() < found[2]:
            return found[1]
        return self._look_up(digest, int(shape.group(1)), moment)

    def exist(self) -> bool:
        """Return whether any token but tickets was ever made.

        Before the first, writing is for this machine alone.
        """
        moment = time.monotonic()
        if not self._exists[1] and moment >= self._exists[0]:
            with self._engine.connect() as connection:
                query = (
                    select(func.count()).select_from(WriteToken).where(WriteToken.task_id.is_(None))
                )
                count = connection.execute(query).scalar_one()
            self._exists = (moment + 1.0, count > 0)
        return self._exists[1]

    def _look_up(self, digest: str, number: int, moment: float) -> Grant | None:
        query = (
            select(
                WriteToken.sha256,
                WriteToken.name,
                WriteToken.expires_at,
                WriteToken.revoked_at,
                Experiment.name,
                WriteToken.task_id,
            )
            .join(Experiment, Experiment.id == WriteToken.experiment_id)
            .where(WriteToken.id == number)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not hmac.compare_digest(row[0], digest) or row[3] is not None:
            return None
        ends = (row[2] - EPOCH).total_seconds() if row[2] is not None else float("inf")
        if time.time() >= ends:
            return None
        grant = Grant(row[4], f"token {number} {row[1]}"[:200], row[5])
        with self._lock:
            if len(self._grants) > 10_000:  # noqa: PLR2004 - more tokens than an experiment has
                self._grants.clear()
            self._grants[digest] = (moment + _SECONDS_KEPT, grant, ends)
        return grant


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
