"""Erases a blob of an experiment on purpose.

The ledger says who erased it and why, its jobs have a gap, the bytes go.

Bytes that another experiment sent as well stay for that one; code and capsules, which the service
or an operator made, are not erased.

Source: storage.md, "Erasure".
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.digest import is_digest
from jobprov.archive.store import Store
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.holdings.blob_users import JobName
from jobprov.provenance.db.queries.holdings.erasures import was_erased
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.db.queries.holdings.possessions import holders_of, possessed_blobs
from jobprov.provenance.db.tables import BundlePlan, CapsuleRow, Experiment, Job, ProvisionalRecord
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.bundles.plan_blobs import live_plans, named_in_plan, packs_of_code
from jobprov.provenance.services.erasures.log_expiry import Owner
from jobprov.provenance.services.erasures.rows import Erasure, write_erasure_rows
from jobprov.provenance.services.intake.secrets import secrets_in
from jobprov.provenance.services.ledger.chain_erasures import KIND
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.entry_bytes import find_holders
from jobprov.provenance.services.recording.gap_updates import refresh_jobs
from jobprov.provenance.services.writing import Writer, Writing

_AT_ONCE = 200


class BlobErasure(NamedTuple):
    """What goes.

    Attributes:
        kept_sha256: of an expired log, the blob of its beginning and end, which goes too.
        size_bytes: None where the archive does not hold it any more.
        jobs: of the experiment whose records name it.
        plans: digests of their bundle plans that hold it.
        others: experiments that sent it as well, for which it stays.
    """

    whose: Owner
    sha256: str
    kept_sha256: str | None
    size_bytes: int | None
    jobs: list[JobName]
    plans: list[str]
    others: list[str]

    @property
    def digests(self) -> list[str]:
        """Return the digests of all bytes that were sent and go."""
        return sorted({self.sha256, self.kept_sha256 or self.sha256})


def plan_blob_erasure(
    connection: Connection, store: Store, sha256: str, experiment: str
) -> BlobErasure:
    """Return what would go; nothing is written.

    It reads the experiment's whole ledger, to find the jobs.

    Raises:
        BadInputError: no digest, or the blob is code or a capsule.
        NotFoundError: the experiment did not send it, or erased it.
    """
    if not is_digest(sha256):
        raise BadInputError(
            "A blob is named by its SHA-256, 64 lower-case hex digits.",
            {"sha256": ["not a SHA-256"]},
        )
    key = connection.execute(
        select(Experiment.id).where(Experiment.name == experiment)
    ).scalar_one_or_none()
    if key is None or was_erased(connection, experiment, sha256):
        raise NotFoundError(f"{experiment} has no blob {sha256}: it never sent it, or erased it.")
    _check_kind(connection, sha256)
    expired = expired_logs(connection, experiment, [sha256]).get(sha256)
    if expired is None and not possessed_blobs(connection, experiment, [sha256]):
        raise NotFoundError(f"{experiment} has no blob {sha256}: it never sent it, or erased it.")
    jobs = find_holders(connection, store, experiment, [sha256.encode()]).jobs
    query = (
        select(BundlePlan.plan_sha256)
        .join(Job, Job.id == BundlePlan.job_id)
        .where(Job.experiment_id == key)
    )
    mine = {row[0] for row in connection.execute(query)} & set(live_plans(connection))
    plans = sorted(plan for plan in mine if sha256 in named_in_plan(store, plan))
    others = [name for name in holders_of(connection, sha256) if name != experiment]
    size = None if store.missing([sha256]) else store.size(sha256)
    kept = None if expired is None else expired.kept_sha256
    return BlobErasure(Owner(experiment, key), sha256, kept, size, jobs, plans, others)


def _check_kind(connection: Connection, sha256: str) -> None:
    if sha256 in set(packs_of_code(connection)):
        raise BadInputError(
            "This is code that the service resolved, in the bundles of all jobs that ran it; it "
            "stays."
        )
    if (
        connection.execute(select(CapsuleRow.entry_id).where(CapsuleRow.sha256 == sha256)).first()
        is not None
    ):
        raise BadInputError(
            "This is a capsule that an operator registered, for all jobs of a release; it stays."
        )


def erase_blob(
    writer: Writer, erasure: BlobErasure, *, who: str, why: str, received_at: datetime
) -> None:
    """Write what is erased, and bring the gaps of its jobs up to date.

    The bytes go afterwards (`upkeep/cleared_erasures.py`).

    Raises:
        BadInputError: nobody says who wants it, or why, or these words hold a secret.
    """
    if not who.strip() or not why.strip():
        raise BadInputError(
            "An erasure says who wants it, and why.", {"who": ["not empty"], "why": ["not empty"]}
        )
    if found := secrets_in({"who": who, "why": why}):
        raise BadInputError(
            "The words of an erasure stay for ever, and these hold what looks like a secret.", found
        )
    document = {
        "what": "blob",
        "blob": erasure.sha256,
        "who": who,
        "why": why,
        "sha256": erasure.digests,
        "plans": erasure.plans,
    }
    whose = erasure.whose

    def write(writing: Writing) -> None:
        number = enter_document(writing, whose.key, KIND, document)
        write_erasure_rows(writing, whose, Erasure(number, document))

    writer.run(write, received_at=received_at, submitter=who)
    refresh_named(writer, whose, [job.job_id for job in erasure.jobs])


def refresh_named(writer: Writer, whose: Owner, jobs: list[str]) -> None:
    """Bring grade and gaps of jobs up to date, and of those that run.

    Nobody looks into their records beforehand.
    """

    def keys(writing: Writing) -> list[int]:
        running = select(ProvisionalRecord.job_id).join(Job, Job.id == ProvisionalRecord.job_id)
        found = {
            row[0]
            for row in writing.connection.execute(running.where(Job.experiment_id == whose.key))
        }
        for part in chunks(jobs):
            query = select(Job.id).where(Job.experiment_id == whose.key, Job.uuid.in_(part))
            found |= {row[0] for row in writing.connection.execute(query)}
        return sorted(found)

    for part in chunks(writer.run(keys), _AT_ONCE):
        wanted = list(part)
        writer.run(lambda writing, wanted=wanted: refresh_jobs(writing, wanted))  # type: ignore[misc]
