"""The archive that the database belongs to."""

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import OwnArchive


def known_archive(connection: Connection) -> str | None:
    """Return the identity of the archive that the database was written with; None if it is new."""
    return connection.execute(select(OwnArchive.identity)).scalar_one_or_none()
