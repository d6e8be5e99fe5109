"""Repositories that an operator registered.

Records may only name one; nothing else is ever fetched.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from jobprov.provenance.db.driver import fetch
from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.recording.software_rows import repository_match_key
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.selecting import select_by
from jobprov.provenance.db.tables import Repository, SoftwareRow, WorkItem
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, SoftwareError
from jobprov.provenance.records.reading.checks import word_problem
from jobprov.provenance.services.work.queue import enqueue
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.urls import parse_url

RESOLVE = "resolve"


class RegisteredRepository(NamedTuple):
    """A repository that the service may fetch."""

    id: int
    name: str
    url: str
    match_key: str
    is_local: bool
    fetched_at: datetime | None


def register_repository(writing: Writing, name: str, url: str) -> RegisteredRepository:
    """Register a repository by URL or local path, and have everything resolved that waits for it.

    Raises:
        BadInputError: the URL is none that may be fetched, or the name is none.
        ConflictError: another repository has the name, or the URL is registered under another name.
    """
    connection = writing.connection
    if not name.strip() or word_problem(name):
        raise BadInputError(f"name: {name!r} is no name of a repository.", {"name": ["no name"]})
    is_local = url.startswith("/")
    try:
        parsed = parse_url(url)
    except SoftwareError as problem:
        raise BadInputError(str(problem), {"url": [str(problem)]}) from None
    if not is_local and parsed.scheme not in ("https", "ssh"):
        message = "https and ssh URLs and absolute local paths may be registered, nothing else"
        raise BadInputError(f"{url}: {message}.", {"url": [message]})
    match_key = repository_match_key(url) or url
    table = table_of(Repository)
    for row in connection.execute(
        select(table).where((table.c.name == name) | (table.c.match_key == match_key))
    ):
        if row.name == name and row.match_key == match_key:
            return RegisteredRepository(
                row.id, row.name, row.url, row.match_key, row.is_local, row.fetched_at
            )
        raise ConflictError(f"{row.url} is registered as {row.name} already.")
    [number] = allocate_keys(connection, table, 1)
    row_values = {
        "id": number,
        "name": name,
        "url": url,
        "match_key": match_key,
        "is_local": is_local,
    }
    connection.execute(table.insert(), [row_values])
    enqueue_resolutions(connection)
    return RegisteredRepository(number, name, url, match_key, is_local, None)


def list_repositories(connection: Connection) -> list[RegisteredRepository]:
    """Return the registered repositories by name."""
    query = select(
        Repository.id,
        Repository.name,
        Repository.url,
        Repository.match_key,
        Repository.is_local,
        Repository.fetched_at,
    )
    return [
        RegisteredRepository(*row) for row in connection.execute(query.order_by(Repository.name))
    ]


def fetch_problems(connection: Connection) -> dict[str, str]:
    """Return by match key what went wrong when code of a repository was last looked for.

    Only code that is to be looked for again counts.
    """
    failed = select(WorkItem.key, WorkItem.last_error).where(
        WorkItem.kind == RESOLVE, WorkItem.last_error.is_not(None)
    )
    said = {key: error or "" for key, error in connection.execute(failed.order_by(WorkItem.id))}
    rows = select_by(connection, table_of(SoftwareRow), ("match_key",), ("sha256",), list(said))
    return {row[0]: said[digest] for digest, row in rows.items() if row[0] is not None}


def find_repository(connection: Connection, name: str) -> RegisteredRepository:
    """Return a registered repository by name.

    Raises:
        NotFoundError: none has this name.
    """
    found = [repository for repository in list_repositories(connection) if repository.name == name]
    if not found:
        raise NotFoundError(f"No repository {name} is registered.")
    return found[0]


def enqueue_resolutions(connection: Connection) -> int:
    """Have every software entry resolved that names a registered repository and is not resolved.

    Return how many are new.
    """
    if not fetch(connection, "SELECT id FROM repositories LIMIT 1"):
        return 0
    query = (
        select(SoftwareRow.sha256)
        .join(Repository, Repository.match_key == SoftwareRow.match_key)
        .where(SoftwareRow.resolution_id.is_(None))
    )
    unresolved = [row[0] for row in connection.execute(query)]
    if not unresolved:
        return 0
    waiting = {
        row[0] for row in connection.execute(select(WorkItem.key).where(WorkItem.kind == RESOLVE))
    }
    found = [sha256 for sha256 in unresolved if sha256 not in waiting]
    for sha256 in found:
        enqueue(connection, RESOLVE, sha256)
    return len(found)


def note_fetched(writing: Writing, repository: int) -> None:
    """Note that a repository was fetched just now."""
    writing.connection.execute(
        update(Repository).where(Repository.id == repository).values(fetched_at=datetime.now(UTC))
    )


def repository_json(repository: RegisteredRepository) -> dict[str, Any]:
    """Return a repository as commands and pages show it."""
    fetched = repository.fetched_at.isoformat() if repository.fetched_at else None
    return {
        "name": repository.name,
        "url": repository.url,
        "is_local": repository.is_local,
        "fetched_at": fetched,
    }
