"""Plans of bundles that were not erased: by number, by ingredients, or at random."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, func, select

from jobprov.provenance.db.queries.holdings.blob_users import JobName
from jobprov.provenance.db.queries.lookup.jobs.details import FoundJob
from jobprov.provenance.db.tables import BundlePlan, ErasedBytes, Experiment, Job

_COLUMNS: tuple[Any, ...] = (
    BundlePlan.id,
    BundlePlan.number,
    BundlePlan.plan_sha256,
    BundlePlan.tar_sha256,
    BundlePlan.tar_bytes,
)
_IS_ERASED = exists().where(
    ErasedBytes.experiment_id == Job.experiment_id, ErasedBytes.sha256 == BundlePlan.plan_sha256
)

_LOOKED_AT, _SIMILAR = 500, 3


class StoredPlan(NamedTuple):
    """A plan of a job's bundle.

    Attributes:
        number: among the plans of its job, from 1.
        tar_sha256: digest of the tar when it was first sent whole; None until then.
        tar_bytes: size of the tar.
    """

    key: int
    number: int
    plan_sha256: str
    tar_sha256: str | None
    tar_bytes: int


class PlanOfJob(NamedTuple):
    """A plan of some job's bundle; see `StoredPlan`."""

    key: int
    job: JobName
    number: int
    plan_sha256: str
    tar_sha256: str | None


def plan_numbered(connection: Connection, job: FoundJob, number: int) -> StoredPlan | None:
    """Return the plan with this number; None if there is none, or if it was erased."""
    return _newest(connection, _plans_of(job).where(BundlePlan.number == number))


def plan_made_of(
    connection: Connection, job: FoundJob, ingredients_sha256: str
) -> StoredPlan | None:
    """Return the newest plan for these ingredients; None if there is none, or if it was erased."""
    same = BundlePlan.ingredients_sha256 == ingredients_sha256
    return _newest(connection, _plans_of(job).where(same))


def plans_at_random(connection: Connection, count: int) -> list[PlanOfJob]:
    """Return up to `count` plans of any jobs that were not erased."""
    query = (
        select(
            BundlePlan.id,
            BundlePlan.number,
            BundlePlan.plan_sha256,
            BundlePlan.tar_sha256,
            Experiment.name,
            Job.uuid,
        )
        .join(Job, Job.id == BundlePlan.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(~_IS_ERASED)
        .order_by(func.random())
        .limit(count)
    )
    plans = []
    for key, number, plan_sha256, tar_sha256, experiment, job_id in connection.execute(query):
        job = JobName(experiment, job_id)
        plans.append(PlanOfJob(key, job, number, plan_sha256, tar_sha256))
    return plans


def similar_plans(connection: Connection, job: FoundJob) -> list[str]:
    """Return the digests of the newest plans of jobs with the same software, the newest first.

    Only the last plans of all are looked at.
    """
    newest = select(func.max(BundlePlan.id)).scalar_subquery()
    software = select(Job.software_set_id).where(Job.id == job.key).scalar_subquery()
    query = (
        select(BundlePlan.plan_sha256)
        .join(Job, Job.id == BundlePlan.job_id)
        .where(
            BundlePlan.id > newest - _LOOKED_AT,
            Job.experiment_id == job.experiment_key,
            Job.software_set_id == software,
            Job.id != job.key,
            ~_IS_ERASED,
        )
        .order_by(BundlePlan.id.desc())
        .limit(_SIMILAR)
    )
    return list(connection.execute(query).scalars())


def plan_digests(connection: Connection) -> list[str]:
    """Return the digests of all plans, in order."""
    return sorted({row[0] for row in connection.execute(select(BundlePlan.plan_sha256))})


def _plans_of(job: FoundJob) -> Select[Any]:
    erased = select(ErasedBytes.sha256).where(ErasedBytes.experiment_id == job.experiment_key)
    query: Select[Any] = select(*_COLUMNS)
    return query.where(BundlePlan.job_id == job.key, BundlePlan.plan_sha256.not_in(erased))


def _newest(connection: Connection, query: Select[Any]) -> StoredPlan | None:
    row = connection.execute(query.order_by(BundlePlan.number.desc()).limit(1)).first()
    return None if row is None else StoredPlan(*row)
