"""Write tokens as they are stored: only the SHA-256 of each is kept."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import Experiment, WriteToken


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
    """What a token is checked against.

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


def list_tokens(connection: Connection) -> list[TokenRow]:
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
