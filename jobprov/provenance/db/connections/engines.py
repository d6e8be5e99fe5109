"""Opens the database: SQLite by default, PostgreSQL by URL, with the settings that each needs.

Source: storage.md, "SQLite, PostgreSQL" (WAL, synchronous FULL, BEGIN IMMEDIATE for the one
writer).
"""

import sqlite3
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from jobprov.provenance.errors import BadInputError, UnreachableError

BUSY_MILLISECONDS = 15_000
_WRITING_CACHE, READING_CACHE = 16_384, 8192
"""Kilobytes of pages that a connection keeps.

A worker has one that writes, and one a thread that reads what the system keeps as well.
"""
_WRITING_STATEMENTS = 512
"""Prepared statements that the writer keeps: some tables have one for each power of two of rows."""


_FILE = "jobprov-file"
"""Of a connection: the file that it was opened on."""


class Database(NamedTuple):
    """Two engines on one database: readers never wait, and the writer takes its lock at once.

    A reading connection sees one state of the database until it commits: an answer takes several
    statements, and rows of files are written anew, under new keys, whenever somebody tells more of
    a job.
    """

    reading: Engine
    writing: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether one process alone may write."""
        return self.reading.dialect.name == "sqlite"

    def dispose(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.writing.dispose()


def unanswered(problem: OperationalError) -> UnreachableError:
    """Return the error with the reason why a database does not answer."""
    # libpq adds lines of its own, such as a question
    reason = str(problem.orig).partition("\n")[0].rstrip(".")
    advice = "; check JOBPROV_DATABASE_URL, and the server there"
    if isinstance(problem.orig, sqlite3.Error):
        advice = "; check the disk, its space and permissions"
        if "locked" in reason:
            advice = " by another program; `fuser` and the file's path show which"
    return UnreachableError(f"The database does not answer: {reason}{advice}.")


def is_mistaken(problem: OperationalError) -> bool:
    """Return whether a database did answer, and the statement was wrong.

    SQLite says so by the error that it has for a database that is locked as well; PostgreSQL's
    driver has another. Source: Python's documentation, `sqlite_errorcode`.
    """
    return getattr(problem.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def open_database(url: str) -> Database:
    """Return the engines for `url`; nothing is connected yet.

    Raises:
        BadInputError: the URL cannot be understood, or names a database that is not supported.
        UnreachableError: its packages are not installed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        shown = "…@" + url.rpartition("@")[2] if "@" in url else url  # before it stands a password
        raise _no_database(f"{shown!r} is not a database URL") from None
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url, parsed.database)
    if parsed.get_backend_name() == "postgresql":
        _need_psycopg()
        # Only here, since it imports the driver, which is installed for PostgreSQL alone
        from jobprov.provenance.db.connections.postgresql import open_postgresql  # noqa: PLC0415

        reading, writing = open_postgresql(parsed)
        return Database(reading, writing)
    raise _no_database(f"{parsed.get_backend_name()} is not supported")


def _no_database(what: str) -> BadInputError:
    message = (
        f"{what}; JOBPROV_DATABASE_URL, or --into, is sqlite:///FILE or "
        "postgresql+psycopg://HOST/NAME."
    )
    return BadInputError(message, {"JOBPROV_DATABASE_URL": ["no database URL"]})


def _need_psycopg() -> None:
    try:
        import_module("psycopg")
    except ImportError as error:
        raise UnreachableError(
            f"PostgreSQL needs packages that are not installed ({error}): "
            "`./scripts/setup production`, or pip install 'jobprov[postgresql]'."
        ) from None


def _open_sqlite(url: str, file: str | None) -> Database:
    if not file or file == ":memory:":
        raise UnreachableError(
            "An SQLite database needs a file: in memory, each connection would have its own."
        )
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    reading = create_engine(url, pool_size=16, max_overflow=16)
    writing = create_engine(
        url, pool_size=1, max_overflow=4, connect_args={"cached_statements": _WRITING_STATEMENTS}
    )
    for engine, begin, cache in (
        (reading, "BEGIN", READING_CACHE),
        (writing, "BEGIN IMMEDIATE", _WRITING_CACHE),
    ):
        event.listen(engine, "connect", partial(set_up_sqlite, cache))
        event.listen(engine, "begin", _beginner(begin))
    _check_file_before_writing(writing, Path(file))
    return Database(reading, writing)


def set_up_sqlite(cache_kilobytes: int, connection: sqlite3.Connection, _record: Any) -> None:
    """Set up a new connection of the driver."""
    connection.isolation_level = None  # transactions begin where we say so, by the event below
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "foreign_keys=ON",
        f"cache_size=-{cache_kilobytes}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _check_file_before_writing(writing: Engine, file: Path) -> None:
    """Have each transaction that writes look whether the database still is the file of its name.

    Where it was removed or another one put in its place, SQLite writes on into the file that
    nobody finds any more: what is acknowledged then is gone when the service stops.
    """

    def note(_connection: sqlite3.Connection, record: Any) -> None:
        record.info[_FILE] = _identity(file)

    def check(connection: Connection) -> None:
        if connection.info[_FILE] != _identity(file):
            raise UnreachableError(
                f"The database {file} was removed or replaced while the service was using it. "
                "Stop the service, put the database back, and start it again."
            )

    event.listen(writing, "connect", note)
    event.listen(writing, "begin", check, insert=True)  # before it locks anything


def _identity(file: Path) -> tuple[int, int] | None:
    """Return by what the system knows a file, whatever its name; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _beginner(statement: str) -> Any:
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    return begin
