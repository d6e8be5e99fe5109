"""The rerun bundle of a job.

It is planned once from what is recorded, and streamed from the plan for ever after.

The first build writes a plan (a blob: list of members by digest) and enters it in the ledger; every
later build is the tar of that plan. When blobs arrive, code is resolved, the record is revised or
another level is asked for, what goes in changes, and so a next plan is made: plan n+1. A plan of an
earlier specification stays what it is.

Source: storage.md, "Bundles"; bundle.md.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.plan import Plan, ceiling_of, make_plan
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.tables import BundlePlan
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.archive_blobs import GeneratedBlobs, PlannedBlobs
from jobprov.provenance.services.bundles.ingredients import gather
from jobprov.provenance.services.bundles.plans import enter_plan, erased_plans
from jobprov.provenance.services.bundles.plans import note_digest as note_digest  # noqa: PLC0414
from jobprov.provenance.services.lookup.job import ReadJob, read_job
from jobprov.provenance.services.writing import Writer


class Bundle(NamedTuple):
    """A bundle ready to be streamed.

    Attributes:
        number: of the plan, from 1.
        plan_sha256: digest of the plan's blob.
        tar_sha256: digest that the tar had when it was first built whole; None before.
        size_bytes: of the tar.
    """

    key: int
    job_id: str
    number: int
    level: str
    plan: Plan
    plan_sha256: str
    tar_sha256: str | None
    size_bytes: int
    reader: Store

    @property
    def etag(self) -> str:
        """Return what names plan and level, and so the bytes, for ever."""
        return f"{self.number}-{self.level}-{self.plan_sha256[:16]}"

    def stream(self) -> Iterator[bytes]:
        """Yield the tar."""
        return stream_plan(self.plan, self.reader)


def build_bundle(
    database: Database,
    writer: Writer,
    store: Store,
    job_id: str,
    *,
    experiment: str | None = None,
    number: int | None = None,
    level: str | None = None,
    is_holey: bool = False,
) -> Bundle:
    """Return the bundle of a job.

    It is of the newest plan, made where what goes in has changed, or of the plan asked for.

    Args:
        database: where the job is recorded.
        writer: enters the plan.
        store: the archive.
        job_id: its UUID, or a batch id.
        experiment: whose, where several have such a job.
        number: an earlier plan.
        level: a ceiling, `L0` to `L4`: what only a higher level wants is left out; everything goes
            in by default.
        is_holey: fetch.txt lists the inputs that are not possessed and have a URL; a plan of its
            own.

    Raises:
        NotFoundError: no such job, or no such plan of it.
        BundleError: an unknown level, or the bundle cannot be built.
    """
    ceiling_of(level)
    with database.reading.connect() as connection:
        job = read_job(connection, store, job_id, experiment=experiment)
        if number is not None:
            return _existing(connection, store, job, BundlePlan.number == number)
        gathered = gather(connection, store, job, level=level, is_holey=is_holey)
        try:
            return _existing(
                connection, store, job, BundlePlan.ingredients_sha256 == gathered.digest
            )
        except NotFoundError:
            pass
    generated = GeneratedBlobs()
    plan = make_plan(
        gathered.ingredients(), gathered.reader, generated.keep, level=level, is_holey=is_holey
    )
    plan_sha256 = generated.keep(plan.to_bytes())
    generated.store(store)
    document = {
        "job_id": job.found.job_id,
        "level": int(plan.level[1:]),
        "ingredients_sha256": gathered.digest,
        "plan_sha256": plan_sha256,
        "tar_bytes": tar.size(plan),
    }
    writer.run(lambda writing: enter_plan(writing, job.found, document))
    with database.reading.connect() as connection:
        return _existing(
            connection,
            store,
            job,
            BundlePlan.ingredients_sha256 == gathered.digest,
            made={plan_sha256: plan},
        )


def _existing(
    connection: Connection,
    store: Store,
    job: ReadJob,
    condition: Any,
    *,
    made: Mapping[str, Plan] = MappingProxyType({}),
) -> Bundle:
    """Return the newest plan that fits.

    `made` by digest spares reading one that was made just now.
    """
    query = (
        select(
            BundlePlan.id,
            BundlePlan.number,
            BundlePlan.plan_sha256,
            BundlePlan.tar_sha256,
            BundlePlan.tar_bytes,
        )
        .where(BundlePlan.job_id == job.found.key, condition)
        .where(BundlePlan.plan_sha256.not_in(erased_plans(job.found.experiment_key)))
        .order_by(BundlePlan.number.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            f"Job {job.found.job_id} has no such bundle plan, or it held what was erased."
        )
    plan = made.get(row.plan_sha256) or read_plan(store, row.plan_sha256)
    return Bundle(
        row.id,
        job.found.job_id,
        row.number,
        plan.level,
        plan,
        row.plan_sha256,
        row.tar_sha256,
        row.tar_bytes,
        store,
    )


def read_plan(store: Store, sha256: str) -> Plan:
    """Return a stored plan.

    Raises:
        BundleError: it cannot be read.
    """
    return Plan.from_bytes(store.get(sha256), PlannedBlobs(store).get)


def stream_plan(plan: Plan, store: Store) -> Iterator[bytes]:
    """Yield the tar of a plan.

    Raises:
        BundleError: a blob is not what the plan names.
        ArchiveError: a blob is gone or damaged.
    """
    return tar.stream(plan, PlannedBlobs(store))
