"""What an erasure of a blob affects: plans of bundles, capsules, and jobs."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import BundlePlan, CapsuleRow, Job, ProvisionalRecord
from jobprov.provenance.db.writer.keys import chunks


def plans_of_experiment(connection: Connection, experiment: int) -> set[str]:
    """Return the digests of all bundle plans of an experiment's jobs."""
    query = (
        select(BundlePlan.plan_sha256)
        .join(Job, Job.id == BundlePlan.job_id)
        .where(Job.experiment_id == experiment)
    )
    return set(connection.execute(query).scalars())


def plans_among(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return the digests that are bundle plans."""
    plans: set[str] = set()
    for part in chunks(digests):
        query = select(BundlePlan.plan_sha256).where(BundlePlan.plan_sha256.in_(part))
        plans.update(connection.execute(query).scalars())
    return plans


def is_capsule(connection: Connection, sha256: str) -> bool:
    """Whether a blob is a registered capsule."""
    query = select(CapsuleRow.entry_id).where(CapsuleRow.sha256 == sha256)
    return connection.execute(query.limit(1)).first() is not None


def running_jobs(connection: Connection, experiment: int) -> set[int]:
    """Return the keys of an experiment's running and lost jobs."""
    query = (
        select(ProvisionalRecord.job_id)
        .join(Job, Job.id == ProvisionalRecord.job_id)
        .where(Job.experiment_id == experiment)
    )
    return set(connection.execute(query).scalars())


def jobs_named(connection: Connection, experiment: int, job_ids: Iterable[str]) -> set[int]:
    """Return the keys of an experiment's jobs with these job ids."""
    keys: set[int] = set()
    for part in chunks(sorted(job_ids)):
        query = select(Job.id).where(Job.experiment_id == experiment, Job.uuid.in_(part))
        keys.update(connection.execute(query).scalars())
    return keys
