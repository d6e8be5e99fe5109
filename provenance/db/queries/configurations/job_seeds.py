"""Which random engines of listed jobs began with a seed."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.configurations.matched_values import MatchedValue
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.tables import JobSeed, RandomEngine


def matched_seeds(
    connection: Connection, seed: int, jobs: Sequence[int]
) -> dict[int, list[MatchedValue]]:
    """Return the first engines of each job that began with a seed, by key of the job."""
    query = (
        select(JobSeed.job_id, RandomEngine.name)
        .join(RandomEngine, RandomEngine.id == JobSeed.engine_id)
        .where(among(connection, JobSeed.job_id, jobs), JobSeed.seed == seed)
        .order_by(JobSeed.job_id, RandomEngine.name)
    )
    matched: dict[int, list[MatchedValue]] = {}
    for job, engine in connection.execute(query):
        matched.setdefault(job, []).append(MatchedValue(f"seed of {engine}", str(seed)))
    return matched
