"""Repositories that an operator registered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import Repository


class RegisteredRepository(NamedTuple):
    """A repository that the service may fetch.

    Attributes:
        match_key: its address in the form in which addresses are compared.
        fetched_at: None before the first fetch.
    """

    id: int
    name: str
    url: str
    match_key: str
    is_local: bool
    fetched_at: datetime | None


REPOSITORY_COLUMNS: Sequence[Any] = [
    getattr(Repository, field) for field in RegisteredRepository._fields
]
"""The columns that make a `RegisteredRepository`."""


def registered_repositories(connection: Connection) -> list[RegisteredRepository]:
    """Return the registered repositories by name."""
    query = select(*REPOSITORY_COLUMNS).order_by(Repository.name)
    return [RegisteredRepository(*row) for row in connection.execute(query)]


def repositories_like(
    connection: Connection, name: str, match_key: str
) -> list[RegisteredRepository]:
    """Return the repositories with this name or this address; there are at most two."""
    query = select(*REPOSITORY_COLUMNS).where(
        (Repository.name == name) | (Repository.match_key == match_key)
    )
    return [RegisteredRepository(*row) for row in connection.execute(query)]


def repository_at(connection: Connection, match_key: str | None) -> RegisteredRepository | None:
    """Return the repository that is registered with this address."""
    query = select(*REPOSITORY_COLUMNS).where(Repository.match_key == match_key)
    row = connection.execute(query).first()
    return None if row is None else RegisteredRepository(*row)


def has_repositories(connection: Connection) -> bool:
    """Return whether any repository is registered."""
    return bool(fetch(connection, "SELECT id FROM repositories LIMIT 1"))
