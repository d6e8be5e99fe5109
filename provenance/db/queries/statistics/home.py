"""How much is recorded, from indexes alone."""

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import File, Job


def highest_job_key(connection: Connection) -> int:
    """Return the highest key of a job; 0 without jobs."""
    return connection.execute(select(func.max(Job.id))).scalar_one() or 0


def highest_file_key(connection: Connection) -> int:
    """Return the highest key of a file; 0 without files."""
    return connection.execute(select(func.max(File.id))).scalar_one() or 0
