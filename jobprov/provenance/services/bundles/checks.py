"""Builds a sample of bundles again and compares them with their first build.

If the bytes differ, the archive has drifted. The first digest is noted when a bundle is first sent
whole. A plan whose bundle was never sent has no digest; it is built and gets its first one.
"""

import hashlib
from functools import partial
from typing import NamedTuple

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.blob_users import JobName
from jobprov.provenance.db.queries.holdings.plans import plans_at_random
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.bundles.job_bundle import read_plan, stream_plan
from jobprov.provenance.services.bundles.plans import note_digest
from jobprov.provenance.services.writing import Writer


class Drift(NamedTuple):
    """A bundle whose bytes have changed; `detail` says how."""

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
    with database.reading.connect() as connection:
        plans = plans_at_random(connection, count)
    compared, first = 0, 0
    drifted: list[Drift] = []
    for plan in plans:
        try:
            digest = _tar_digest(store, plan.plan_sha256)
        except (ArchiveError, BundleError) as problem:
            drifted.append(Drift(plan.job, plan.number, str(problem)))
            continue
        if plan.tar_sha256 is None:
            first += 1
            writer.run(partial(note_digest, plan=plan.key, tar_sha256=digest))
            continue
        compared += 1
        if digest != plan.tar_sha256:
            detail = f"its tar has the SHA-256 {digest}; the first one had {plan.tar_sha256}"
            drifted.append(Drift(plan.job, plan.number, detail))
    return BundlesReport(compared, first, drifted)


def _tar_digest(store: Store, plan_sha256: str) -> str:
    digest = hashlib.sha256()
    for piece in stream_plan(read_plan(store, plan_sha256), store):
        digest.update(piece)
    return digest.hexdigest()
