"""Erases a blob of an experiment on purpose: the ledger keeps who and why, and the bytes go.

Jobs whose records name the blob get a gap. If another experiment sent the same bytes, they stay for
that one. Code and capsules are not erased: the service or an operator made them, for many jobs.

Source: storage.md, "Erasure".
"""

from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.digest import is_digest
from jobprov.archive.store import Store
from jobprov.provenance.db.queries.erasures import is_capsule, plans_of_experiment
from jobprov.provenance.db.queries.holdings.blob_users import JobName
from jobprov.provenance.db.queries.holdings.erasures import was_erased
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.db.queries.holdings.possessions import holders_of, possessed_blobs
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.bundles.plan_blobs import live_plans, named_in_plan, packs_of_code
from jobprov.provenance.services.erasures.log_expiry import Owner
from jobprov.provenance.services.erasures.rows import Erasure, check_words, write_erasure_rows
from jobprov.provenance.services.ledger.chain_erasures import KIND
from jobprov.provenance.services.ledger.documents import ErasureDocument
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.entry_bytes import find_holders
from jobprov.provenance.services.recording.gap_updates import refresh
from jobprov.provenance.services.work.notices import ERASED, blob_erased
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer, Writing


class BlobErasure(NamedTuple):
    """A blob that is to be erased, and what that affects.

    Attributes:
        kept_sha256: for an expired log, the blob with its beginning and end, which is erased too.
        size_bytes: None where the archive no longer holds it.
        jobs: those of the experiment whose records name it.
        plans: digests of the experiment's bundle plans that hold it.
        others: experiments that sent it as well; it stays for them.
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
        """Return the digests of all blobs to be erased."""
        return sorted({self.sha256, self.kept_sha256 or self.sha256})


def plan_blob_erasure(
    connection: Connection, store: Store, sha256: str, experiment: str
) -> BlobErasure:
    """Return what would be erased; nothing is written.

    To find the jobs, the whole ledger of the experiment is read.

    Raises:
        BadInputError: this is not a digest, or the blob is code or a capsule.
        NotFoundError: the experiment never sent it, or erased it before.
    """
    if not is_digest(sha256):
        raise BadInputError(
            "A blob is named by its SHA-256, 64 lower-case hex digits.",
            {"sha256": ["not a SHA-256"]},
        )
    key = experiment_key(connection, experiment)
    if key is None or was_erased(connection, experiment, sha256):
        raise _no_blob(experiment, sha256)
    _check_kind(connection, sha256)
    # The experiment no longer possesses the whole of an expired log, but may erase what is kept
    expired = expired_logs(connection, experiment, [sha256]).get(sha256)
    if expired is None and not possessed_blobs(connection, experiment, [sha256]):
        raise _no_blob(experiment, sha256)
    size_bytes = None
    if not store.missing([sha256]):
        size_bytes = store.size(sha256)
    kept_sha256 = None
    if expired is not None:
        kept_sha256 = expired.kept_sha256
    return BlobErasure(
        whose=Owner(experiment, key),
        sha256=sha256,
        kept_sha256=kept_sha256,
        size_bytes=size_bytes,
        jobs=find_holders(connection, store, experiment, [sha256.encode()]).jobs,
        plans=_plans_holding(connection, store, key, sha256),
        others=[name for name in holders_of(connection, sha256) if name != experiment],
    )


def _no_blob(experiment: str, sha256: str) -> NotFoundError:
    return NotFoundError(f"{experiment} has no blob {sha256}: it never sent it, or erased it.")


def _check_kind(connection: Connection, sha256: str) -> None:
    """Refuse to erase what the service or an operator made for many jobs."""
    if sha256 in set(packs_of_code(connection)):
        raise BadInputError(
            "This is code that the service resolved, in the bundles of all jobs that ran it; it "
            "stays."
        )
    if is_capsule(connection, sha256):
        raise BadInputError(
            "This is a capsule that an operator registered, for all jobs of a release; it stays."
        )


def _plans_holding(connection: Connection, store: Store, experiment: int, sha256: str) -> list[str]:
    """Return the bundle plans of an experiment that hold a blob and were not erased."""
    plans = plans_of_experiment(connection, experiment) & set(live_plans(connection))
    return sorted(plan for plan in plans if sha256 in named_in_plan(store, plan))


def erase_blob(
    writer: Writer, erasure: BlobErasure, *, who: str, why: str, received_at: datetime
) -> None:
    """Record the erasure, and queue that the gaps of the blob's jobs are brought up to date.

    Queued in the same transaction, so that neither a crash nor a job that has come since the plan
    was made leaves a gap out; `refresh_named` does it at once. The bytes are removed afterwards
    (`upkeep/cleared_erasures.py`).

    Raises:
        BadInputError: `who` or `why` is empty, or holds what looks like a secret.
    """
    check_words(who, why)
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
        write_erasure_rows(
            writing, whose, Erasure(number, msgspec.convert(document, ErasureDocument))
        )
        blob_erased(writing.connection, whose.name, erasure.sha256)

    writer.run(write, received_at=received_at, submitter=who)


def refresh_named(parts: Parts) -> None:
    """Bring grade and gaps of the jobs that name erased blobs up to date, as far as that waits."""
    drain(parts, {ERASED: refresh})
