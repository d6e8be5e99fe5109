"""Ties a database to its archive, so that no other one is taken for it.

An archive is a folder or a bucket, and a folder whose disk is not mounted is an empty folder: blobs
that were written there would be gone with the next mount. So each archive has an identity, a
document of its own, and the database remembers it.

Source: storage.md, "One database, one archive".
"""

import uuid

from sqlalchemy import Engine

from jobprov.archive.errors import DocumentMissingError
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.upkeep import adopt_archive, remember_archive
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.upkeep import known_archive
from jobprov.provenance.errors import ConflictError

UNFINISHED = "unfinished-rebuild"
"""What a database knows instead of an archive while it is rebuilt."""
DOCUMENT = "identity"
"""The name of the document."""


def tie_archive(database: Database, store: Store) -> None:
    """Make sure that the database and the archive belong together.

    If either is new, they do from now on.

    Raises:
        ConflictError: the database belongs to another archive.
        ArchiveUnreachableError: the archive does not answer.
    """
    if _known(database.reading) is None:
        with database.writing.begin() as connection:
            remember_archive(connection, _identity(store) or _give_identity(store))
    # Also where this was the first start: another process may have been faster, with another archive
    check_own_archive(database, store)


def check_own_archive(database: Database, store: Store) -> None:
    """Make sure that this is still the archive that the database belongs to, if it knows one.

    Raises:
        ConflictError: it is another one, or its disk is no longer mounted.
        ArchiveUnreachableError: the archive does not answer.
    """
    problem = strange_archive(_known(database.reading), store)
    if problem is not None:
        raise ConflictError(problem)


def strange_archive(known: str | None, store: Store) -> str | None:
    """Return why this archive is not the one that a database knows; None if it is, or knows none.

    Args:
        known: the identity that the database remembers.
    """
    if known is None:
        return None
    if known == UNFINISHED:
        return (
            "The database was being rebuilt, and that was cut short: it lacks jobs. Empty it, and "
            "run `jobprov rebuild-database` again."
        )
    found = _identity(store)
    if found == known:
        return None
    what = "is empty" if found is None else "belongs to another database"
    return (
        f"The archive {what}: this database was written with the archive {known}. Is its disk "
        "mounted, and is JOBPROV_ARCHIVE_URL right? If that archive is lost for good, "
        "`jobprov archive adopt` makes this one the database's own."
    )


def adopt(database: Database, store: Store) -> str:
    """Make this archive the database's own, whatever it was before; return its identity."""
    identity = _identity(store) or _give_identity(store)
    with database.writing.begin() as connection:
        adopt_archive(connection, identity)
    return identity


def _known(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return known_archive(connection)


def _identity(store: Store) -> str | None:
    try:
        return store.get_document(DOCUMENT).decode("ascii", "replace").strip()
    except DocumentMissingError:
        return None


def _give_identity(store: Store) -> str:
    """Return the identity that the archive has now; of two processes one gives it."""
    given = str(uuid.uuid4())
    store.put_document(DOCUMENT, f"{given}\n".encode())
    return _identity(store) or given
