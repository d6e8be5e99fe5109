"""What jobs took, and what failed attempts before them took."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.bounded import wide_sum
from jobprov.provenance.db.queries.fragments.membership import among, rows_among
from jobprov.provenance.db.queries.fragments.stages import with_stage
from jobprov.provenance.db.tables import Claim, Identity, Job, Stage
from jobprov.provenance.db.writer.keys import chunks

_AT_ONCE = 10_000
_MOST_BEFORE = 50
"""How far a chain of retries is followed; what clients sent may be a circle."""


class JobCost(NamedTuple):
    """What one job took; None where it is not recorded."""

    key: int
    stage: str
    wall_seconds: float | None
    cpu_seconds: float | None
    task: int | None
    unit: str | None
    retry_of: str | None
    experiment: int
    uuid: str

    @property
    def before(self) -> "tuple[int, str | None]":
        """The job that it retries, by experiment and id: ids are unique only in an experiment."""
        return self.experiment, self.retry_of


def job_costs(connection: Connection, jobs: Collection[int]) -> list[JobCost]:
    """Return what each of these jobs took."""
    costs: list[JobCost] = []
    for part in chunks(sorted(jobs), _AT_ONCE):
        costs += _read(connection, _query().where(among(connection, Job.id, part)))
    return costs


def costs_of_failed_attempts(
    connection: Connection, jobs: Iterable[JobCost], *, as_of: datetime | None = None
) -> list[JobCost]:
    """Return the costs of failed attempts at the same units, and of failed jobs retried by these.

    With `as_of`, only of jobs that had been recorded by then.
    """
    costs = list(jobs)
    failed_jobs = _query().where(IS_BAD, Job.rerun_of.is_(None))
    if as_of is not None:
        failed_jobs = failed_jobs.where(Job.received_at <= as_of)

    failed = _of_same_units(connection, costs, failed_jobs)
    retries = [*costs, *failed.values()]
    # Each attempt may name the one before it, and so on: one query for each step back
    for _ in range(_MOST_BEFORE):
        before = {cost.before for cost in retries if cost.retry_of is not None}
        retries = [
            cost for cost in _named(connection, before, failed_jobs) if cost.key not in failed
        ]
        if not retries:
            break
        failed.update((cost.key, cost) for cost in retries)
    for cost in costs:
        failed.pop(cost.key, None)
    return list(failed.values())


def _of_same_units(
    connection: Connection, jobs: Iterable[JobCost], failed_jobs: Select[Any]
) -> dict[int, JobCost]:
    """Return the failed jobs of the units of these jobs, by key."""
    units = {(job.task, job.unit) for job in jobs if job.task is not None and job.unit is not None}
    tasks = sorted({task for task, _ in units if task is not None})
    failed = {}
    # By task, whose failed jobs an index gives; which units these are is looked at here
    for part in chunks(tasks, _AT_ONCE):
        for cost in _read(connection, failed_jobs.where(among(connection, Job.task_id, part))):
            if (cost.task, cost.unit) in units:
                failed[cost.key] = cost
    return failed


def _named(
    connection: Connection, wanted: Collection[tuple[int, str | None]], failed_jobs: Select[Any]
) -> list[JobCost]:
    """Return the failed jobs with these experiments and ids."""
    job_ids = sorted({job_id for _, job_id in wanted if job_id is not None})
    rows: Iterable[Any] = rows_among(connection, failed_jobs, Job.uuid, job_ids)
    costs = [JobCost(*row) for row in rows]
    return [cost for cost in costs if (cost.experiment, cost.uuid) in wanted]


def output_bytes(connection: Connection, jobs: Collection[int]) -> dict[int, int]:
    """Return the size of each job's outputs together, by job. Bytes with two names count once."""
    sizes: dict[int, int] = {}
    for part in chunks(sorted(jobs), _AT_ONCE):
        query = (
            select(Claim.job_id, wide_sum(Identity.size_bytes))
            .join(Identity, Identity.id == Claim.identity_id)
            .where(
                among(connection, Claim.job_id, part),
                Claim.alias_of.is_(None),
                Identity.size_bytes.is_not(None),
            )
            .group_by(Claim.job_id)
        )
        sizes.update((job, int(size or 0)) for job, size in connection.execute(query))
    return sizes


def _query() -> Select[Any]:
    columns: tuple[Any, ...] = (
        Job.id, func.coalesce(Stage.name, ""), Job.wall_seconds, Job.cpu_seconds,
        Job.task_id, Job.unit, Job.retry_of, Job.experiment_id, Job.uuid,
    )  # fmt: skip
    return with_stage(select(*columns))


def _read(connection: Connection, query: Select[Any]) -> list[JobCost]:
    return [JobCost(*row) for row in connection.execute(query)]
