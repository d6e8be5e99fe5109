"""Repositories that an operator registered. Only these are fetched, whatever records name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from sqlalchemy import Connection

from jobprov.provenance.capture.secrets.texts import redact_text
from jobprov.provenance.db.changes.code import add_repository, note_fetched_at
from jobprov.provenance.db.queries.code.repositories import (
    RegisteredRepository,
    has_repositories,
    registered_repositories,
    repositories_like,
)
from jobprov.provenance.db.queries.code.resolutions import RESOLVE, all_last_errors, waiting_digests
from jobprov.provenance.db.queries.code.software import match_keys, unresolved_digests
from jobprov.provenance.db.recording.software_rows import repository_match_key
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, SoftwareError
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.records.reading.checks import word_problem
from jobprov.provenance.services.code.product_maps import waiting_products
from jobprov.provenance.services.work.queue import enqueue_all
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.urls import parse_url


def register_repository(writing: Writing, name: str, url: str) -> RegisteredRepository:
    """Register a repository by URL or local path, and queue the code that waits for it.

    Raises:
        BadInputError: the URL may not be fetched, or the name is not valid.
        ConflictError: another repository has the name, or the URL is registered under another name.
    """
    connection = writing.connection
    if not name.strip() or word_problem(name):
        raise BadInputError(
            f"name: {name!r} is not a valid name of a repository.", {"name": ["no name"]}
        )
    is_local = url.startswith("/")
    if is_local and not _is_repository(Path(url)):
        message = f"There is no git repository at {url}."
        raise BadInputError(message, {"url": ["no git repository"]})
    _check_url(url, is_local=is_local)
    match_key = repository_match_key(url) or url
    for registered in repositories_like(connection, name, match_key):
        if registered.name == name and registered.match_key == match_key:
            return registered
        raise ConflictError(f"{registered.url} is registered as {registered.name} already.")
    added = add_repository(connection, name, url, match_key=match_key, is_local=is_local)
    enqueue_resolutions(connection)
    enqueue_all(connection, RESOLVE, waiting_products(connection, added.id))
    return added


def _check_url(url: str, *, is_local: bool) -> None:
    try:
        parsed = parse_url(url)
    except SoftwareError as problem:
        raise BadInputError(str(problem), {"url": [str(problem)]}) from None
    if not is_local and parsed.scheme not in ("https", "ssh"):
        message = "https and ssh URLs and absolute local paths may be registered, nothing else"
        raise BadInputError(f"{url}: {message}.", {"url": [message]})


def _is_repository(folder: Path) -> bool:
    """Return whether a folder is a checkout or a bare repository."""
    return (folder / ".git").exists() or (folder / "HEAD").is_file()


def fetch_problems(connection: Connection) -> dict[str, str]:
    """Return the last error in resolving code of each repository, by its match key.

    Only code that will be tried again counts.
    """
    errors = all_last_errors(connection)
    repositories = match_keys(connection, errors)
    return {match_key: errors[digest] for digest, match_key in repositories.items()}


def find_repository(connection: Connection, name: str) -> RegisteredRepository:
    """Return a registered repository by name.

    Raises:
        NotFoundError: none has this name.
    """
    for repository in registered_repositories(connection):
        if repository.name == name:
            return repository
    raise NotFoundError(f"No repository {name} is registered.")


def enqueue_resolutions(connection: Connection) -> int:
    """Queue every unresolved software entry that names a registered repository.

    Return how many were not queued before.
    """
    return enqueue_unresolved(connection) if has_repositories(connection) else 0


def enqueue_unresolved(connection: Connection) -> int:
    """Queue every unresolved software entry; the caller knows that there are repositories."""
    unresolved = unresolved_digests(connection)
    if not unresolved:
        return 0
    waiting = waiting_digests(connection)
    fresh = [sha256 for sha256 in unresolved if sha256 not in waiting]
    enqueue_all(connection, RESOLVE, fresh)
    return len(fresh)


def enqueue_carried(connection: Connection, entries: Mapping[str, Software]) -> None:
    """Queue the software entries, by digest, whose code a record brings."""
    carried = [digest for digest, entry in entries.items() if entry.objects_sha256]
    if carried:
        enqueue_all(connection, RESOLVE, carried)


def note_fetched(writing: Writing, repository: int) -> None:
    """Note that a repository was fetched just now."""
    note_fetched_at(writing.connection, repository, datetime.now(UTC))


class RepositoryJson(TypedDict):
    """A repository as commands and pages show it."""

    name: str
    url: str
    is_local: bool
    fetched_at: str | None


def repository_json(repository: RegisteredRepository) -> RepositoryJson:
    """Return a repository as commands and pages show it, without the password in its address."""
    fetched = repository.fetched_at.isoformat() if repository.fetched_at else None
    return {
        "name": repository.name,
        "url": redact_text(repository.url),
        "is_local": repository.is_local,
        "fetched_at": fetched,
    }
