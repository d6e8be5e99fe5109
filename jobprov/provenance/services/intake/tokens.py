"""Write tokens of experiments: made, revoked, and told from guesses.

A token is `prov_<number>_<43 characters>`: the number finds its row, the rest is 256 random bits,
of which only the SHA-256 is kept (so much randomness needs no slow hash). It is shown once, when it
is made. An upload ticket is a token that records jobs of one task and does nothing else: it goes to
worker nodes, which many people run. What other tokens allow, their scopes say: that of a job must not
declare what an agent then runs.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Engine

from jobprov.provenance.db.changes.intake import (
    NewToken,
    add_token,
    end_token,
    mark_revoked,
    next_token_number,
)
from jobprov.provenance.db.queries.intake import StoredToken, find_token, is_any_token_made
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import BadInputError, ForbiddenError, NotFoundError
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.times import minute_text

_SHAPE = re.compile(r"prov_([0-9]{1,15})_[A-Za-z0-9_-]{43}")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NAMES = "1 to 64 letters, digits, _ and -, and begins with a letter or digit"
_SECONDS_KEPT = 5.0
_USE_SECONDS = 3600.0
_WORTHLESS = "The token is unknown, expired or revoked; ask an operator for another."
TICKET_DAYS = 30  # longer than a job waits, runs and lies in a spool


class Scope(StrEnum):
    """What a token may allow."""

    RECORD = "record"
    """Jobs, blobs, logs, verdicts, sightings, queues; making upload tickets."""
    READ = "read"
    """Pages and calls, where reading needs a token."""
    DECLARE = "declare"
    """Tasks and their units, waivers, rules of triage, comparators."""
    RUN = "run"
    """What has programs run: workflows, retries and their policies, the agent."""
    ADMIN = "admin"
    """All of this."""


ALL_SCOPES = frozenset(Scope)
OF_JOBS = frozenset({Scope.RECORD, Scope.READ})
_OF_TICKETS = frozenset({Scope.RECORD})


class WrongTokenError(ForbiddenError):
    """A token is not valid; the message gives the reason, and nothing secret of the token."""


class Grant(NamedTuple):
    """What a token allows.

    Attributes:
        experiment: the one that may be written to; None for all, on a fresh service's own machine.
        submitter: what the ledger keeps of who wrote: the token's number and name, never the token.
        task_id: of an upload ticket the only task whose jobs may be recorded.
        scopes: what may be done.
        is_issued: whether an issuer of the experiment made it (`issued_tokens`).
        person: of a login the name of who is logged in, which stands for who decided something.
    """

    experiment: str | None
    submitter: str | None
    task_id: str | None = None
    scopes: frozenset[Scope] = ALL_SCOPES
    is_issued: bool = False
    person: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it allows what has this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def lack(self, scope: Scope) -> str:
        """Return why something is refused that has this scope."""
        has = ", ".join(sorted(self.scopes)) or "none"
        needs = f"This needs a token with the scope {scope}, and yours has {has}"
        if self.is_issued:
            return f"{needs}: an operator says in JOBPROV_TOKEN_ISSUERS what issued tokens allow."
        return f"{needs}: an operator makes one with `jobprov token create --scope {scope}`."

    def allows(self, experiment: str) -> bool:
        """Whether records of this experiment may be written."""
        return self.experiment is None or self.experiment == experiment

    def allows_record(self, experiment: str, task_id: str | None) -> bool:
        """Whether a record may be written: its experiment, and with a ticket its task too."""
        return self.allows(experiment) and self.task_id in (None, task_id)

    def names(self) -> str:
        """Return what the token is for, for an error about its use for something else."""
        if self.task_id is None:
            return f"{self.experiment}"
        return f"{self.experiment}, task {self.task_id} alone"


def create_token(
    writing: Writing,
    *,
    experiment: str,
    name: str,
    now: datetime,
    days: int | None = None,
    task_id: str | None = None,
    scopes: AbstractSet[Scope] = ALL_SCOPES,
) -> str:
    """Return a new token of the experiment, which is made if it is not known yet.

    It cannot be shown again.

    With `task_id` it is an upload ticket of that task.

    Raises:
        BadInputError: a name that no experiment or token may have.
    """
    if not _EXPERIMENT.fullmatch(experiment):
        raise BadInputError(
            f"{experiment!r} is not a valid name of an experiment: it has {_NAMES}.",
            {"experiment": [_NAMES]},
        )
    if not name or len(name) > 200 or not name.isprintable():  # noqa: PLR2004 - the column's width
        raise BadInputError(
            "A token needs a name of 1 to 200 printable characters.",
            {"name": ["1 to 200 printable characters"]},
        )
    if task_id is not None:
        scopes = _OF_TICKETS
    words = " ".join(sorted(scopes))
    expires_at = None
    if days is not None:
        expires_at = now + timedelta(days=days)
    key = intern_experiments(writing, {experiment})[experiment]
    number = next_token_number(writing.connection)
    token = f"prov_{number}_{secrets.token_urlsafe(32)}"
    stored = NewToken(number, key, name, _digest(token), now, task_id, expires_at, words)
    add_token(writing.connection, stored)
    _enter(writing, key, number, name, "made", task_id=task_id, scopes=words, expires_at=expires_at)
    return token


class NewTicket(NamedTuple):
    """An upload ticket, and when it ends."""

    ticket: str
    expires_at: datetime


def create_ticket(
    writing: Writing, *, experiment: str, task_id: str, now: datetime, days: int = TICKET_DAYS
) -> NewTicket:
    """Return an upload ticket of a task. It cannot be shown again.

    Raises:
        BadInputError: see `create_token`.
    """
    # A task's id may hold anything, a token's name is printed in lists
    characters = [letter if letter.isprintable() else "?" for letter in f"ticket {task_id}"]
    name = "".join(characters)[:200]
    ticket = create_token(
        writing, experiment=experiment, name=name, now=now, days=days, task_id=task_id
    )
    return NewTicket(ticket, now + timedelta(days=days))


def revoke_token(writing: Writing, number: int, now: datetime) -> None:
    """Make a token worthless; services notice within seconds.

    Raises:
        NotFoundError: there is no such token, or it was revoked before.
    """
    token = find_token(writing.connection, number)
    if token is None or not mark_revoked(writing.connection, number, now):
        raise NotFoundError(f"There is no valid token {number}; `jobprov token list` shows them.")
    key = intern_experiments(writing, {token.experiment})[token.experiment]
    _enter(writing, key, number, token.name, "revoked")


def _enter(
    writing: Writing,
    experiment: int,
    number: int,
    name: str,
    what: str,
    *,
    expires_at: datetime | None = None,
    **more: str | None,
) -> None:
    """Have the ledger keep what was done with a token; the token itself is in no ledger."""
    document: dict[str, object] = {"number": number, "name": name, "what": what, **more}
    if expires_at is not None:
        document["expires_at"] = expires_at.isoformat()
    enter_document(writing, experiment, "token", document)


def looks_issued(token: str) -> bool:
    """Return whether a text has the form of a JWT, which no token of ours has."""
    return token.count(".") == 2  # noqa: PLR2004 - header, claims, signature


def looks_like_token(text: str) -> bool:
    """Return whether a text has the form of a token, ours or issued."""
    return _SHAPE.fullmatch(text) is not None or looks_issued(text)


class Rotation(NamedTuple):
    """A token that takes the place of another.

    Attributes:
        token: the new one; it cannot be shown again.
        old_ends_at: when the old one ends.
    """

    token: str
    old_ends_at: datetime


def rotate_token(writing: Writing, number: int, *, now: datetime, keep: timedelta) -> Rotation:
    """Return a new token like another, which ends a little later.

    It allows the same, has the same name and lasts as long as the other did from its beginning.

    Args:
        now: when the new one begins.
        keep: how long the old one stays good, unless it ends before.

    Raises:
        NotFoundError: there is no such token, or it has ended.
        BadInputError: it is an upload ticket.
    """
    old = find_token(writing.connection, number)
    if old is None or old.revoked_at is not None or _end_of(old) <= now.timestamp():
        raise NotFoundError(f"There is no valid token {number}; `jobprov token list` shows them.")
    if old.task_id is not None:
        raise BadInputError(
            f"Token {number} is an upload ticket, which is made anew instead (`jobprov register`).",
            {"number": ["an upload ticket"]},
        )
    days = None if old.expires_at is None else max(1, (old.expires_at - old.created_at).days)
    token = create_token(
        writing,
        experiment=old.experiment,
        name=old.name,
        now=now,
        days=days,
        scopes={Scope(word) for word in old.scopes.split()},
    )
    ends_at = now + keep
    if old.expires_at is not None:
        ends_at = min(ends_at, old.expires_at)
    end_token(writing.connection, number, ends_at)
    key = intern_experiments(writing, {old.experiment})[old.experiment]
    _enter(writing, key, number, old.name, "replaced", expires_at=ends_at)
    return Rotation(token, ends_at)


class _RememberedGrant(NamedTuple):
    """What a token allows, until when that is believed, and when the token itself ends.

    Attributes:
        until: of the monotonic clock.
        ends: seconds since 1970, `inf` for a token that does not expire.
    """

    until: float
    grant: Grant
    ends: float


class TokenBook:
    """Looks tokens up and remembers the answers for five seconds; thread-safe.

    Args:
        note_use: told the number of a token that is used, some times an hour.
    """

    def __init__(self, engine: Engine, note_use: Callable[[int], None] | None = None) -> None:
        self._engine, self._note_use = engine, note_use
        self._noted: dict[int, float] = {}
        self._lock = threading.Lock()
        self._grants: dict[str, _RememberedGrant] = {}
        self._exist = False
        self._ask_again_at = 0.0
        self._asking = threading.Lock()

    def grant(self, token: str) -> Grant:
        """Return what the token allows.

        Raises:
            WrongTokenError: it is unknown, expired or revoked.
        """
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            raise WrongTokenError(_WORTHLESS)
        digest = _digest(token)
        moment = time.monotonic()
        remembered = self._grants.get(digest)
        if remembered is not None and moment < remembered.until and time.time() < remembered.ends:
            return remembered.grant
        return self._look_up(digest, int(shape.group(1)), moment)

    def exist(self) -> bool:
        """Return whether any token but tickets was ever made.

        Before the first, writing is for this machine alone.
        """
        # Tokens are revoked but never deleted, so that only "none yet" is asked again, once a second
        if self._exist or time.monotonic() < self._ask_again_at:
            return self._exist
        with self._asking:
            if time.monotonic() >= self._ask_again_at:
                with self._engine.connect() as connection:
                    self._exist = is_any_token_made(connection)
                self._ask_again_at = time.monotonic() + 1.0
        return self._exist

    def _look_up(self, digest: str, number: int, moment: float) -> Grant:
        """Return what a token in the database allows, and remember it.

        Raises:
            WrongTokenError: nothing. Only who has the token is told why.
        """
        with self._engine.connect() as connection:
            token = find_token(connection, number)
        # In constant time: how long a comparison takes must not help guess the digest
        if token is None or not hmac.compare_digest(token.sha256, digest):
            raise WrongTokenError(_WORTHLESS)
        if token.revoked_at is not None:
            raise WrongTokenError(_over(number, "was revoked", token.revoked_at))
        ends = _end_of(token)
        if token.expires_at is not None and time.time() >= ends:
            raise WrongTokenError(_over(number, "expired", token.expires_at))
        scopes = frozenset(Scope(word) for word in token.scopes.split())
        submitter = f"token {number} {token.name}"[:200]
        grant = Grant(token.experiment, submitter, token.task_id, scopes)
        with self._lock:
            if len(self._grants) > 10_000:  # noqa: PLR2004 - more tokens than an experiment has
                self._grants.clear()
            self._grants[digest] = _RememberedGrant(moment + _SECONDS_KEPT, grant, ends)
        if token.task_id is None:
            self._note(number, token.last_used_at)
        return grant

    def _note(self, number: int, last_used_at: datetime | None) -> None:
        """Have it noted that a token is used, if that was not done within the hour."""
        now = time.time()
        known = last_used_at.timestamp() if last_used_at is not None else 0.0
        if self._note_use is None or now - known < _USE_SECONDS:
            return
        with self._lock:
            # Tried once an hour, also where it cannot be written
            if now - self._noted.get(number, 0.0) < _USE_SECONDS:
                return
            self._noted[number] = now
        self._note_use(number)


def _over(number: int, what: str, when: datetime) -> str:
    """Return why a token is worth nothing any more, for those who have it."""
    return f"Token {number} {what} on {minute_text(when)}; ask an operator for another."


def _end_of(token: StoredToken) -> float:
    """Return when a token expires, in seconds since 1970."""
    if token.expires_at is None:
        return float("inf")
    return token.expires_at.timestamp()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
