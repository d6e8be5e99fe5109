"""Which jobs one would compare with a job."""

from sqlalchemy import Connection

from jobprov.provenance.answers.comparisons.companions import CompanionGroup, JobCompanions
from jobprov.provenance.db.queries.comparisons.companions import companions_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.services.lookup.job import find_job

WHY = {
    "attempt": "Other attempts at the same unit",
    "sibling": "Succeeded in the same task",
    "recipe": "The same recipe, run at another time",
    "stage": "Succeeded in the task before, at the same stage",
}


def find_companions(
    connection: Connection, job_id: str, *, experiment: str | None = None
) -> JobCompanions:
    """Return which jobs one would compare a job with, a few of each kind.

    Raises:
        NotFoundError: no such job is recorded.
        AmbiguousError: several experiments have it.
    """
    job = find_job(connection, job_id, experiment=experiment)
    companions = companions_of(connection, job.key)
    groups = []
    for why, title in WHY.items():
        if why in companions:
            groups.append(CompanionGroup(why, title, companions[why]))
    return JobCompanions(summaries_of(connection, [job.key])[job.key], groups)
