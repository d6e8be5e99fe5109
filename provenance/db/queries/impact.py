"""Files that some jobs made, and all that was made from these."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Subquery, func, select

from provenance.db.keys import chunks
from provenance.db.queries.jobs import JobFilters, narrowed, selected
from provenance.db.queries.parameters import ParameterCondition, closures_with, narrowed_to_closures
from provenance.db.tables import Claim, Experiment, File, Job, Stage, TaskRow

MOST_SEEDS = 100_000
MOST_FILES = 1_000_000


class TouchedFile(NamedTuple):
    """A file that jobs made; the job and task that made it."""

    claim: int
    name: str
    namespace: str
    experiment: str
    job_id: str
    task_id: str | None
    stage: str | None


def jobs_that(connection: Connection, filters: JobFilters, condition: ParameterCondition | None) -> Subquery | None:
    """Return the jobs that pass the filters, as a subquery of their keys (`id`); None where no configuration holds the condition."""
    query = narrowed(selected(Job.id.label("id")), filters).where(Job.rerun_of.is_(None))
    if condition is None:
        return query.subquery()
    closures = closures_with(connection, condition)
    return narrowed_to_closures(connection, query, closures).subquery() if closures else None


def count_made(connection: Connection, jobs: Subquery) -> tuple[int, int]:
    """Return how many jobs these are, and how many files they made."""
    count = connection.execute(select(func.count()).select_from(jobs)).scalar_one()
    files = select(func.count()).select_from(jobs).join(Claim, Claim.job_id == jobs.c.id)
    return count, connection.execute(files.where(Claim.alias_of.is_(None))).scalar_one()


def made_claims(connection: Connection, jobs: Subquery, *, most: int) -> list[int]:
    """Return the claims of these jobs, at most `most`."""
    query = select(Claim.id).select_from(jobs).join(Claim, Claim.job_id == jobs.c.id)
    return [row[0] for row in connection.execute(query.order_by(Claim.id).limit(most))]


def touched_files(connection: Connection, claims: Sequence[int]) -> Iterator[TouchedFile]:
    """Yield the files of claims in their order; other names of the same bytes are left out."""
    for part in chunks(claims):
        query = (
            select(Claim.id, File.name, File.namespace, Experiment.name, Job.uuid, TaskRow.task_id, Stage.name)
            .join(File, File.id == Claim.file_id)
            .join(Experiment, Experiment.id == File.experiment_id)
            .join(Job, Job.id == Claim.job_id)
            .outerjoin(TaskRow, TaskRow.id == Job.task_id)
            .outerjoin(Stage, Stage.id == TaskRow.stage_id)
            .where(Claim.id.in_(part), Claim.alias_of.is_(None))
            .order_by(Claim.id)
        )
        yield from (TouchedFile(*row) for row in connection.execute(query))


def count_touched(connection: Connection, claims: Sequence[int]) -> tuple[int, int]:
    """Return how many files these claims are, and how many jobs made them."""
    files, jobs = 0, set()
    for part in chunks(claims, 10_000):
        query = select(Claim.job_id, func.count()).where(Claim.id.in_(part), Claim.alias_of.is_(None))
        for job, count in connection.execute(query.group_by(Claim.job_id)):
            files += count
            jobs.add(job)
    return files, len(jobs)
