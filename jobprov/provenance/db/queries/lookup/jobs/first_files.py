"""The first file that each job of a list made."""

from collections.abc import Iterable

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import Claim, Experiment, File, Job

_Own = aliased(Claim)
_FIRST_CLAIM = select(func.min(_Own.id)).where(_Own.job_id == Job.id).scalar_subquery()


def first_files(connection: Connection, job_ids: Iterable[str]) -> dict[tuple[str, str], FileName]:
    """Return the first output of each of these jobs, by job id and experiment of the job."""
    query = (
        select(Job.uuid, Job.experiment_id, File.name, File.namespace, File.experiment_id)
        .select_from(Job)
        .join(Claim, Claim.id == _FIRST_CLAIM)
        .join(File, File.id == Claim.file_id)
    )
    rows = list(rows_among(connection, query, Job.uuid, job_ids))
    names = _experiments(connection, {key for row in rows for key in (row[1], row[4])})
    files = {}
    for job_id, of_job, name, namespace, of_file in rows:
        experiment = names[of_file]
        page = file_page(name, experiment, namespace)
        files[job_id, names[of_job]] = FileName(name, namespace, experiment, page)
    return files


def _experiments(connection: Connection, keys: set[int]) -> dict[int, str]:
    rows = connection.execute(select(Experiment.id, Experiment.name).where(Experiment.id.in_(keys)))
    return {row[0]: row[1] for row in rows}
