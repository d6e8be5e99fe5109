"""Builds a sample of bundles again and compares them with their first build.

The same bytes, or the archive has drifted.

The first digest is noted when a bundle first goes out whole; a plan that never went out has none,
and is built for the first time.
"""

import hashlib
from typing import NamedTuple

from sqlalchemy import func, select

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.queries.holdings.blob_users import JobName
from jobprov.provenance.db.tables import BundlePlan, ErasedBytes, Experiment, Job
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.bundles.job_bundle import read_plan, stream_plan
from jobprov.provenance.services.bundles.plans import note_digest
from jobprov.provenance.services.writing import Writer


class Drift(NamedTuple):
    """A bundle that is not what it was: `detail` says how."""

    job: JobName
    number: int
    detail: str


class BundlesReport(NamedTuple):
    """What a check of bundles found.

    Attributes:
        compared: bundles whose bytes were compared with their first build.
        first: bundles that were built for the first time.
    """

    compared: int
    first: int
    drifted: list[Drift]


def check_bundles(database: Database, writer: Writer, store: Store, count: int) -> BundlesReport:
    """Build up to `count` random planned bundles; return which have other bytes than at first."""
    erased = (
        select(ErasedBytes.sha256)
        .where(
            ErasedBytes.experiment_id == Job.experiment_id,
            ErasedBytes.sha256 == BundlePlan.plan_sha256,
        )
        .exists()
    )
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
        .where(~erased)
        .order_by(func.random())
        .limit(count)
    )
    with database.reading.connect() as connection:
        rows = connection.execute(query).all()
    compared, first, drifted = 0, 0, []
    for key, number, plan_sha256, tar_sha256, experiment, uuid in rows:
        job = JobName(experiment, uuid)
        try:
            digest = _digest(store, plan_sha256)
        except (ArchiveError, BundleError) as problem:
            drifted.append(Drift(job, number, str(problem)))
            continue
        if tar_sha256 is None:
            first += 1
            _note(writer, key, digest)
            continue
        compared += 1
        if digest != tar_sha256:
            drifted.append(
                Drift(
                    job, number, f"its tar has the SHA-256 {digest}; the first one had {tar_sha256}"
                )
            )
    return BundlesReport(compared, first, drifted)


def _note(writer: Writer, key: int, digest: str) -> None:
    writer.run(lambda writing: note_digest(writing, key, digest))


def _digest(store: Store, plan_sha256: str) -> str:
    seen = hashlib.sha256()
    for piece in stream_plan(read_plan(store, plan_sha256), store):
        seen.update(piece)
    return seen.hexdigest()
