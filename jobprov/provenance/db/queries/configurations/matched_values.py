"""Which parameters and seeds of listed jobs are why they are in the list."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.configurations.job_sources import sources_of
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch, fetch_among
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.tables import JobSeed, RandomEngine

_MOST_OF_A_JOB = 3

_SETS_OF_JOBS = """
SELECT j.id, e.set_id FROM jobs AS j
JOIN closure_set_members AS m ON m.closure_set_id = j.closure_set_id
JOIN evaluations AS e ON e.closure_id = m.closure_id AND e.experiment_id = j.experiment_id
WHERE e.set_id IS NOT NULL AND j.id {among}
"""
_NAMED = """
SELECT v.id, k.name, v.canonical FROM parameter_values AS v
JOIN parameter_keys AS k ON k.id = v.key_id WHERE v.id {among}
"""


class MatchedValue(NamedTuple):
    """A parameter, a variable as `$NAME` or a seed, and its value as the index keeps it."""

    key: str
    value: str


def matched_values(search: ParameterSearch, jobs: Sequence[int]) -> dict[int, list[MatchedValue]]:
    """Return the first parameters of each job for which a condition holds, by key of the job.

    They are of those that led to the job: fewer than hold where a few led to every job.
    """
    connection = search.connection
    rows = fetch_among(connection, _SETS_OF_JOBS, jobs) if jobs else []
    sets = {found for _, found in rows}
    values_of = search.values_of(sets, _MOST_OF_A_JOB)
    names = _named(connection, set(chain.from_iterable(values_of.values())))
    matched = _matched_sources(connection, search.condition, jobs)
    for job, found in rows:
        of_job = matched.setdefault(job, [])
        for value in values_of.get(found, ()):
            if names[value] not in of_job and len(of_job) < _MOST_OF_A_JOB:
                of_job.append(names[value])
    return matched


def _matched_sources(
    connection: Connection, condition: ParameterCondition, jobs: Sequence[int]
) -> dict[int, list[MatchedValue]]:
    """Return the first source files of each job for which the condition holds."""
    matched: dict[int, list[MatchedValue]] = {}
    for job, key, value in sources_of(connection, condition, jobs):
        of_job = matched.setdefault(job, [])
        if len(of_job) < _MOST_OF_A_JOB:
            of_job.append(MatchedValue(key, value))
    return matched


def _named(connection: Connection, values: Iterable[int]) -> dict[int, MatchedValue]:
    keys = sorted(values)
    rows = fetch_among(connection, _NAMED, keys) if keys else []
    return {key: MatchedValue(name, canonical) for key, name, canonical in rows}


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
