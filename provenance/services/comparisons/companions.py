"""Which jobs one would put beside a job, to see what is not the same."""

from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.comparisons.companions import companions_of
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.services.lookup.job import find_job

WHY = {
    "attempt": "Other attempts at the same unit",
    "sibling": "Succeeded in the same task",
    "recipe": "The same recipe, run at another time",
    "stage": "Succeeded in the task before, at the same stage",
}


def find_companions(
    connection: Connection, job_id: str, *, experiment: str | None = None
) -> dict[str, Any]:
    """Return `{job, companions: [{why, words, jobs: [summary]}]}`, a few jobs of each kind, newest first.

    Raises:
        NotFoundError: no such job is recorded.
        AmbiguousError: several experiments have it.
    """
    found = find_job(connection, job_id, experiment=experiment)
    chosen = companions_of(connection, found.key)
    return {
        "job": job_summaries(connection, [found.key])[found.key],
        "companions": [
            {"why": why, "words": words, "jobs": chosen[why]}
            for why, words in WHY.items()
            if why in chosen
        ],
    }
