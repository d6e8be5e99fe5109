"""Jobs whose gaps may be other ones, by what has come or gone."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import (
    Closure,
    ClosureSetMember,
    Experiment,
    Job,
    SoftwareRow,
    SoftwareSetMember,
)
from jobprov.provenance.db.writer.keys import chunks


def jobs_using(connection: Connection, software_sha256: str) -> list[int]:
    """Return the keys of the jobs that used a software entry."""
    sets = (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(SoftwareRow.sha256 == software_sha256)
    )
    query = select(Job.id).where(Job.software_set_id.in_(sets)).order_by(Job.id)
    return list(connection.execute(query).scalars())


def jobs_configured(connection: Connection, experiment: int, closure_sha256: str) -> list[int]:
    """Return the keys of the jobs of an experiment that ran a configuration."""
    sets = (
        select(ClosureSetMember.closure_set_id)
        .join(Closure, Closure.id == ClosureSetMember.closure_id)
        .where(Closure.sha256 == closure_sha256)
    )
    query = (
        select(Job.id)
        .where(Job.closure_set_id.in_(sets), Job.experiment_id == experiment)
        .order_by(Job.id)
    )
    return list(connection.execute(query).scalars())


def jobs_called(connection: Connection, experiment: str, job_ids: Sequence[str]) -> list[int]:
    """Return the keys of the jobs of an experiment that have these job ids."""
    query = (
        select(Job.id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Experiment.name == experiment)
    )
    jobs: list[int] = []
    for part in chunks(job_ids):
        jobs.extend(connection.execute(query.where(Job.uuid.in_(part))).scalars())
    return sorted(jobs)
