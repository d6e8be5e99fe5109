"""What the home page shows: the newest jobs, what campaigns there are, how much is recorded."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.queries.lookup.jobs import JobFilters, list_job_rows
from jobprov.provenance.db.tables import Experiment, File, Job
from jobprov.provenance.services.reruns.reproduction import reproduction_facts

NEWEST = 20


def home_facts(connection: Connection) -> dict[str, Any]:
    """Return `{experiments, newest, job_count, file_count, reproduction}`.

    Counts come from indexes alone.

    `file_count` is the highest key: files are never removed, so it is their number, or a little
    more.
    """
    newest = [
        summary for _, summary in list_job_rows(connection, JobFilters(), limit=NEWEST, before=None)
    ]
    files = connection.execute(select(func.max(File.id))).scalar_one() or 0
    experiments = [
        row[0] for row in connection.execute(select(Experiment.name).order_by(Experiment.name))
    ]
    return {
        "experiments": experiments,
        "newest": newest,
        "job_count": connection.execute(select(func.max(Job.id))).scalar_one() or 0,
        "file_count": files,
        "reproduction": reproduction_facts(connection, datetime.now(UTC)),
    }
