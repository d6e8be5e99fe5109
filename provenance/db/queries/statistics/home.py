"""How much is recorded, from indexes alone."""

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import Experiment, File, Job


def experiment_names(connection: Connection) -> list[str]:
    """Return the names of all experiments, sorted."""
    query = select(Experiment.name).order_by(Experiment.name)
    return list(connection.execute(query).scalars())


def highest_job_key(connection: Connection) -> int:
    """Return the highest key of a job; 0 without jobs."""
    return connection.execute(select(func.max(Job.id))).scalar_one() or 0


def highest_file_key(connection: Connection) -> int:
    """Return the highest key of a file; 0 without files."""
    return connection.execute(select(func.max(File.id))).scalar_one() or 0
