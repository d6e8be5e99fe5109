"""Brings the schema of a database up to date, or back.

Every way in is one transaction, so that it happens wholly or not.

The migrations are the folder `migrations` of the package: an installed service needs no checkout
and no ini file. Alembic itself is imported only where a schema changes: each start of a service,
and each command on its database, first looks whether the schema is current.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InternalError, NotSupportedError, OperationalError

from jobprov.provenance.db.connections.engines import open_database, unanswered
from jobprov.provenance.db.tables.name_index import drop_name_index, has_name_index, make_name_index
from jobprov.provenance.db.writer.advisory_locks import MIGRATING
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.progress import tell

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parents[3] / "migrations"
VERSIONS = FOLDER / "versions"
_WAIT = "300s"
_LOCK_TIMEOUT = "10s"  # rather fail than stand in the way of everybody's reading and writing
_STATEMENT_TIMEOUT = "1h"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`, unless it is there already.

    The index of file names is made where it is missing and can be.

    Raises:
        UnreachableError: the database does not answer, or others hold its tables.
    """
    with changing_schema(url) as connection:
        from alembic import command  # noqa: PLC0415 - see above

        tell("bringing the schema up to date")
        command.upgrade(settings_for(connection), revision)
        tell("making the index of parts of names")
        make_name_index(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision`, `base` for an empty one.

    What later tables held is lost.

    Raises:
        UnreachableError: the database does not answer, or others hold its tables.
    """
    with changing_schema(url) as connection:
        from alembic import command  # noqa: PLC0415 - see above

        # An earlier version would not keep it up to date; the next upgrade makes it again
        drop_name_index(connection)
        command.downgrade(settings_for(connection), revision)


def stamp(url: str, revision: str = "head") -> None:
    """Note that the database is at `revision` without changing a table."""
    with changing_schema(url) as connection:
        from alembic import command  # noqa: PLC0415 - see above

        command.stamp(settings_for(connection), revision)


def current_revision(url: str) -> str | None:
    """Return the revision of the database, None where it has no schema of ours.

    Raises:
        UnreachableError: the database does not answer.
    """
    database = open_database(url)
    try:
        with database.reading.connect() as connection:
            return _revision(connection)
    except OperationalError as problem:
        raise unanswered(problem) from None
    finally:
        database.dispose()


def finds_parts_of_names(url: str) -> bool:
    """Return whether the database has the index by which parts of file names are found."""
    database = open_database(url)
    try:
        with database.reading.connect() as connection:
            return has_name_index(connection)
    finally:
        database.dispose()


def newest_revision() -> str:
    """Return the one head of the migrations."""
    revisions = known_revisions()
    if not revisions:
        message = f"no migrations in {FOLDER}: the installation is not complete"
        raise RuntimeError(message)
    return revisions[-1]


def known_revisions() -> list[str]:
    """Return the revisions that this version can bring a database to, in order.

    The file of each is called `REVISION_what_it_does.py`, as `migrations/draft.py` writes it.
    """
    return sorted(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*_*.py"))


def is_current(url: str) -> bool:
    """Return whether the database has the schema that this version of the service needs.

    Raises:
        UnreachableError: the database does not answer, or another version of the service made its
            schema, one before 0.1.0 or a newer one.
    """
    revision = current_revision(url)
    _check_known(revision)
    return revision == newest_revision()


def _revision(connection: Connection) -> str | None:
    """Return what Alembic noted, None where it noted nothing."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _check_known(revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        raise UnreachableError(
            f"This version ends at schema {newest_revision()} and cannot use the database, whose "
            f"schema is {revision}; nothing was changed. If a newer version of jobprov was "
            "started on it, start that one again: only a backup from before leads back. If it is "
            "from before 0.1.0, rebuild it from its archive with `jobprov rebuild-database`."
        )


def upgrade_local(url: str) -> Path | None:
    """Bring a local SQLite up to date, after a copy of it where it holds anything.

    Return the copy's path.

    Raises:
        UnreachableError: it is no SQLite: a server's schema changes only when its operator says so.
    """
    database = open_database(url)
    is_sqlite = database.is_sqlite
    database.dispose()
    if not is_sqlite:
        raise UnreachableError(
            "The schema of this database is not up to date: run `jobprov migrate`."
        )
    if is_current(url):
        return None
    copy = _copy_sqlite(url) if current_revision(url) is not None else None
    upgrade(url)
    return copy


def settings_for(connection: Connection) -> "Config":
    """Return what Alembic needs to work on an open connection."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def changing_schema(url: str) -> Iterator[Connection]:
    """Yield a connection in which the schema is changed, in one transaction, committed at the end.

    One process at a time can do this.
    """
    database = open_database(url)
    try:
        with database.writing.connect() as connection:
            _prepare(connection)
            before = _revision(connection)
            _check_known(before)
            yield connection
            # It reads every row: 77 s of ten million jobs, in which nobody can record
            if _revision(connection) != before:
                _check_references(connection)
            connection.commit()
    except OperationalError as problem:
        raise UnreachableError(
            f"The schema cannot be changed now, nothing was: {problem.orig}."
        ) from None
    except (NotSupportedError, InternalError) as problem:
        raise UnreachableError(
            f"The schema cannot be changed, nothing was: {problem.orig}. Views and the like that "
            "stand on these tables are not ours: drop them, and make them again afterwards."
        ) from None
    finally:
        database.dispose()


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # batch mode drops tables that others refer to; the switch works only outside a transaction
        driver = connection.connection.driver_connection
        if driver is not None:
            driver.execute("PRAGMA foreign_keys=OFF")
        # Alembic would commit each migration of a database that it takes for one without
        # transactions for tables
        connection.begin()
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}'")
    # two services that start at once migrate one after the other
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATING})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'")


def _check_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        table, _row, referred, _key = broken
        raise UnreachableError(
            f"After the migration a row of {table} refers to nothing in {referred}; nothing was "
            "changed."
        )


def _copy_sqlite(url: str) -> Path:
    """Copy a local database beside itself; `VACUUM INTO` sees one state, whoever writes."""
    source = Path(str(make_url(url).database))
    copy = source.with_name(f"{source.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}.before-migration")
    database = open_database(url)
    with database.reading.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is not None:
            driver.execute("VACUUM INTO ?", (str(copy),))
    database.dispose()
    return copy
